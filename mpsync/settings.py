"""Settings of one process: where things live, and every bound. Defaults are good; few are meant to be changed.

Order of precedence: command line, ``MPSYNC_*`` environment, default. Units are in the names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from mpsync.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Settings:
    """One immutable value, made once by the command line and handed down; nothing reads the environment later."""

    data_dir: Path
    database: str | None = None  # postgresql:// URL; None = the embedded server below data_dir
    loop: str = "uvloop"  # or asyncio
    workers: int | None = None  # child processes; 0 = everything in-process; None = one, and more as work asks for them

    # pipeline
    queue_rows: int = 2000  # rows a queue between two stages holds before its producer waits
    batch_rows: int = 2000  # rows a frame, and a saved batch, aim for

    # bridge
    frame_bytes: int = 2 << 20  # a frame is sent when it holds batch_rows rows or this many bytes
    credit_bytes: int = 8 << 20  # bytes a child may have in flight before it waits for credit

    # fetch
    host_connections: int = 16  # concurrent transfers per upstream host
    retries: int = 4  # tries per URL after the first
    retry_budget_s: float = 120.0  # time a host may keep us waiting by 429/503 before we give up
    connect_timeout_s: float = 15.0
    stall_timeout_s: float = 30.0  # a transfer that gives no byte for this long is broken
    min_bytes_per_s: int = 1000  # ... or that averages less than this over a stall timeout
    max_redirects: int = 5

    # budget of downloaded, not yet saved files
    budget_bytes: int = 2 << 30
    budget_items: int = 4000

    @property
    def blobs_dir(self) -> Path:
        return self.data_dir / "artifacts"

    @property
    def temp_dir(self) -> Path:
        """On the artifact store's file system, so that adopting a file is a rename."""
        return self.blobs_dir / "tmp"

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Defaults, then ``MPSYNC_<FIELD>``, then ``overrides`` that are not None. Raises ConfigError."""
        env = os.environ if env is None else env
        found: dict[str, Any] = {}
        for field in fields(cls):
            text = env.get(f"MPSYNC_{field.name.upper()}")
            if text is not None:
                found[field.name] = _parse(field.name, str(field.type), text)
        found.update((name, value) for name, value in overrides.items() if value is not None)
        if "data_dir" not in found:
            from platformdirs import user_data_path  # only when needed: 10 ms of imports

            found["data_dir"] = user_data_path("mpsync", appauthor=False)
        settings = replace(cls(data_dir=Path(found.pop("data_dir")).expanduser().absolute()), **found)
        if settings.loop not in ("uvloop", "asyncio"):
            raise ConfigError(f"loop is {settings.loop!r}; use uvloop or asyncio")
        if settings.workers is not None and settings.workers < 0:
            raise ConfigError(f"workers is {settings.workers}; use 0 (in-process) or more")
        return settings


def _parse(name: str, kind: str, text: str) -> Any:
    try:
        if kind.startswith("int"):
            return int(text)
        if kind.startswith("float"):
            return float(text)
        return text
    except ValueError:
        raise ConfigError(f"MPSYNC_{name.upper()} is {text!r}; expected {kind}") from None
