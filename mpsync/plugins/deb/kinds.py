"""Kinds of Debian content."""

from __future__ import annotations

PACKAGE = "deb.package"  # a stanza of a binary Packages index
UDEB = "deb.udeb"  # a stanza of a debian-installer Packages index
SOURCE = "deb.source"  # a stanza of a Sources index
INSTALLER_FILE = "deb.installer_file"  # a line of SHA256SUMS or MD5SUMS below installer-*/…/images
RELEASE_FILE = "deb.release_file"  # InRelease, Release, Release.gpg
INDEX = "deb.index"  # a Packages, Sources or *SUMS file itself
METADATA = "deb.metadata"  # every other file that Release names: Contents, Translation, DEP-11, cnf, per-arch Release

ALL = (PACKAGE, UDEB, SOURCE, INSTALLER_FILE, RELEASE_FILE, INDEX, METADATA)
