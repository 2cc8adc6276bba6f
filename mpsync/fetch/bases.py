"""Where a remote's files are: below the base URL, and below every mirror that a list named. In order, and lazily.

One object per run: the probe that reads the list, the stages that download and the children that ask share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from mpsync.errors import ConfigError
from mpsync.fetch.errors import ForbiddenUrl
from mpsync.fetch.reach import shown
from mpsync.model.digests import Expected
from mpsync.model.remote import Remote


class Bases:
    """The base URLs of one remote, best first; only the remote's own until ``use``.

    promises  by path: what a list promised of a top file

    A mirror without TLS that a list over https named serves only what a digest proves.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._all: list[Remote] = [remote]
        self._weak: set[str] = set()
        self._listed_by = ""
        self.promises: dict[str, Sequence[Expected]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def use(self, urls: Sequence[str], *, listed_by: str, has_base: bool) -> tuple[list[str], list[str]]:
        """Take the mirrors of a list, in its order, behind the base URL.

        has_base  False: the base URL is the list's own, and no repository
        returns   (the mirrors taken, why each of the others was not)
        """
        refused: list[str] = []
        known = {self._remote.url.rstrip("/"): self._remote} if has_base else {}
        first = len(known)
        for url in urls:
            try:
                mirror = Remote(url, encode_plus=self._remote.encode_plus)
            except ConfigError as error:
                refused.append(f"{shown(url)}: {error}")
                continue
            if mirror.username is not None:
                refused.append(f"{shown(url)}: it holds credentials")
            elif mirror.is_local and not (self._remote.is_local and listed_by.startswith("file:")):
                refused.append(f"{shown(url)}: only a list of this machine leads to its files")
            else:
                known.setdefault(mirror.url.rstrip("/"), mirror)
        self._all, self._listed_by = list(known.values()), listed_by
        taken = [mirror.url for mirror in self._all[first:]]
        if listed_by.startswith("https:") and not self._remote.allow_downgrade:
            self._weak = {url for url in taken if url.startswith("http:")}
        return taken, refused

    def lead_with(self, path: str, url: str) -> None:
        """Ask the base that served ``path`` as ``url`` first from now on, and those before it, which did not, last."""
        found = (at for at, base in enumerate(self._all) if shown(base.join(path)) == shown(url))
        at = next(found, 0)
        self._all = self._all[at:] + self._all[:at]

    def urls(self, urls: Sequence[str], *, proven: bool = True) -> Sequence[str]:
        """Absolute URLs as they are; each path below each base, made as they are walked.

        proven  a digest says what the bytes must be
        raises  ForbiddenUrl when nothing is left to ask for what nothing proves
        """
        bases = self._all
        if not proven and self._weak:
            bases = [base for base in bases if base.url not in self._weak]
        if not bases:
            raise ForbiddenUrl(shown(self._listed_by), "it names no mirror over https for what only TLS can prove")
        if len(bases) == 1:
            base = bases[0]
            return [url if "://" in url else base.join(url) for url in urls]
        return _Everywhere(bases, urls)


class _Everywhere(Sequence[str]):
    """Each path at the first base, then at the next …, and absolute URLs at last."""

    __slots__ = ("_absolute", "_bases", "_paths")

    def __init__(self, bases: Sequence[Remote], urls: Sequence[str]) -> None:
        self._bases = bases
        self._paths = [url for url in urls if "://" not in url]
        self._absolute = [url for url in urls if "://" in url]

    def __len__(self) -> int:
        return len(self._paths) * len(self._bases) + len(self._absolute)

    def __iter__(self) -> Iterator[str]:
        for base in self._bases:
            for path in self._paths:
                yield base.join(path)
        yield from self._absolute

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...
    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        return list(self)[at]
