"""The RPM upstreams of scenarios and peers, by their options: a generated repository, or a real one by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.scenario import Context
from bench.sync_runs import Upstream
from bench.upstreams import rpm
from mpsync.plugins.rpm.repomd import PATH, parse_repomd

FULL_PACKAGES = 60_000


def repository(context: Context, scale: int = 1, compression: str = "gz") -> Upstream:
    """Two generations, the second with one new package. A real one by path has one generation, and is not signed by us."""
    options = context.options
    if options.upstream is not None and (options.upstream / PATH).exists():
        folders = (options.upstream, options.upstream)
        packages = _packages_in(options.upstream)
        context.result.upstream = {"source": str(options.upstream), "packages": packages}
        return Upstream("rpm", (), folders, options.upstream, packages)
    packages = options.count(FULL_PACKAGES) * scale
    made: dict[str, Any] = {"seed": options.seed, "compression": compression}
    folders = (rpm.generated(packages, **made), rpm.generated(packages, change=True, **made))
    source = f"generated, seed {options.seed}, {compression}"
    context.result.upstream = {"source": source, "packages": packages // scale, "seed": options.seed}
    return Upstream("rpm", ("--keyring", str(folders[0] / "keyring.gpg")), folders, folders[0], packages)


def _packages_in(folder: Path) -> int:
    import createrepo_c

    cr: Any = createrepo_c  # its stubs lack half of it
    found = parse_repomd((folder / PATH).read_bytes())
    seen = 0

    def count(_: Any) -> bool:
        nonlocal seen
        seen += 1
        return True

    cr.xml_parse_primary(str(folder / found.parsed["primary"].location), pkgcb=count, do_files=False)
    return seen
