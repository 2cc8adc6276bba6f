"""Pulp 3 through its REST API, as a peer: ``python -m bench peers --pulp URL --pulp-cleanup``.

    python -m bench.peers.pulp URL deb|rpm UPSTREAM on_demand|immediate     # one sync: what is timed

Credentials come from MPSYNC_BENCH_PULP_AUTH (user:password) and are written nowhere. That Pulp must reach 127.0.0.1 of this
machine. Each turn begins cold: everything named mpsync-bench is deleted before and after it, and *all orphans of that
Pulp*, so nothing is done without ``--pulp-cleanup``: give it a Pulp of its own.

source  pulpcore 3.x REST API: remotes, repositories, tasks, orphans/cleanup
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

from bench.peers.peer import DEB_IMMEDIATE, DEB_ON_DEMAND, RPM_MIRROR, Job, Peer, printed
from bench.upstreams.deb import ARCH, COMPONENT, SUITE

NAME = "mpsync-bench"
AUTH = "MPSYNC_BENCH_PULP_AUTH"
_API = "/pulp/api/v3/"
_KINDS = {"deb": "deb/apt/", "rpm": "rpm/rpm/"}
_POLL_S = 0.1
_TIMEOUT_S = 60.0
_DONE, _FAILED = "completed", ("failed", "canceled", "skipped")


class PulpFailed(RuntimeError):
    """Pulp refused a request, or a task of it failed."""


class Pulp:
    """The few calls that a sync needs. url: of the server, without /pulp/api/v3/."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if auth := os.environ.get(AUTH):
            self._headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()

    def sync(self, plugin: str, upstream: str, policy: str) -> tuple[int, float]:
        """Create remote and repository, sync, wait; returns packages in the version, and the seconds of Pulp's own task."""
        remote: dict[str, Any] = {"name": NAME, "url": upstream, "policy": policy}
        how: dict[str, Any] = {"mirror": True}
        if plugin == "deb":
            remote |= {"distributions": SUITE, "components": COMPONENT, "architectures": ARCH}
        else:
            how = {"sync_policy": "mirror_content_only"}
        made = self._call("POST", f"{_API}remotes/{_KINDS[plugin]}", remote)
        repository = self._call("POST", f"{_API}repositories/{_KINDS[plugin]}", {"name": NAME})
        href = repository["pulp_href"]
        took_s = self._wait(self._call("POST", f"{href}sync/", {"remote": made["pulp_href"], **how}))
        version = self._call("GET", self._call("GET", href)["latest_version_href"])
        found = version["content_summary"]["present"].get(f"{plugin}.package", {"count": 0})
        return int(found["count"]), took_s

    def clean(self) -> None:
        """Delete what a turn left, and all orphans."""
        for what in ("repositories", "remotes"):
            for kind in _KINDS.values():
                for href in self._named(f"{_API}{what}/{kind}?name={NAME}"):
                    self._wait(self._call("DELETE", href))
        self._wait(self._call("POST", f"{_API}orphans/cleanup/", {"orphan_protection_time": 0}))

    def _named(self, path: str) -> Iterator[str]:
        """Hrefs; none where Pulp lacks the plugin."""
        try:
            yield from [found["pulp_href"] for found in self._call("GET", path)["results"]]
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 404:
                raise

    def _wait(self, answer: dict[str, Any]) -> float:
        """Until the task of an answer has ended; its own seconds. Raises PulpFailed."""
        while True:
            task = self._call("GET", answer["task"])
            if task["state"] == _DONE:
                return _seconds(task)
            if task["state"] in _FAILED:
                raise PulpFailed(f"task {task['state']}: {json.dumps(task.get('error'))[:500]}")
            time.sleep(_POLL_S)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(urljoin(self._url, path), data, self._headers, method=method)
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            found: dict[str, Any] = json.loads(answer.read() or b"{}")
        return found


def _seconds(task: dict[str, Any]) -> float:
    from datetime import datetime

    began, ended = (datetime.fromisoformat(task[name]) for name in ("started_at", "finished_at"))
    return (ended - began).total_seconds()


def peers(url: str | None, *, may_clean: bool) -> tuple[Peer, ...]:
    """Pulp in each contest that it can enter; not there without a URL and the leave to delete orphans."""
    contests = (
        (DEB_ON_DEMAND, "deb", "on_demand"),
        (DEB_IMMEDIATE, "deb", "immediate"),
        (RPM_MIRROR, "rpm", "on_demand"),
    )
    return tuple(_peer(url, may_clean, *contest) for contest in contests)


def _peer(url: str | None, may_clean: bool, contest: str, plugin: str, policy: str) -> Peer:
    address = url or ""

    def command(job: Job) -> list[str]:
        return [sys.executable, "-m", "bench.peers.pulp", address, plugin, job.upstream.url, policy]

    def finds(job: Job, stdout: str) -> int:
        Pulp(address).clean()
        return printed(job, stdout)

    return Peer(
        "pulp",
        contest,
        lambda: url is not None and may_clean,
        "give a Pulp 3 of its own: --pulp http://127.0.0.1:8080 --pulp-cleanup (deletes all its orphans)",
        command,
        finds,
        lambda job: Pulp(address).clean(),
        remark="in a running server, seen by a client; CPU and memory are the client's alone",
    )


def main(words: list[str]) -> int:
    url, plugin, upstream, policy = words
    try:
        found, took_s = Pulp(url).sync(plugin, upstream, policy)
    except (PulpFailed, OSError, KeyError) as error:
        print(f"pulp: {error!r}", file=sys.stderr)
        return 1
    print(f"Pulp's own task took {took_s:.3f} s", file=sys.stderr)
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
