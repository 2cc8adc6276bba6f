"""Parsers: a Packages index to the fields that are asked for, by mpsync, python-debian and python-apt.

Each runs as a program of its own, since the peers live in the system's Python; the whole program is timed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache

from bench.peers.peer import DEB_PARSE, RPM_PARSE, Job, Peer, printed

_FIELDS = "('Package', 'Version', 'Architecture', 'Filename', 'Size', 'SHA256')"

_MPSYNC = """
import sys
from pathlib import Path
from mpsync.plugin.decompress import open_chunks
from mpsync.plugins.deb import parse
from mpsync.plugins.deb.stanza import blocks
chunks = open_chunks(Path(sys.argv[1]), max_bytes=None)
print(sum(len(parse.parse_packages(block, 'bench')) for block in blocks(chunks, 'bench')))
"""

_DEBIAN = f"""
import lzma, sys
from debian.deb822 import Packages
seen = 0
with lzma.open(sys.argv[1]) as file:
    for stanza in Packages.iter_paragraphs(file, use_apt_pkg=False):
        seen += all([stanza[field] for field in {_FIELDS}])
print(seen)
"""

_APT = f"""
import sys
import apt_pkg
seen = 0
with apt_pkg.TagFile(sys.argv[1]) as stanzas:
    for stanza in stanzas:
        seen += all([stanza[field] for field in {_FIELDS}])
print(seen)
"""

_MPSYNC_RPM = """
import sys
from pathlib import Path
from mpsync.plugin.decompress import open_chunks
from mpsync.plugins.rpm import packages
from mpsync.plugins.rpm.repomd import PATH, parse_repomd
folder = Path(sys.argv[1])
found = parse_repomd((folder / PATH).read_bytes())
for role in ('other', 'filelists', 'primary'):
    record = found.parsed[role]
    chunks = open_chunks(folder / record.location, max_bytes=record.open_limit_bytes, chunk_bytes=packages.READ_BYTES)
    seen = sum(len(block) for block in getattr(packages, role)(role).read(chunks))
print(seen)
"""

_CREATEREPO_C = """
import sys
import createrepo_c as cr
repomd = cr.Repomd(sys.argv[1] + '/repodata/repomd.xml')
paths = {record.type + '_path': sys.argv[1] + '/' + record.location_href for record in repomd.records}
wanted = {name: paths[name] for name in ('primary_path', 'filelists_path', 'other_path')}
names = [name for name in dir(cr.Package) if name[0] != '_' and name not in ('copy', 'nevra', 'nvra')]
seen = 0
for package in cr.PackageIterator(**wanted):
    seen += len([getattr(package, name) for name in names]) > 0
print(seen)
"""


@cache
def _python_with(module: str) -> str | None:
    """A Python that can import ``module``: ours, or the system's."""
    for program in (sys.executable, "/usr/bin/python3", shutil.which("python3")):
        if program and not subprocess.run([program, "-c", f"import {module}"], capture_output=True).returncode:
            return program
    return None


def _peer(name: str, contest: str, module: str, install: str, text: str, remark: str = "") -> Peer:
    def command(job: Job) -> list[str]:
        return [_python_with(module) or "", "-c", text, str(job.upstream.index)]

    is_there: Callable[[], bool] = lambda: _python_with(module) is not None  # noqa: E731  # one of two lines that belong together
    return Peer(name, contest, is_there, install, command, printed, remark=remark)


PEERS = (
    _peer("mpsync", DEB_PARSE, "mpsync", "", _MPSYNC, "every stanza checked and keyed"),
    _peer("python-debian", DEB_PARSE, "debian", "apt install python3-debian", _DEBIAN, "six fields read"),
    _peer("python-apt", DEB_PARSE, "apt_pkg", "apt install python3-apt", _APT, "six fields read"),
    _peer("mpsync", RPM_PARSE, "mpsync", "", _MPSYNC_RPM, "every record checked"),
    _peer(
        "createrepo_c", RPM_PARSE, "createrepo_c", "pip install createrepo_c", _CREATEREPO_C, "every attribute touched"
    ),
)
