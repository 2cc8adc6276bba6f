"""Which bytes of repomd.xml may be believed: its detached signature, and that it does not go back. Pure."""

from __future__ import annotations

from datetime import datetime

from mpsync.plugin.declare import TrustError
from mpsync.plugin.openpgp import Keyring, Unsigned, Verified, verify_detached
from mpsync.plugins.rpm.repomd import PATH

ASC = PATH + ".asc"
KEY = PATH + ".key"


class NoLongerSigned(TrustError):
    """A repository that was signed when we last synced is not signed any more (CVE-2014-0488's class)."""

    hint = "if upstream really gave up signing: --no-verify"

    def __init__(self, where: str) -> None:
        super().__init__(where, "was signed before and is not any more")
        self.args = (where,)


class KeyringMissing(TrustError):
    """The state we hold was verified with a key; now none is given."""

    hint = "give the key again with --keyring FILE, or --no-verify to go on without"

    def __init__(self, where: str) -> None:
        super().__init__(where, "was verified with a key before, and no --keyring is given now")
        self.args = (where,)


class Rollback(TrustError):
    """The revision is lower than that of the state we hold (A6)."""

    hint = (
        "the mirror is older than what is held, or replays it: use another one, or wait; "
        "if upstream counts anew: --accept-older"
    )

    def __init__(self, where: str, revision: int, held: int) -> None:
        super().__init__(where, f"revision {revision} is lower than {held}, which we hold")
        self.args = (where, revision, held)
        self.expected, self.got = f"{held} or more", str(revision)


def verified_repomd(
    repomd: bytes, signature: bytes | None, keyring: Keyring | None, now: datetime, *, where: str, was_signed: bool
) -> Verified | None:
    """Who vouches for ``repomd``; None when nobody was asked.

    keyring     None: verification is off
    was_signed  the state we hold was verified: an unsigned one is refused as such
    raises      TrustError leaves of openpgp; NoLongerSigned
    """
    if keyring is None:
        return None
    if signature is None or not signature.strip():
        raise NoLongerSigned(where) if was_signed else Unsigned(where)
    return verify_detached(repomd, signature, keyring, now, where=f"{where}.asc")
