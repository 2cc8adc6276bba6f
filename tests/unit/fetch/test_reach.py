"""Reach: where redirects and absolute hrefs may lead (mirror-failures B10, H11, H13, H14)."""

from __future__ import annotations

import pytest

from mpsync.fetch.errors import BadRedirect, ForbiddenUrl
from mpsync.fetch.reach import Place, Reach, Zone, place, shown, zone
from mpsync.model.remote import Remote

PUBLIC = Remote("https://mirror.example/debian/")


def at(url: str) -> Place:
    found = place(url)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("93.184.216.34", Zone.PUBLIC),
        ("2606:2800:220:1::1", Zone.PUBLIC),
        ("10.0.0.1", Zone.PRIVATE),
        ("100.64.0.1", Zone.PRIVATE),
        ("fd00::1", Zone.PRIVATE),
        ("224.0.0.1", Zone.PRIVATE),
        ("127.0.0.1", Zone.LOOPBACK),
        ("0.0.0.0", Zone.LOOPBACK),
        ("::1", Zone.LOOPBACK),
        ("::ffff:127.0.0.1", Zone.LOOPBACK),
        ("::ffff:169.254.169.254", Zone.LINK_LOCAL),
        ("64:ff9b::a9fe:a9fe", Zone.LINK_LOCAL),
        ("2002:a9fe:a9fe::", Zone.LINK_LOCAL),
        ("169.254.169.254", Zone.LINK_LOCAL),
        ("fe80::1%eth0", Zone.LINK_LOCAL),
        ("fd00:ec2::254", Zone.LINK_LOCAL),
    ],
)
def test_addresses_have_a_zone(address: str, where: Zone) -> None:
    assert zone(address) is where


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "http://mirror.example/debian/x",
        "file:///etc/passwd",
        "ftp://other.example/x",
        "gopher://other.example/",
        "https://user:pw@other.example/",
        "https://other.example/%0d%0aHost:evil",
        "https://other.example/\r\nX: y",
        "https://good.example\\@127.0.0.1/",
        "https://[::1/",
        "https://other.example:99999/",
        "",
        None,
    ],
)
def test_a_redirect_to_a_forbidden_place_is_refused(location: str | None) -> None:
    with pytest.raises(BadRedirect):
        Reach(PUBLIC).redirected(at("https://mirror.example/debian/a"), location)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/pool/a", "https://mirror.example/pool/a"),
        ("b", "https://mirror.example/debian/b"),
        ("//cdn.example/a", "https://cdn.example/a"),
        ("https://cdn.example?x=1#frag", "https://cdn.example/?x=1"),
        ("/a^b c", "https://mirror.example/a%5Eb%20c"),
    ],
)
def test_a_redirect_to_a_public_place_is_followed(location: str, url: str) -> None:
    assert Reach(PUBLIC).redirected(at("https://mirror.example/debian/a"), location).url == url


def test_a_base_on_a_private_network_leads_to_that_network_but_not_to_this_machine() -> None:
    reach = Reach(Remote("http://10.0.0.1/"))

    reach.check(at("http://192.168.1.1/"))
    for url in ("http://127.0.0.1/", "http://169.254.169.254/"):
        with pytest.raises(ForbiddenUrl):
            reach.check(at(url))


def test_a_base_on_this_machine_leads_to_it_and_to_its_network() -> None:
    reach = Reach(Remote("http://127.0.0.1:8000/"))

    reach.check(at("http://127.0.0.1:9000/"))
    reach.check(at("http://10.0.0.1/"))
    with pytest.raises(ForbiddenUrl, match="link-local"):
        reach.check(at("http://169.254.169.254/"))


def test_hosts_the_user_named_are_reached_wherever_they_are() -> None:
    reach = Reach(Remote("https://mirror.example/", allowed_hosts=("10.0.0.1", "127.0.0.1:81")))

    reach.check(at("https://10.0.0.1/"))
    reach.check(at("https://127.0.0.1:81/"))
    with pytest.raises(ForbiddenUrl):
        reach.check(at("https://127.0.0.1:82/"))


def test_a_name_is_judged_by_what_it_resolves_to() -> None:
    reach = Reach(PUBLIC)
    reach.note_base_address("93.184.216.34")

    assert reach.allows_address("cdn.example", 443, "93.184.216.35")
    assert not reach.allows_address("rebound.example", 443, "127.0.0.1")
    assert reach.allows_address("mirror.example", 443, "10.0.0.1")  # the user said so


def test_from_https_to_http_only_if_allowed() -> None:
    allowed = Reach(Remote("https://mirror.example/", allow_downgrade=True))

    allowed.check(at("http://mirror.example/a"))
    with pytest.raises(ForbiddenUrl, match="allow_downgrade"):
        Reach(PUBLIC).check(at("http://mirror.example/a"))


def test_credentials_belong_to_the_base_origin_and_its_upgrade_only() -> None:
    reach = Reach(Remote("http://mirror.example/"))

    assert reach.is_base(at("http://mirror.example:80/x"))
    assert reach.is_base(at("https://mirror.example/x"))
    assert not reach.is_base(at("http://mirror.example:8080/"))
    assert not reach.is_base(at("http://mirror.example.evil/"))
    assert not Reach(PUBLIC).is_base(at("http://mirror.example/"))


def test_what_is_shown_of_a_url_holds_no_secret_and_no_control_character() -> None:
    assert shown("https://u:p@h.example/a?token=t#f") == "https://h.example/a?…"
    assert shown("http://h/\x1b[31mx") == "http://h/�[31mx"
