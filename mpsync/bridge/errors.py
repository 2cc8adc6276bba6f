"""What can go wrong at the process boundary."""

from __future__ import annotations

import signal

from mpsync.errors import BridgeError, PluginError


class BadFrame(BridgeError):
    """A message that cannot cross, or cannot be read."""


class ChildDied(BridgeError):
    """A child process ended before its work did."""

    def __init__(self, pid: int, exitcode: int | None, stage: str, last_frame: str) -> None:
        super().__init__(pid, exitcode, stage, last_frame)
        self.pid, self.exitcode, self.stage, self.last_frame = pid, exitcode, stage, last_frame

    def __str__(self) -> str:
        if self.exitcode is not None and self.exitcode < 0:
            try:
                end = f"was killed by {signal.Signals(-self.exitcode).name}"
            except ValueError:
                end = f"was killed by signal {-self.exitcode}"
            if self.exitcode == -signal.SIGKILL:
                end += " (by the system, if it ran out of memory)"
        elif self.exitcode is None:
            end = "closed its pipe, but didn't exit"
        else:
            end = f"exited with code {self.exitcode}"
        return f"child process {self.pid} ({self.stage}) {end}; the last it sent was {self.last_frame}"


class CannotStart(BridgeError):
    """The system has no room for one more child process."""

    def __init__(self, stage: str, why: str) -> None:
        super().__init__(stage, why)
        self.stage, self.why = stage, why

    def __str__(self) -> str:
        return f"cannot start a child process for {self.stage}: {self.why}"


class ChildFailed(PluginError):
    """A plugin's stage raised something that is not an MpsyncError: a bug in it, or in us."""

    def __init__(self, type_name: str, text: str, remote_traceback: str) -> None:
        super().__init__(type_name, text, remote_traceback)
        self.type_name, self.text, self.remote_traceback = type_name, text, remote_traceback

    def __str__(self) -> str:
        return f"{self.type_name.partition(':')[2]} in a child process: {self.text}\n{self.remote_traceback}".rstrip()
