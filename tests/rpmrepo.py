"""Small RPM repositories, written with createrepo_c's binding and served by an Upstream: generations, faults, odd records.

repo = RpmRepo()
repo.add("hello", "1.0")
repo.texts["updateinfo"] = updateinfo(advisory("A-1", ["hello-1.0-1.x86_64"]))
repo.publish(upstream)            # repodata/ and the packages
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import createrepo_c as cr
import pysequoia as pgp
import zstandard
from debrepo import KEY
from upstream import Upstream

REPOMD, ASC, PUBLIC_KEY = "repodata/repomd.xml", "repodata/repomd.xml.asc", "repodata/repomd.xml.key"
ROOTS = {
    "primary": (
        '<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" '
        'packages="{count}">',
        "</metadata>",
    ),
    "filelists": ('<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="{count}">', "</filelists>"),
    "other": ('<otherdata xmlns="http://linux.duke.edu/metadata/other" packages="{count}">', "</otherdata>"),
}
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
}
Edit = Callable[[str], str]


@dataclass
class RpmRepo:
    """One repository. ``publish`` may be called again: that is the next generation.

    prefix    where it lies below the upstream's root, "" or with a trailing slash
    texts     {record type: text} beside the package files, or instead of one of them
    edits     {record type: what to do with its text, "repomd" with the finished repomd.xml, "<data type>" with
              its element of it}
    left_out  record types that repomd.xml doesn't name
    """

    prefix: str = ""
    revision: int = 1000
    suffix: str = ".gz"
    packages: list[cr.Package] = field(default_factory=list)
    payloads: dict[str, bytes] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    edits: dict[str, Edit] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    more: dict[str, bytes] = field(default_factory=dict)  # path below the root -> bytes, named nowhere
    repomd: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)  # as published last: path below the root -> bytes

    def add(
        self,
        name: str,
        version: str = "1.0",
        release: str = "1",
        arch: str = "x86_64",
        *,
        epoch: str = "0",
        built: int = 1_600_000_000,
        href: str | None = None,
        payload: bytes | None = None,
        files: int = 3,
    ) -> cr.Package:
        """Add a package; its pkgid is the sha256 of its payload, which says all that the arguments say."""
        made = cr.Package()
        made.name, made.version, made.release, made.epoch, made.arch = name, version, release, epoch, arch
        if payload is None:
            payload = f"{name}-{epoch}:{version}-{release}.{arch} built {built}".encode()
        made.pkgId, made.checksum_type = hashlib.sha256(payload).hexdigest(), "sha256"
        made.summary, made.description = f"{name} & more", "Texte <für> Menschen"
        made.url, made.rpm_license, made.rpm_group = "https://mirror.example/", "MIT", "Unspecified"
        made.rpm_buildhost, made.rpm_sourcerpm = "build.example", f"{name}-{version}-{release}.src.rpm"
        made.rpm_header_start, made.rpm_header_end = 100, 200
        made.size_package, made.size_installed, made.size_archive = len(payload), 1000, 1000
        made.time_file = made.time_build = built
        made.location_href = href or f"Packages/{name}-{version}-{release}.{arch}.rpm"
        made.provides = [(name, "EQ", epoch, version, release, False)]
        made.files = [("", "/usr/share/", f"{name}-{number}") for number in range(files)]
        made.changelogs = [("A <a@mirror.example> - 1-1", built, f"- {name} {version}")]
        self.packages.append(made)
        self.payloads[made.location_href] = payload
        return made

    def drop(self, name: str) -> None:
        self.packages = [package for package in self.packages if package.name != name]

    def records(self, role: str) -> list[bytes]:
        """The ``<package>`` elements of primary, filelists or other, as they stand in the file."""
        dump = getattr(cr, f"xml_dump_{role}")
        return [dump(package).strip().encode() for package in self.packages]

    def text(self, role: str) -> bytes:
        """The whole uncompressed file of a record type."""
        if role in self.texts:
            made = self.texts[role]
        else:
            opening, closing = ROOTS[role]
            lines = [
                '<?xml version="1.0" encoding="UTF-8"?>',
                opening.format(count=len(self.packages)),
                *(record.decode() for record in self.records(role)),
                closing,
                "",
            ]
            made = "\n".join(lines).encode()
        return self.edits[role](made.decode()).encode() if role in self.edits else made

    def publish(
        self, upstream: Upstream, *, key: pgp.Tsk | None = None, tick: bool = True, payloads: bool = True
    ) -> str:
        """Serve this generation; key None: unsigned. Returns the repository's URL."""
        if tick:
            self.revision += 1
        self.files = dict(self.more)
        elements = []
        for role in dict.fromkeys((*ROOTS, *self.texts)):
            if role in self.left_out:
                continue
            text = self.text(role)
            packed = COMPRESS[self.suffix](text)
            digest = hashlib.sha256(packed).hexdigest()
            name = {"group": "comps.xml", "modules": "modules.yaml", "productid": "productid"}.get(role, f"{role}.xml")
            path = f"repodata/{digest}-{name}{self.suffix}"
            element = (
                f'  <data type="{role}">\n    <checksum type="sha256">{digest}</checksum>\n'
                f'    <open-checksum type="sha256">{hashlib.sha256(text).hexdigest()}</open-checksum>\n'
                f'    <location href="{path}"/>\n    <timestamp>{self.revision}</timestamp>\n'
                f"    <size>{len(packed)}</size>\n    <open-size>{len(text)}</open-size>\n  </data>\n"
            )
            edit = self.edits.get(f"<data {role}>")
            elements.append(edit(element) if edit else element)
            self.files[path] = packed
        repomd = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo" '
            f'xmlns:rpm="http://linux.duke.edu/metadata/rpm">\n  <revision>{self.revision}</revision>\n'
            + "".join(elements)
            + "</repomd>\n"
        )
        self.repomd = (self.edits["repomd"](repomd) if "repomd" in self.edits else repomd).encode()
        self.files[REPOMD] = self.repomd
        if payloads:
            for package in self.packages:
                self.files[package.location_href] = self.payloads[package.location_href]
        for path, data in self.files.items():
            upstream.serve(self.prefix + path, data)
        self.sign(upstream, key)
        return f"{upstream.url}/{self.prefix}".rstrip("/")

    def sign(self, upstream: Upstream, key: pgp.Tsk | None) -> None:
        """Serve the signature of the last generation, or take it away."""
        if key is None:
            for path in (ASC, PUBLIC_KEY):
                with suppress(KeyError):
                    upstream.remove(self.prefix + path)
            return
        self.files[ASC] = signature(self.repomd, key)
        self.files[PUBLIC_KEY] = bytes(key.extract_certificate())
        for path in (ASC, PUBLIC_KEY):
            upstream.serve(self.prefix + path, self.files[path])


def signature(data: bytes, key: pgp.Tsk = KEY) -> bytes:
    """A detached, armored one."""
    return bytes(pgp.sign(key.signer(), data, mode=pgp.SignatureMode.DETACHED, armor=True))


def advisory(
    name: str,
    packages: list[str],
    *,
    version: str = "1",
    date: str = "2024-01-01",
    title: str = "fixes",
    more: str = "",
) -> str:
    """An ``<update>`` with one collection. packages: name-version-release.arch, of epoch 0."""
    lines = []
    for nevra in packages:
        rest, _, arch = nevra.rpartition(".")
        package, number, release = rest.rsplit("-", 2)
        lines.append(
            f'<package name="{package}" version="{number}" release="{release}" epoch="0" arch="{arch}">'
            f"<filename>{nevra}.rpm</filename></package>"
        )
    return (
        f'<update from="a@mirror.example" status="final" type="security" version="{version}"><id>{name}</id>'
        f'<title>{title}</title><issued date="{date}"/><updated date="{date}"/>{more}'
        f'<pkglist><collection short="c"><name>c</name>{"".join(lines)}</collection></pkglist></update>'
    )


def updateinfo(*advisories: str) -> bytes:
    return ('<?xml version="1.0"?>\n<updates>\n' + "\n".join(advisories) + "\n</updates>\n").encode()


def comps(*elements: str) -> bytes:
    return ('<?xml version="1.0"?>\n<comps>\n' + "\n".join(elements) + "\n</comps>\n").encode()


def group(name: str, title: str = "A group") -> str:
    return f"<group><id>{name}</id><name>{title}</name><packagelist/></group>"


def module(name: str, stream: str, *artifacts: str, version: int = 1) -> str:
    """A modulemd document; artifacts: name-epoch:version-release.arch."""
    rpms = "".join(f"\n      - {artifact}" for artifact in artifacts)
    return (
        f"---\ndocument: modulemd\nversion: 2\ndata:\n  name: {name}\n  stream: '{stream}'\n  version: {version}\n"
        f"  context: c0ffee\n  arch: x86_64\n  summary: {name}\n  artifacts:\n    rpms:{rpms or ' []'}\n...\n"
    )


def metalink(upstream: Upstream, repomd: bytes, *urls: str) -> str:
    """Serve a metalink of ``urls`` that promises ``repomd``; returns its URL."""
    resources = "".join(f'<url protocol="http" preference="9">{url}/{REPOMD}</url>' for url in urls)
    text = (
        '<?xml version="1.0"?><metalink version="3.0" xmlns="http://www.metalinker.org/"><files>'
        f'<file name="repomd.xml"><size>{len(repomd)}</size><verification>'
        f'<hash type="sha256">{hashlib.sha256(repomd).hexdigest()}</hash></verification>'
        f"<resources>{resources}</resources></file></files></metalink>"
    )
    return upstream.serve("metalink", text.encode())
