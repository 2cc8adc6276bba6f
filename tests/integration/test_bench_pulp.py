"""Pulp as a peer of the bench, by its REST API: a small server stands in for it and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bench.peers import pulp
from bench.peers.pulp import Pulp, PulpFailed

API = "/pulp/api/v3/"
REPOSITORY, REMOTE, TASK = f"{API}repositories/deb/apt/1/", f"{API}remotes/deb/apt/1/", f"{API}tasks/1/"


class Server(ThreadingHTTPServer):
    """asked: (method, path, body) of each request; states: of the task, one a look, the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[str | None] = []
        self.states = ["running", "completed"]
        self.named = [REPOSITORY]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        asked = self.command, self.path, body
        self.server.asked.append(asked)
        self.server.headers.append(self.headers.get("Authorization"))
        found = self._found(*asked)
        self.send_response(200 if found is not None else 404)
        self.end_headers()
        self.wfile.write(json.dumps(found or {}).encode())

    def _found(self, method: str, path: str, body: Any) -> Any:
        path, _, query = path.partition("?")
        if path == TASK:
            states = self.server.states
            state = states.pop(0) if len(states) > 1 else states[0]
            times = {"started_at": "2026-01-02T03:04:05.5Z", "finished_at": "2026-01-02T03:04:08Z"}
            return {"state": state, "error": {"reason": "no such suite"}, **times}
        if method == "DELETE" or path in (f"{REPOSITORY}sync/", f"{API}orphans/cleanup/"):
            return {"task": TASK}
        if query:  # by name
            if "/rpm/" in path:
                return None  # a Pulp without pulp_rpm
            return {"results": [{"pulp_href": href} for href in self.server.named if href.startswith(path)]}
        if path == REPOSITORY:
            return {"latest_version_href": f"{REPOSITORY}versions/1/"}
        if path.endswith("versions/1/"):
            return {"content_summary": {"present": {"deb.package": {"count": 60}}}}
        return {"pulp_href": f"{path}1/"}

    do_GET = do_POST = do_DELETE = _answer  # names of http.server

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_a_sync_waits_for_pulp_s_task_and_counts_the_packages(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(pulp.AUTH, "admin:secret")

    assert pulp.main([server.url, "deb", "http://mirror.example/", "on_demand"]) == 0

    out, err = capsys.readouterr()
    assert out == "60\n"
    assert "2.500 s" in err
    remote = server.asked[0]
    assert remote[:2] == ("POST", f"{API}remotes/deb/apt/")
    assert (remote[2]["url"], remote[2]["policy"]) == ("http://mirror.example/", "on_demand")
    assert ("POST", f"{REPOSITORY}sync/", {"remote": REMOTE, "mirror": True}) in server.asked
    assert [asked[1] for asked in server.asked].count(TASK) == 2
    assert set(server.headers) == {"Basic YWRtaW46c2VjcmV0"}


def test_a_failed_task_is_a_failed_command_with_pulp_s_words(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.states = ["failed"]

    assert pulp.main([server.url, "deb", "http://mirror.example/", "immediate"]) == 1
    assert "no such suite" in capsys.readouterr().err
    with pytest.raises(PulpFailed, match="no such suite"):
        Pulp(server.url).sync("deb", "http://mirror.example/", "immediate")


def test_cleaning_deletes_the_bench_s_own_things_then_orphans_and_passes_by_missing_plugins(server: Server) -> None:
    Pulp(server.url).clean()

    changes = [(method, path) for method, path, _ in server.asked if method != "GET"]
    assert changes == [("DELETE", REPOSITORY), ("POST", f"{API}orphans/cleanup/")]
    looked = [path for method, path, _ in server.asked if method == "GET" and path != TASK]
    assert all(path.endswith("?name=mpsync-bench") for path in looked)


@pytest.mark.parametrize(("url", "may_clean"), [(None, True), ("http://127.0.0.1:1", False)])
def test_without_a_url_and_the_leave_to_clean_pulp_takes_no_part_and_says_how(url: str | None, may_clean: bool) -> None:
    for peer in pulp.peers(url, may_clean=may_clean):
        assert not peer.is_there()
        assert "--pulp" in peer.install
        assert "--pulp-cleanup" in peer.install
