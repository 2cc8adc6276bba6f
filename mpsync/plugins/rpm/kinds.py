"""Kinds of RPM content, and what may stand only once in a version.

A source package is an ``rpm.package`` of architecture ``src`` or ``nosrc``: primary.xml lists it with the same
element, it has file lists and a changelog like any other, and repositories mix both. ``is_source`` tells them apart,
for ``--skip srpm``.
"""

from __future__ import annotations

PACKAGE = "rpm.package"  # a <package> of primary.xml
FILELISTS = "rpm.filelists"  # a <package> of filelists.xml: named and joined to its package by NEVRA
OTHER = "rpm.other"  # a <package> of other.xml: the changelog
ADVISORY = "rpm.advisory"  # an <update> of updateinfo.xml
GROUP = "rpm.group"  # a <group> of comps.xml
CATEGORY = "rpm.category"  # a <category> of comps.xml
ENVIRONMENT = "rpm.environment"  # an <environment> of comps.xml
LANGPACKS = "rpm.langpacks"  # the <langpacks> of comps.xml
MODULEMD = "rpm.modulemd"  # a modulemd document of modules.yaml, version 1 or 2
MODULEMD_DEFAULTS = "rpm.modulemd_defaults"  # a modulemd-defaults document
MODULEMD_OBSOLETES = "rpm.modulemd_obsoletes"  # a modulemd-obsoletes document
TREE = "rpm.tree"  # a .treeinfo or treeinfo
REPO_FILE = "rpm.repo_file"  # repomd.xml, its signature and key, and every record of it that is kept as a file

ALL = (
    PACKAGE,
    FILELISTS,
    OTHER,
    ADVISORY,
    GROUP,
    CATEGORY,
    ENVIRONMENT,
    LANGPACKS,
    MODULEMD,
    MODULEMD_DEFAULTS,
    MODULEMD_OBSOLETES,
    TREE,
    REPO_FILE,
)

SOURCE_ARCHS = frozenset(("src", "nosrc"))


def is_source(arch: str) -> bool:
    """Whether a package of this architecture is a source package."""
    return arch in SOURCE_ARCHS


def evr_text(epoch: str, version: str, release: str) -> str:
    """``epoch:version-release`` as people write it: an epoch of 0 is left out."""
    return f"{version}-{release}" if epoch in ("", "0") else f"{epoch}:{version}-{release}"


def package_key(name: str, epoch: str, version: str, release: str, arch: str) -> str:
    """The NEVRA: one pkgid each in a version, except in a mirror-complete one."""
    return f"{name}-{epoch or '0'}:{version}-{release}.{arch}"


def module_key(name: str, stream: str, version: int, context: str, arch: str) -> str:
    """The NSVCA of a modulemd document."""
    return f"{name}:{stream}:{version}:{context}:{arch}"


def obsoletes_key(module: str, stream: str, context: str | None, modified: str) -> str:
    """An obsoletes document: several may exist of one stream, the latest ``modified`` counts."""
    return f"{module}:{stream}:{context or ''}:{modified}"


# Of the other kinds the natural key is one field: an advisory's, group's, category's and environment's id, a defaults
# document's module, a repository file's record type; a repository has one <langpacks> and one tree.
