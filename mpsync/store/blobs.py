"""The artifact store on disk: bytes by their sha256, written once, never changed.

Flow    Fetched (a verified temp file below ``tmp/``) -> rename to ``sha256/ab/<hex>`` -> durable -> a row
Runs    in the main process; all methods block but ``land``, so call them in a thread
Layout  <root>/sha256/<first two digits>/<64 digits>, and <root>/tmp/<one folder for each process>/

Nothing below the root is ever reached through a symbolic link. An object store will stand behind the same narrow
interface: only ``path_of`` and ``temp_dir`` promise a local file.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from mpsync.model.digests import Fetched
from mpsync.store.disk import make_durable, require_space
from mpsync.store.errors import BlobDamaged, from_os_error
from mpsync.store.file_lock import FileLock

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class BlobStore:
    """The store below ``root``, which is made if need be. Raises StoreError leaves."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._temp: tuple[Path, FileLock] | None = None
        with self._translated():
            (self.root / "sha256").mkdir(parents=True, exist_ok=True)
            (self.root / "tmp").mkdir(exist_ok=True)

    # ---- finding

    def path_of(self, sha256: str) -> Path:
        """Where the artifact stands, or would stand. Raises ValueError for what is not a lowercase hex sha256."""
        return self.root / "sha256" / sha256[:2] / _checked(sha256)

    def exists(self, sha256: str) -> bool:
        """Whether a regular file stands there; its bytes are not looked at."""
        return self.size_bytes(sha256) is not None

    def size_bytes(self, sha256: str) -> int | None:
        """Its size on disk, or None when it is not there."""
        try:
            with self.open(sha256) as file:
                return os.fstat(file.fileno()).st_size
        except BlobDamaged:
            return None

    def open(self, sha256: str) -> BufferedReader:
        """Open it for reading. Raises BlobDamaged when it is missing or not a regular file."""
        self.path_of(sha256)
        with self._translated():
            try:
                with _opened(self.root / "sha256") as top, _opened(sha256[:2], top) as folder:
                    file = os.fdopen(os.open(sha256, _FILE | os.O_NONBLOCK, dir_fd=folder), "rb")
            except FileNotFoundError as error:
                raise BlobDamaged(sha256, "is missing from the store") from error
        if not _is_regular(file.fileno()):
            file.close()
            raise BlobDamaged(sha256, "is not a regular file")
        return file

    def verify(self, sha256: str) -> int:
        """Hash it again; returns its size in bytes. Raises BlobDamaged when it is missing or differs."""
        with self.open(sha256) as file, self._translated():
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise BlobDamaged(sha256, f"its bytes hash to {found}")
            return file.tell()

    def iter_stored(self) -> Iterator[tuple[str, int]]:
        """(sha256, size in bytes) of every file in the store, in order of sha256: to adopt those without a row."""
        with self._translated():
            for prefix in sorted(os.listdir(self.root / "sha256")):
                try:
                    with _opened(self.root / "sha256") as top, _opened(prefix, top) as folder:
                        found = [
                            (entry.name, entry.stat(follow_symlinks=False).st_size)
                            for entry in os.scandir(folder)
                            if entry.is_file(follow_symlinks=False) and entry.name[:2] == prefix
                        ]
                except NotADirectoryError:  # a stray file, or a link, which is not followed
                    continue
                yield from sorted(pair for pair in found if _SHA256.fullmatch(pair[0]))

    # ---- adding and removing

    async def land(self, fetched: Sequence[Fetched]) -> None:
        """Adopt a batch and make it durable, in a thread: after this the rows may be written."""
        await asyncio.to_thread(self._land, fetched)

    def _land(self, fetched: Sequence[Fetched]) -> None:
        self.adopt_many(fetched)
        self.make_durable([one.sha256 for one in fetched])

    def adopt(self, fetched: Fetched) -> Path:
        """One file: see adopt_many. Returns its place."""
        self.adopt_many([fetched])
        return self.path_of(fetched.sha256)

    def adopt_many(self, fetched: Sequence[Fetched]) -> None:
        """Move verified temp files to their places. Not durable yet.

        A file that stands there already is hashed: if it is good the new one is dropped, else it is replaced. That is
        rare, and size alone would trust what a power cut left of an earlier sync.
        """
        folders: dict[str, int] = {}
        with self._translated():
            try:
                with _opened(self.root / "sha256") as top:
                    for one in fetched:
                        self._adopt(one, top, folders)
            finally:
                for folder in folders.values():
                    os.close(folder)

    def _adopt(self, fetched: Fetched, top: int, folders: dict[str, int]) -> None:
        name = _checked(fetched.sha256)
        folder = folders.get(name[:2])
        if folder is None:
            try:
                folder = os.open(name[:2], _FOLDER, dir_fd=top)
            except FileNotFoundError:
                try:
                    os.mkdir(name[:2], dir_fd=top)
                except FileExistsError:  # another sync was faster
                    pass
                folder = os.open(name[:2], _FOLDER, dir_fd=top)
            folders[name[:2]] = folder
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(fetched.path, name, dst_dir_fd=folder)
            return
        if stat.S_ISREG(found.st_mode) and found.st_size == fetched.size_bytes and self._is_good(name):
            os.unlink(fetched.path)
        else:
            os.replace(fetched.path, name, dst_dir_fd=folder)

    def _is_good(self, sha256: str) -> bool:
        try:
            self.verify(sha256)
        except BlobDamaged:
            return False
        return True

    def make_durable(self, sha256: Collection[str]) -> None:
        """Return when these files survive a power cut."""
        if sha256:
            make_durable(self.root, map(self.path_of, sha256))

    def remove(self, sha256: str) -> None:
        """Remove it if it is there; its row must be gone already."""
        self.path_of(sha256)
        with self._translated():
            try:
                with _opened(self.root / "sha256") as top, _opened(sha256[:2], top) as folder:
                    os.unlink(sha256, dir_fd=folder)
            except FileNotFoundError:
                pass

    # ---- temporary files

    @property
    def temp_dir(self) -> Path:
        """This process's own folder for downloads, made on first use and locked for as long as the process lives."""
        while self._temp is None:
            with self._translated():
                folder = self.root / "tmp" / f"{os.getpid()}-{secrets.token_hex(4)}"
                folder.mkdir(mode=0o700)
                lock = FileLock(folder / "lock")
                # Between mkdir and the lock a sweep may have taken it for a dead process's.
                if lock.try_shared() and lock.is_in_place():
                    self._temp = folder, lock
                else:
                    lock.close()
        return self._temp[0]

    def close(self) -> None:
        """Remove our temp folder with what is left in it."""
        if self._temp is not None:
            folder, lock = self._temp
            self._temp = None
            _remove_folder(folder)
            lock.close()

    def has_dead_temp(self) -> bool:
        """Whether a process died and left its temp folder."""
        with self._translated(), os.scandir(self.root / "tmp") as entries:
            return any(_is_dead(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))

    def sweep_temp(self, older_than_s: float = 86_400.0) -> int:
        """Remove what dead processes left in ``tmp/``; returns how many entries.

        A process's folder goes when nobody holds its lock any more, whatever its age. Anything else goes when nothing
        was written to it for ``older_than_s``.
        """
        removed = 0
        with self._translated(), os.scandir(self.root / "tmp") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and os.path.lexists(os.path.join(entry.path, "lock")):
                    removed += _sweep_folder(Path(entry.path))
                elif time.time() - entry.stat(follow_symlinks=False).st_mtime > older_than_s:
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    else:
                        Path(entry.path).unlink(missing_ok=True)
                    removed += 1
        return removed

    def require_space(self, need_bytes: int, need_files: int = 0) -> None:
        """Call before a download of known size. Raises DiskFull."""
        require_space(self.root, need_bytes, need_files)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise from_os_error(error, error.filename if isinstance(error.filename, str) else self.root) from error


def _checked(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is not a lowercase sha256")
    return sha256


@contextmanager
def _opened(name: str | Path, parent: int | None = None) -> Iterator[int]:
    descriptor = os.open(name, _FOLDER, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _is_dead(folder: str) -> bool:
    if not os.path.lexists(os.path.join(folder, "lock")):
        return False
    try:
        lock = FileLock(Path(folder, "lock"))
    except FileNotFoundError:  # its process removed it just now
        return False
    try:
        return lock.try_exclusive()
    finally:
        lock.close()


def _sweep_folder(folder: Path) -> int:
    try:
        lock = FileLock(folder / "lock")
    except FileNotFoundError:  # its process removed it just now
        return 0
    try:
        if not lock.try_exclusive():
            return 0
        _remove_folder(folder)
        return 1
    finally:
        lock.close()


def _remove_folder(folder: Path) -> None:
    """Its lock goes last: if we are killed meanwhile, the next sweep still sees whose folder it is."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name != "lock":
                with suppress(OSError):
                    os.unlink(entry.path)
    shutil.rmtree(folder, ignore_errors=True)
