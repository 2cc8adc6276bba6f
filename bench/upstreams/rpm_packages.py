"""One RPM package of a seed, as createrepo_c knows it; as rich as Fedora's.

About 2.6 KB of primary, 11 KB of filelists and 1.8 KB of other per package, most packages far less and a few far more.
"""

from __future__ import annotations

import random

import createrepo_c as cr

from bench.upstreams import words

_BUILT = 1_735_776_000  # 2 January 2025
_MEAN_FILES = 126
_FOLDERS = ("usr/share/doc", "usr/lib64", "usr/include", "usr/share", "usr/lib/python3.13/site-packages", "usr/libexec")
_FOLDER_NAMES = [words.sentence(random.Random(f"folder:{number}"), 2).replace(" ", "-") for number in range(300)]
_LEAVES = [
    words.sentence(random.Random(f"leaf:{number}"), 2).replace(" ", "_") + suffix
    for number in range(100)
    for suffix in (".h", ".py", ".so.1.0.0", ".html", ".png", ".mo", ".pyc", ".txt", "", ".conf")
]


def package(seed: int, number: int) -> cr.Package:
    """Package ``number``; it depends only on packages before it."""
    draw = random.Random(f"{seed}:rpm:{number}")
    made = cr.Package()
    name = words.name_of(seed, number)
    made.name, made.arch = name, draw.choice(("x86_64", "x86_64", "x86_64", "noarch", "noarch", "i686"))
    made.epoch = "1" if draw.random() < 0.06 else "0"
    made.version = ".".join(str(draw.randint(0, 40)) for _ in range(draw.choice((2, 3, 3))))
    made.release = f"{draw.randint(1, 30)}.fc41"
    made.checksum_type, made.pkgId = "sha256", draw.randbytes(32).hex()
    made.summary = words.sentence(draw, 7).capitalize()
    made.description = words.sentence(draw, min(400, 8 + int(draw.expovariate(1 / 38)))).capitalize() + "."
    made.url = f"https://{name}.mirror.example/"
    made.rpm_license = draw.choice(
        ("MIT", "GPL-2.0-or-later", "Apache-2.0", "LGPL-2.1-or-later AND MIT", "BSD-3-Clause")
    )
    made.rpm_vendor, made.rpm_group, made.rpm_packager = (
        "mpsync bench",
        "Unspecified",
        "mpsync bench <bench@mirror.example>",
    )
    made.rpm_buildhost = f"build{draw.randint(1, 40)}.mirror.example"
    made.rpm_sourcerpm = f"{name}-{made.version}-{made.release}.src.rpm"
    made.time_build = made.time_file = _BUILT + number % 86_400
    made.size_package = int(draw.lognormvariate(11, 1.8)) + 6000
    made.size_installed, made.size_archive = made.size_package * 3, made.size_package * 3 + 2000
    made.rpm_header_start, made.rpm_header_end = 4504, 4504 + draw.randint(3000, 60_000)
    made.location_href = f"Packages/{name[0]}/{name}-{made.version}-{made.release}.{made.arch}.rpm"
    own = (name, "EQ", made.epoch, made.version, made.release, False)
    made.provides = [own, (f"{name}({made.arch})", *own[1:]), *_relations(draw, seed, number, 2.5)]
    made.requires = [
        *_relations(draw, seed, number, 7.0),
        ("rpmlib(CompressedFileNames)", "LE", "0", "3.0.4", "1", True),
    ]
    for field, chance in (("obsoletes", 0.05), ("conflicts", 0.03), ("recommends", 0.1), ("suggests", 0.03)):
        if draw.random() < chance:
            setattr(made, field, _relations(draw, seed, number, 1.5))
    made.files = _files(draw, name)
    made.changelogs = _changelogs(draw)
    return made


def _relations(draw: random.Random, seed: int, number: int, mean: float) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for _ in range(min(120, int(draw.expovariate(1 / mean)))):
        other = words.name_of(seed, draw.randrange(number)) if number else "bash"
        kind = draw.random()
        if kind < 0.4:
            found.append((f"lib{other}.so.{draw.randint(0, 9)}()(64bit)", None, None, None, None, False))
        elif kind < 0.7:
            found.append((other, None, None, None, None, False))
        else:
            found.append(
                (
                    other,
                    draw.choice(("GE", "EQ", "LT")),
                    "0",
                    f"{draw.randint(0, 20)}.{draw.randint(0, 40)}",
                    None,
                    False,
                )
            )
    return found


def _files(draw: random.Random, name: str) -> list[tuple[str, str, str]]:
    """(type, folder with a slash, name): mostly a few, rarely thousands; now and then a program and a setting."""
    count = min(8000, 1 + int(_MEAN_FILES * 0.37 * draw.paretovariate(1.35)) - int(_MEAN_FILES * 0.37))
    found = [("dir", f"/usr/share/{name}", ""), ("", "/usr/bin/", name)] if draw.random() < 0.4 else []
    if draw.random() < 0.1:
        found.append(("", "/etc/", f"{name}.conf"))
    folders = [f"/{draw.choice(_FOLDERS)}/{name}/{leaf}/" for leaf in draw.choices(_FOLDER_NAMES, k=1 + count // 12)]
    found += [("", draw.choice(folders), leaf) for leaf in draw.choices(_LEAVES, k=count)]
    found.append(("ghost" if draw.random() < 0.05 else "", f"/usr/share/licenses/{name}/", "COPYING"))
    return list(dict.fromkeys(found))


def _changelogs(draw: random.Random) -> list[tuple[str, int, str]]:
    author = words.person(draw)
    count = min(10, 2 + int(draw.expovariate(1 / 7)))
    start = _BUILT - 86_400 * 30 * count
    return [
        (f"{author} - {number}.0-1", start + 86_400 * 30 * number, "- " + words.sentence(draw, draw.randint(3, 26)))
        for number in range(count)
    ]
