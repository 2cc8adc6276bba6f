"""Package metadata as createrepo_c writes it, of any number of packages, always the same for the same seed."""

from __future__ import annotations

import hashlib
import random

import createrepo_c as cr

ROOTS = {
    "primary": b'<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"',
    "filelists": b'<filelists xmlns="http://linux.duke.edu/metadata/filelists"',
    "other": b'<otherdata xmlns="http://linux.duke.edu/metadata/other"',
}
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def package(number: int, seed: int = 1) -> cr.Package:
    """A package; some have odd texts, none of them odd fields that we read."""
    pick = random.Random(f"{seed}-{number}")
    made = cr.Package()
    made.name = pick.choice(["libc++", "foo", "python3-bar", "a_b", "x"]) + str(number)
    made.arch = pick.choice(["x86_64", "noarch", "i686", "src"])
    made.epoch = pick.choice(["0", "0", "1", "12"])
    made.version = pick.choice(["1.0", "2.3~rc1", "0^20240101git", "10.2.1"])
    made.release = pick.choice(["1", "2.fc41", "1.el9_2.1"])
    made.pkgId = hashlib.sha256(f"{seed}-{number}".encode()).hexdigest()
    made.checksum_type = "sha256"
    made.summary = pick.choice(["A thing", "", "Wörter & <Zeichen>", 'a "quote" and a > sign'])
    made.description = pick.choice(["Long\ntext\n\nof lines", "", "</package> is only text here", "x" * 3000])
    made.url = pick.choice(["https://mirror.example/?a=1&b=2", ""])
    made.rpm_license = pick.choice(["MIT", ""])
    made.rpm_vendor = pick.choice(["", "Vendor & Sons"])
    made.rpm_group = "Unspecified"
    made.rpm_buildhost = "build.example"
    made.rpm_sourcerpm = f"{made.name}-{made.version}-{made.release}.src.rpm"
    made.rpm_packager = pick.choice(["", "Packager <p@mirror.example>"])
    made.rpm_header_start, made.rpm_header_end = 4504, 4504 + pick.randrange(100_000)
    made.size_package, made.size_installed, made.size_archive = (pick.randrange(10**9) for _ in range(3))
    made.time_file, made.time_build = 1_700_000_000 + number, 1_600_000_000 + pick.randrange(10**8)
    made.location_href = f"Packages/{made.name[0]}/{made.name}-{made.version}-{made.release}.{made.arch}.rpm"
    made.provides = [(made.name, "EQ", made.epoch, made.version, made.release, False)]
    made.requires = [("rtld(GNU_HASH)", None, None, None, None, False), ("(a if b)", None, None, None, None, True)]
    made.files = [("dir", "/usr/share/", f"d{number}")] if number % 3 else []
    made.files += [(pick.choice(["", "ghost"]), "/usr/bin/", f"f & {i}") for i in range(pick.randrange(40))]
    made.changelogs = [("A <a@mirror.example> - 1-1", 1_600_000_000, "- über\n- & more") for _ in range(number % 4)]
    return made


def packages(count: int, seed: int = 1) -> list[cr.Package]:
    return [package(number, seed) for number in range(count)]


def dump(kind: str, made: cr.Package) -> bytes:
    """One ``<package>`` element of primary, filelists or other, without the final line end."""
    text: str = getattr(cr, f"xml_dump_{kind}")(made)
    return text.encode().strip()


def document(kind: str, records: list[bytes], count: int | None = None, declaration: bytes = DECLARATION) -> bytes:
    """A whole file around the records."""
    root = ROOTS[kind]
    attribute = b' packages="%d">\n' % (len(records) if count is None else count)
    close = b"</" + root[1 : root.index(b" ")] + b">\n"
    return declaration + root + attribute + b"\n".join(records) + b"\n" + close
