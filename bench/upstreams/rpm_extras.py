"""What a repository has besides packages: advisories, comps and modules, drawn from the packages' seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import createrepo_c

from bench.upstreams import words

cr: Any = createrepo_c  # its stubs lack half of it


@dataclass(frozen=True, slots=True)
class Built:
    """What the extras say of a package."""

    name: str
    epoch: str
    version: str
    release: str
    arch: str
    href: str


def updateinfo(seed: int, built: Sequence[Built], count: int) -> bytes:
    """``count`` advisories of one to a dozen packages each."""
    made = cr.UpdateInfo()
    for number in range(count):
        draw = random.Random(f"{seed}:advisory:{number}")
        record = cr.UpdateRecord()
        record.id, record.status, record.version = f"BENCH-2025-{number:06d}", "final", "2.0"
        record.type = draw.choice(("security", "bugfix", "enhancement", "newpackage"))
        record.fromstr, record.severity = (
            "bench@mirror.example",
            draw.choice(("Low", "Moderate", "Important", "Critical")),
        )
        record.title, record.summary = words.sentence(draw, 6), words.sentence(draw, 12)
        record.description = words.sentence(draw, draw.randint(20, 120))
        record.issued_date = record.updated_date = datetime(2025, 1, 1 + number % 28)
        reference = cr.UpdateReference()
        reference.href, reference.id = f"https://bugs.mirror.example/{number}", str(number)
        reference.type, reference.title = "bugzilla", words.sentence(draw, 5)
        record.append_reference(reference)
        collection = cr.UpdateCollection()
        collection.shortname, collection.name = "BENCH", "Bench"
        for package in draw.sample(built, min(len(built), draw.randint(1, 12))):
            listed = cr.UpdateCollectionPackage()
            for field in ("name", "epoch", "version", "release", "arch"):
                setattr(listed, field, getattr(package, field))
            listed.filename = package.href.rpartition("/")[2]
            collection.append(listed)
        record.append_collection(collection)
        made.append(record)
    return bytes(made.xml_dump().encode())


def comps(seed: int, built: Sequence[Built], count: int) -> bytes:
    """``count`` groups, one category of all of them, one environment, one language pack."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<comps>"]
    for number in range(count):
        draw = random.Random(f"{seed}:group:{number}")
        lines += [f"  <group>\n    <id>group-{number}</id>\n    <name>{words.sentence(draw, 2)}</name>"]
        lines += [
            f'    <name xml:lang="de">Gruppe {number}</name>\n    <description>{words.sentence(draw, 9)}</description>'
        ]
        lines += ["    <default>false</default>\n    <uservisible>true</uservisible>\n    <packagelist>"]
        for package in draw.sample(built, min(len(built), draw.randint(2, 30))):
            kind = draw.choice(("mandatory", "default", "optional"))
            lines.append(f'      <packagereq type="{kind}">{package.name}</packagereq>')
        lines += ["    </packagelist>\n  </group>"]
    groups = "".join(f"<groupid>group-{number}</groupid>" for number in range(count))
    lines += [
        f"  <category><id>all</id><name>All</name><description>All</description><grouplist>{groups}</grouplist></category>"
    ]
    lines += [
        "  <environment><id>everything</id><name>Everything</name><description>Everything</description>"
        f"<grouplist>{groups}</grouplist></environment>"
    ]
    lines += ['  <langpacks><match name="bench" install="bench-langpack-%s"/></langpacks>', "</comps>", ""]
    return "\n".join(lines).encode()


def modules(seed: int, built: Sequence[Built], count: int) -> bytes:
    """``count`` module streams with artifacts of their own, and the defaults of each."""
    documents = []
    for number in range(count):
        draw = random.Random(f"{seed}:module:{number}")
        chosen = draw.sample(built, min(len(built), draw.randint(1, 8)))
        nevras = [f"{one.name}-{one.epoch}:{one.version}-{one.release}.{one.arch}" for one in chosen]
        artifacts = "".join(f"    - {nevra}\n" for nevra in nevras)
        documents.append(
            "---\ndocument: modulemd\nversion: 2\ndata:\n"
            f'  name: module{number}\n  stream: "{number}.0"\n  version: {20250101000000 + number}\n'
            f"  context: {draw.randbytes(4).hex()}\n  arch: x86_64\n  summary: {words.sentence(draw, 4)}\n"
            f"  description: >-\n    {words.sentence(draw, 12)}\n  license:\n    module:\n    - MIT\n"
            f"  profiles:\n    default:\n      rpms:\n      - {chosen[0].name}\n"
            f"  artifacts:\n    rpms:\n{artifacts}...\n"
            f"---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: module{number}\n"
            f'  stream: "{number}.0"\n  profiles:\n    "{number}.0": [default]\n...\n'
        )
    return "".join(documents).encode()
