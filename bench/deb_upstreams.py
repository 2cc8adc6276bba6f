"""The Debian upstreams of scenarios and peers, by their options: a real suite by path, or a generated one."""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path

from bench.scenario import Context
from bench.sync_runs import Upstream
from bench.upstreams import deb

CHANGE = 0.01


def suite(context: Context, scale: int = 1, *, payload: bool = False, full: int | None = None) -> Upstream:
    """An upstream of two generations, the second with 1 % changed; made now or before, which may take a minute."""
    options = context.options
    if options.upstream is not None and not payload:
        what = {"suite": options.suite, "component": options.component, "arch": options.arch}
        folders = tuple(
            deb.from_real(options.upstream, change=change, scale=scale, seed=options.seed, **what)
            for change in (0.0, CHANGE)
        )
        source = f"{options.upstream} {options.suite}/{options.component}/{options.arch}"
        name, component, arch = options.suite, options.component, options.arch
    else:
        count = (options.count(full) if full else options.count()) * scale
        folders = tuple(
            deb.generated(count, seed=options.seed, payload=payload, change=change) for change in (0.0, CHANGE)
        )
        source = f"generated, seed {options.seed}, {'with real .debs' if payload else 'metadata only'}"
        name, component, arch = deb.SUITE, deb.COMPONENT, deb.ARCH
    index = folders[0] / "dists" / name / component / f"binary-{arch}" / "Packages.xz"
    packages = _packages_in(index)
    context.result.upstream = {"source": source, "packages": packages // scale, "seed": options.seed}
    words = ("--suite", name, "--component", component, "--arch", arch, "--keyring", str(folders[0] / "keyring.gpg"))
    return Upstream("deb", words, folders, index, packages)


@cache
def _packages_in(index: Path) -> int:
    text = lzma.decompress(index.read_bytes())
    return text.count(b"\nPackage: ") + text.startswith(b"Package: ")
