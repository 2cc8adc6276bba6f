"""Which bytes of a suite's top files may be believed: InRelease first, else Release with Release.gpg. Pure.

Flow    the bytes of the top files + a keyring -> Trusted(text to parse, who signed), or a TrustError
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mpsync.plugin.declare import TrustError
from mpsync.plugin.openpgp import Keyring, Unsigned, Verified, verify_detached, verify_inline

INRELEASE, RELEASE, RELEASE_GPG = "InRelease", "Release", "Release.gpg"
_BEGIN, _SIGNATURE = b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP SIGNATURE-----"


class NoLongerSigned(TrustError):
    """A suite that was signed when we last synced is not signed any more (CVE-2014-0488's class)."""

    hint = "if upstream really gave up signing: --no-verify"

    def __init__(self, where: str) -> None:
        super().__init__(where, "was signed before and is not any more")
        self.args = (where,)


class NoRelease(TrustError):
    """Upstream has no top file where we look for it: mostly a wrong URL or suite."""

    hint = "check the URL (the folder that holds dists/) and --suite; a flat repository's suite ends in /, as ./"
    expected, got = f"{INRELEASE}, or {RELEASE} with {RELEASE_GPG}", "neither"

    def __init__(self, where: str, url: str | None = None) -> None:
        super().__init__(url or where, f"has neither {INRELEASE} nor {RELEASE}")
        self.args = (where, url)
        self.url = url


@dataclass(frozen=True, slots=True)
class Trusted:
    """text: the bytes to parse. verified: who vouches for them; None only when verification is off. name: the file
    used."""

    text: bytes
    verified: Verified | None
    name: str


def trusted_release(
    inrelease: bytes | None,
    release: bytes | None,
    release_gpg: bytes | None,
    keyring: Keyring | None,
    now: datetime,
    *,
    where: str,
    was_signed: bool = False,
    url: str | None = None,
) -> Trusted:
    """Choose and verify the top file of one suite.

    inrelease, release, release_gpg  their bytes; None when upstream doesn't have it. InRelease wins (A3)
    keyring     None: verification is off; an InRelease is then still unwrapped
    now         aware UTC
    was_signed  the state we hold came from a verified file: an unsigned one is refused as such
    url         of the folder where they were asked for, for the error
    raises      TrustError leaves of openpgp; NoLongerSigned; NoRelease
    """
    if inrelease is not None:
        at = f"{where}/{INRELEASE}"
        if keyring is None:
            return Trusted(unwrapped(inrelease), None, INRELEASE)
        try:
            verified = verify_inline(inrelease, keyring, now, where=at)
        except Unsigned:
            if was_signed:
                raise NoLongerSigned(at) from None
            raise
        return Trusted(verified.text, verified, INRELEASE)
    at = f"{where}/{RELEASE}"
    if release is None:
        raise NoRelease(where, url)
    if keyring is None:
        return Trusted(release, None, RELEASE)
    if release_gpg is None or not release_gpg.strip():
        raise NoLongerSigned(at) if was_signed else Unsigned(at)
    verified = verify_detached(release, release_gpg, keyring, now, where=f"{where}/{RELEASE_GPG}")
    return Trusted(verified.text, verified, RELEASE)


def unwrapped(inrelease: bytes) -> bytes:
    """The text of a clearsigned file, without any check: only for a sync that was told not to verify."""
    start = inrelease.find(_BEGIN)
    if start < 0:
        return inrelease
    text = inrelease[start:].replace(b"\r\n", b"\n")
    body = text.partition(b"\n\n")[2].partition(_SIGNATURE)[0]
    return b"".join(line[2:] if line.startswith(b"- ") else line for line in body.splitlines(keepends=True))
