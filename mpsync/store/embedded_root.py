"""Run a PostgreSQL program when we are root, which it refuses to be; a script, run by ``python -I -S``, that execs.

usage   embedded_root.py namespace|setuid UID DATA_DIR PROGRAM ARGUMENT...

namespace  a user namespace in which our own uid is called UID (somebody in /etc/passwd: initdb looks the name up). To
           the kernel the process is still who we are, so it owns the data and passes /root and other 0700 parents;
           nothing is chowned. It also serves a uid without an entry in /etc/passwd, as in some containers.
setuid     become UID, keeping one capability: to search directories and read files, so that 0700 parents and a
           virtual environment below /root are no obstacle. For hosts and containers without user namespaces. The data
           must belong to UID.

Exit status 97 says that this way is closed here and another may be tried; the reason is on stderr. A fresh process
and not a function between fork and exec: Python code there may deadlock in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import sys

WAY_CLOSED = 97

_CLONE_NEWUSER = 0x10000000
_PR_SET_KEEPCAPS, _PR_CAPBSET_READ, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 8, 23, 47, 2
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


def main(way: str, uid_text: str, data_dir: str, program: str, *arguments: str) -> None:
    """Never returns: execs, or exits with WAY_CLOSED."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if way == "namespace":
            _enter_namespace(libc, int(uid_text))
        else:
            _become(libc, int(uid_text))
        # access() judges by the real uid without capabilities: what PostgreSQL will have after the exec.
        if way == "namespace" and not (
            os.access(program, os.R_OK | os.X_OK) and os.access(data_dir, os.R_OK | os.W_OK | os.X_OK)
        ):
            raise PermissionError(13, "no access to the program or the data", program)
        os.execv(program, [program, *arguments])
    except OSError as error:
        sys.stderr.write(f"embedded_root: {way}: {error}\n")
        sys.stderr.flush()
        os._exit(WAY_CLOSED)


def _enter_namespace(libc: ctypes.CDLL, inside: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _check(libc.unshare(_CLONE_NEWUSER), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {uid} 1"),
        ("gid_map", f"{inside} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _become(libc: ctypes.CDLL, uid: int) -> None:
    _check(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # Docker's default set lacks the first; where neither is there, ordinary permissions must do.
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1 and _keep(libc, 1 << capability) == 0:
            _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl")
            return


def _keep(libc: ctypes.CDLL, bits: int) -> int:
    """capset(2), version 3: effective, permitted and inheritable become ``bits``; returns 0 or -1."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    return int(libc.capset(header, data))


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


if __name__ == "__main__":
    main(*sys.argv[1:])
