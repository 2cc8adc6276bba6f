"""Remote: what becomes of base URLs and paths (mirror-failures D1-D3, H13)."""

from __future__ import annotations

import pickle

import pytest

from mpsync.errors import ConfigError
from mpsync.model.remote import Remote


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("pool/g/g++_12.2.0-3_amd64.deb", "pool/g/g++_12.2.0-3_amd64.deb"),
        ("pool/a_1%3a2~rc1_all.deb", "pool/a_1%253a2~rc1_all.deb"),
        ("a b#c?d&e:f^g", "a%20b%23c%3Fd&e:f%5Eg"),
        ("Ünïcode", "%C3%9Cn%C3%AFcode"),
        (b"latin-\xe4".decode("utf-8", "surrogateescape"), "latin-%E4"),
        ('[x]{y}"|<>`\\', "%5Bx%5D%7By%7D%22%7C%3C%3E%60%5C"),
    ],
)
def test_join_quotes_what_a_url_can_not_hold_and_nothing_else(path: str, quoted: str) -> None:
    assert Remote("http://mirror.example/debian").join(path) == f"http://mirror.example/debian/{quoted}"


def test_join_sends_plus_as_percent_2b_where_the_remote_says_so() -> None:
    assert Remote("http://s3.example/", encode_plus=True).join("g++/a b") == "http://s3.example/g%2B%2B/a%20b"


def test_join_keeps_the_base_urls_query_behind_the_path() -> None:
    assert Remote("https://h.example/repo?token=x").join("repodata/repomd.xml") == (
        "https://h.example/repo/repodata/repomd.xml?token=x"
    )


def test_a_base_url_without_a_path_gets_one_slash() -> None:
    assert Remote("http://h.example").join("a") == Remote("http://h.example/").join("a") == "http://h.example/a"


def test_absolute_joins_paths_and_keeps_the_escapes_of_urls() -> None:
    remote = Remote("http://h.example/base/")

    assert remote.absolute(("a%b", "http://o.example/x%20y z")) == (
        "http://h.example/base/a%25b",
        "http://o.example/x%20y%20z",
    )


def test_credentials_leave_the_url_and_stay_out_of_the_repr() -> None:
    remote = Remote(
        "https://joe:s%40cret@h.example:8443/x", proxy="http://me:pr0xy@p.example", headers={"X-Key": "k3y"}
    )

    assert remote.url == "https://h.example:8443/x"
    assert (remote.username, remote.password) == ("joe", "s@cret")
    assert not [secret for secret in ("s@cret", "s%40cret", "pr0xy", "k3y") if secret in repr(remote)]


def test_a_remote_survives_pickling() -> None:
    remote = Remote("https://joe:secret@h.example/", headers={"a": "b"}, allowed_hosts=("c",))

    assert pickle.loads(pickle.dumps(remote)) == remote


def test_an_international_host_name_becomes_ascii() -> None:
    assert Remote("http://bücher.example/ä b").url == "http://xn--bcher-kva.example/%C3%A4%20b"


@pytest.mark.parametrize(
    "url",
    ["ftp://h/", "debian", "http:///x", "http://h:99999/", "http://h/\nx", "file://other.example/srv", "http://["],
)
def test_a_base_url_that_can_not_work_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError):
        Remote(url)


def test_headers_with_line_breaks_are_a_config_error() -> None:
    with pytest.raises(ConfigError, match="control characters"):
        Remote("http://h.example/", headers={"X": "a\r\nHost: evil"})


def test_file_urls_have_a_directory() -> None:
    remote = Remote("file:///srv/my%20mirror/")

    assert remote.is_local
    assert remote.directory == "/srv/my mirror/"
    assert remote.join("a+b c%") == "file:///srv/my%20mirror/a+b%20c%25"
