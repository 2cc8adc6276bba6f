"""Leaves of StoreError: pickling and the words for what the operating system says."""

from __future__ import annotations

import errno
import os
import pickle

import pytest

from mpsync.errors import StoreError
from mpsync.store import errors


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, errors.DiskFull, "free some space"),
        (errno.EDQUOT, errors.DiskFull, "quota exceeded"),
        (errno.EROFS, errors.StoreUnwritable, "read-only"),
        (errno.EIO, errors.StoreUnwritable, "may be failing"),
        (errno.ELOOP, errors.StoreUnwritable, "symbolic link"),
        (errno.EMFILE, errors.StoreUnwritable, "too many open files"),
        (errno.EACCES, errors.StoreUnwritable, "permission denied"),
        (errno.ENOTDIR, errors.StoreUnwritable, "not a directory"),
    ],
)
def test_errors_of_the_operating_system_become_leaves_that_say_what_to_do(
    number: int, kind: type[StoreError], words: str
) -> None:
    error = errors.from_os_error(OSError(number, os.strerror(number)), "/srv/x")

    assert type(error) is kind
    assert "/srv/x" in str(error)
    assert words in str(error)


@pytest.mark.parametrize(
    "error",
    [
        errors.DiskFull("a", "b"),
        errors.BlobDamaged("a", "b"),
        errors.DatabaseStartFailed("a", "b"),
        errors.DatabaseVersion("a", "b", "c"),
        errors.ConnectionLost("a"),
        errors.SerializationConflict("a", "b"),
        errors.UnstorableText("a", "b"),
        errors.MigrationError("a", "b"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_leaves_survive_pickling(error: StoreError) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
