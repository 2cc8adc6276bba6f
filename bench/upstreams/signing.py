"""One OpenPGP key for all generated repositories, so that a changed generation is signed as its first one was."""

from __future__ import annotations

import os
from pathlib import Path

from pysequoia import SignatureMode, Tsk, sign

from bench.upstreams.cache import out_dir


class Signer:
    """Signs as the bench. The key is made at first use and rests in bench/out; it protects nothing."""

    def __init__(self, home: Path | None = None) -> None:
        path = (home or out_dir()) / "signing-key.pgp"
        if not path.exists():
            temp = path.with_name(f".{path.name}.{os.getpid()}")
            temp.write_bytes(bytes(Tsk.generate(user_id="mpsync bench <bench@mirror.example>")))
            temp.rename(path)
        self._key = Tsk.from_bytes(path.read_bytes())

    def keyring(self) -> bytes:
        """The public key, binary, as --keyring takes it."""
        return bytes(self._key.extract_certificate())

    def inline(self, text: bytes) -> bytes:
        """``text`` as a clear-signed message: InRelease."""
        return bytes(sign(self._key.signer(), text, mode=SignatureMode.CLEAR))

    def detached(self, text: bytes) -> bytes:
        """An armored signature: Release.gpg, repomd.xml.asc."""
        return bytes(sign(self._key.signer(), text, mode=SignatureMode.DETACHED))
