"""Contests: every peer that is there, taking turns on the same upstream; times of whole commands, and ratios to mpsync."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import deb_upstreams, page_cache
from bench.measure import CommandFailed, run_command
from bench.peers import deb_mirrors, parsers, pulp, rpm_mirrors
from bench.peers.peer import BY_CPU, CONTESTS, DEB_IMMEDIATE, RPM_MIRROR, RPM_PARSE, Job, Peer
from bench.peers.pulp import PulpFailed
from bench.results import Case, Result
from bench.scenario import Context, Options
from bench.scenarios.sync_deb_immediate import PACKAGES
from bench.sync_runs import Upstream
from bench.upstreams.cache import out_dir

_MIN_REPEAT = 3
INSTALLED = (*deb_mirrors.PEERS, *parsers.PEERS, *rpm_mirrors.PEERS)


def run(options: Options, only: tuple[str, ...] = (), peers: tuple[Peer, ...] | None = None) -> Result:
    """only: names of peers; mpsync always takes part. Raises ValueError for a name that is nobody's.

    peers  those who may enter; everyone by default. ``options.cold_cache``: each contest also from a cold page cache
    """
    if peers is None:
        peers = (*INSTALLED, *pulp.peers(options.pulp, may_clean=options.pulp_cleanup))
    unknown = set(only) - {peer.name for peer in peers}
    if unknown:
        names = ", ".join(sorted({peer.name for peer in peers}))
        raise ValueError(f"no peer named {', '.join(sorted(unknown))}; there are {names}")
    result = Result(
        "peers", "How long do others take for the same work, on the same upstream and machine?", options.as_json()
    )
    work = Path(tempfile.mkdtemp(prefix="work-", dir=out_dir()))
    work.chmod(0o755)  # apt-mirror and others may drop privileges
    context = Context(options, result, work)
    upstreams: dict[str, dict[str, object]] = {}
    try:
        for contest in CONTESTS:
            entered = [peer for peer in peers if peer.contest == contest]
            if only and not any(peer.name in only and peer.name != "mpsync" for peer in entered):
                continue
            present = [peer for peer in entered if _takes_part(context, peer, only)]
            if any(peer.name != "mpsync" for peer in present):
                _contest(context, contest, present)
                upstreams[contest] = result.upstream
    finally:
        shutil.rmtree(work, ignore_errors=True)
    result.upstream = {"contests": upstreams, "seed": options.seed}
    result.cases = [case for case in result.cases if case.values]
    for case in result.cases:
        _compare_with_mpsync(case, result.cases)
    return result


def _compare_with_mpsync(case: Case, cases: list[Case]) -> None:
    """The ratio is the median of the turns' own ratios: what made one turn slow made its neighbour slow too."""
    contest = (case.name, case.params["cache"])
    own = next((o for o in cases if (o.name, o.params["cache"]) == contest and o.params["peer"] == "mpsync"), None)
    if own is None or own is case:
        return
    case.floor, case.floor_name = own.median, "mpsync"
    if len(own.values) == len(case.values):
        case.pair_ratios = [one / mine for one, mine in zip(case.values, own.values, strict=True)]


def _takes_part(context: Context, peer: Peer, only: tuple[str, ...]) -> bool:
    if only and peer.name not in (*only, "mpsync"):
        return False
    if not peer.is_there():
        context.note(f"SKIPPED {peer.name} ({peer.contest}): not installed; {peer.install}")
        return False
    return True


def _contest(context: Context, contest: str, peers: list[Peer]) -> None:
    options = context.options
    repeat = 1 if options.quick else max(_MIN_REPEAT, options.repeat)
    caches = ("warm", "cold") if options.cold_cache else ("warm",)
    out: list[str] = []
    print(f"{contest}: {', '.join(peer.name for peer in peers)}", file=sys.stderr)
    with _upstream(context, contest) as upstream:
        for number in range(repeat):
            turn = peers[number % len(peers) :] + peers[: number % len(peers)]  # nobody always follows the same one
            for cache in caches:
                for peer in turn:
                    if peer.name in out:
                        continue
                    try:
                        _one(context, contest, peer, upstream, cache)
                    except (CommandFailed, PulpFailed, OSError, ValueError, KeyError, IndexError) as exc:
                        out.append(peer.name)
                        context.note(f"FAILED {peer.name} ({contest}): {exc}")
            context.say(f"{contest}: repetition {number + 1} of {repeat}")


def _one(context: Context, contest: str, peer: Peer, upstream: Upstream, cache: str) -> None:
    case = context.case(contest, "s", peer=peer.name, cache=cache)
    with context.folder("peer") as folder:
        folder.chmod(0o755)
        job = Job(upstream, folder)
        peer.prepare(job)
        (page_cache.drop if cache == "cold" else page_cache.warm)(upstream.shown)
        measured = run_command(peer.command(job), data_dir=folder / "data")
        found = peer.finds(job, measured.stdout)
    if found != upstream.packages:
        raise ValueError(f"it has {found} packages instead of {upstream.packages}: {measured.stderr.strip()[-500:]}")
    case.values.append(measured.wall_s)
    case.details.append({**measured.as_json(), "remark": peer.remark, "packages_per_s": round(found / measured.wall_s)})
    if contest in BY_CPU:
        context.case(f"{contest}, CPU", "s CPU", peer=peer.name, cache=cache).values.append(measured.total_cpu_s)


@contextmanager
def _upstream(context: Context, contest: str) -> Iterator[Upstream]:
    if contest in (RPM_MIRROR, RPM_PARSE):
        from bench import rpm_upstreams

        upstream = rpm_upstreams.repository(context)
    else:
        upstream = deb_upstreams.suite(
            context, payload=contest == DEB_IMMEDIATE, full=PACKAGES if contest == DEB_IMMEDIATE else None
        )
    with upstream.served(context.work):
        yield upstream
