"""The bench's server gives whole files, by nginx and by the Python that stands in for it, and ends with its block."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from bench.upstreams import serve


@pytest.fixture(params=["nginx", "http.server"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    if name == "http.server":
        monkeypatch.setattr(serve, "nginx_program", lambda: None)
    elif serve.nginx_program() is None:
        pytest.skip("nginx is not installed")
    return name


def test_a_served_file_has_its_bytes_and_a_missing_one_is_404(tmp_path: Path, server: str) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool/a+b.deb").write_bytes(b"0123456789" * 1000)

    with serve.serving(tmp_path) as served:
        assert served.server == server
        with urllib.request.urlopen(f"{served.url}pool/a+b.deb") as answer:
            assert answer.read() == b"0123456789" * 1000
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"{served.url}nothing")
        refused.value.close()


def test_the_server_is_gone_after_its_block_and_after_an_error_in_it(tmp_path: Path, server: str) -> None:
    pid = 0
    with contextlib.suppress(ZeroDivisionError), serve.serving(tmp_path) as served:
        pid = served.pid
        assert psutil.pid_exists(pid)
        raise ZeroDivisionError

    assert pid
    assert not psutil.pid_exists(pid)
