"""Names, versions, dependencies and descriptions that look like a distribution's, drawn from a seed.

Package ``n`` of a seed is the same whatever the size of its repository, and depends only on packages before it.
"""

from __future__ import annotations

import random
from functools import lru_cache

_PREFIXES = ("", "lib", "python3-", "golang-github-", "node-", "ruby-", "r-cran-", "librust-", "lib", "", "", "fonts-")
_SUFFIXES = ("", "", "", "-dev", "-doc", "-data", "-common", "-bin", "-dbg", "-utils", "1", "2", "-perl", "-tools")
_STEM_TEXT = (
    "alder amber arrow aspen audio basil beacon birch bolt bridge canvas carbon cedar cipher clock cloud comet copper "
    "crane delta drift ember falcon fern field flint flow forge frost gamma garnet glass grain graph grove harbor hazel "
    "heron image index iris ivory jade junco kernel lantern lark layer ledger lemon light linen lumen maple marble media "
    "meadow mesh mint mirror moss nectar north oak ocean olive onyx opal orbit otter packet pearl pebble pine pixel plume "
    "prism quartz quill raven reed ridge river robin rowan sage salt shell signal silver slate spark spruce stone stream "
    "swift tempo terra thistle thorn tide timber topaz vector velvet violet wave willow winter wren yarrow zephyr"
)
_STEMS = _STEM_TEXT.split()
_WORD_TEXT = (
    "a fast small library tool for reading writing parsing network image audio video database files common data headers "
    "development documentation simple portable bindings interface to the of and with support multiple formats protocol "
    "client server daemon command line graphical modern lightweight efficient implementation module plugin framework "
    "runtime engine shared static examples tests generic"
)
_WORDS = _WORD_TEXT.split()
_SECTION_TEXT = "admin devel doc games libdevel libs net perl python science sound utils web"
SECTIONS = tuple(_SECTION_TEXT.split())
_PEOPLE = ("Ada", "Bram", "Chloe", "Dmitri", "Elif", "Femi", "Greta", "Hiro", "Ines", "Jonas", "Kofi", "Lena", "Märta")
_FACETS = (
    "role::program",
    "implemented-in::c",
    "interface::commandline",
    "scope::utility",
    "uitoolkit::gtk",
    "devel::library",
)


@lru_cache(maxsize=1 << 17)  # relations name the same packages again and again
def name_of(seed: int, number: int) -> str:
    """The name of package ``number``; unique, a letter or digit first."""
    draw = random.Random(f"{seed}:name:{number}")
    stem = draw.choice(_STEMS)
    if draw.random() < 0.5:
        stem += "-" + draw.choice(_STEMS)
    return f"{draw.choice(_PREFIXES)}{stem}{number}{draw.choice(_SUFFIXES)}"


def upstream_version(draw: random.Random) -> str:
    """``1:2.30.4+ds1``: mostly plain, some with an epoch, ``~`` or ``+``."""
    epoch = f"{draw.randint(1, 3)}:" if draw.random() < 0.08 else ""
    parts = ".".join(str(draw.randint(0, 40)) for _ in range(draw.choice((2, 3, 3, 3, 4))))
    tail = draw.choice(("", "", "", "", "+ds1", "+dfsg", "~rc2", "+git20220831"))
    return f"{epoch}{parts}{tail}"


def sentence(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(_WORDS, k=words))


def person(draw: random.Random) -> str:
    stem = draw.choice(_STEMS)
    if draw.random() < 0.6:
        return f"Debian {stem.title()} Maintainers <pkg-{stem}-maintainers@lists.mirror.example>"
    name = draw.choice(_PEOPLE)
    return f"{name} {stem.title()} <{name.lower().replace('ä', 'a')}@mirror.example>"


def relations(draw: random.Random, seed: int, number: int, mean: float) -> str:
    """``libc6 (>= 2.34), a, b | c``: exponentially many with this mean, on packages before ``number``."""
    found = ["libc6 (>= 2.34)"] if draw.random() < 0.6 else []
    for _ in range(min(40, int(draw.expovariate(1 / mean)))):
        other = name_of(seed, draw.randrange(number)) if number else "adduser"
        kind = draw.random()
        if kind < 0.55:
            other += f" ({draw.choice(('>=', '>=', '=', '<<'))} {upstream_version(draw)})"
        elif kind < 0.62:
            other += " | " + draw.choice(_STEMS)
        found.append(other)
    return ", ".join(found)


def tags(draw: random.Random) -> str:
    chosen = draw.sample(_FACETS, draw.randint(2, 5))
    return ", ".join(chosen[:3]) + (",\n " + ", ".join(chosen[3:]) if len(chosen) > 3 else "")


def files(draw: random.Random, name: str) -> list[str]:
    """Paths of a package without a leading slash: some have three, few have hundreds."""
    found = [f"usr/share/doc/{name}/changelog.Debian.gz", f"usr/share/doc/{name}/copyright"]
    folder = draw.choice(("usr/lib/x86_64-linux-gnu", "usr/share", "usr/include", "usr/lib/python3/dist-packages"))
    for number in range(min(400, int(draw.expovariate(1 / 18)) + 1)):
        leaf = draw.choice(_STEMS) + draw.choice((".so.1", ".h", ".py", ".html", ".png", "", ".conf"))
        found.append(f"{folder}/{name}/{draw.choice(_STEMS)}/{number}-{leaf}")
    return found
