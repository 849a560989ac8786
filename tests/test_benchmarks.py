"""The programs in benchmarks/ that compare: that they run, measure what they say, and name what they could not."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from goscheds import Job, Scheduler
from goscheds.job import new_id
from goscheds.record import Outcome, State

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
RATE = {"store": "redis", "measure": "drain", "style": "sync", "jobs": 10, "server": "Redis 8"}
LATE = {
    **RATE,
    "measure": "lateness",
    "style": "",
    "p50": 1.0,
    "p95": 2.0,
    "p99": 3.0,
    "max": 4.0,
    "early": 0,
    "least": 0.5,
}
FIGURES = (
    {**RATE, "peer": "goscheds", "rate": 1.0, "trial": True},
    *({**RATE, "peer": "goscheds", "rate": rate} for rate in (3000.0, 1000.0, 2000.0)),
    {**RATE, "peer": "bare loop", "rate": 9000.0},
    {**RATE, "peer": "huey", "rate": 500.0},
    {**LATE, "peer": "huey", "early": 2, "least": -40.0},
    {**LATE, "peer": "goscheds"},
    {"store": "redis", "peer": "RQ", "measure": "drain", "style": "sync", "failed": "no such package"},
)


def run(*arguments: object) -> str:
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=100
    ).stdout


def test_a_table_has_the_medians_of_all_turns_and_what_was_not_measured(tmp_path):
    file = tmp_path / "figures.jsonl"
    file.write_text("".join(json.dumps(figure) + "\n" for figure in FIGURES))
    table = run(BENCHMARKS / "peers", "--table", file, "--plot", tmp_path / "peers.svg")
    assert "| goscheds |  |  | 2,000 (1,000 to 3,000) |  |" in table
    assert "| bare loop |  |  | 9,000 | 9,000 |" in table
    assert "2 of 10, by up to 40 ms" in table
    assert "- drain sync: RQ (no such package)" in table
    assert "| Redis, drain, sync handler | 4.0 \N{MULTIPLICATION SIGN} huey (12) | 22 % (22 %) |" in table
    assert "| Redis, lateness | 1.0 (1.5) | 3.0 (5) |  |" in table
    drawn = (tmp_path / "peers.svg").read_text()
    assert "goscheds, sync handler" in drawn
    assert "bare loop" not in drawn


@pytest.mark.parametrize(("cold", "warm"), [(0.02, 500_000), (0.5, 20_000), (0.1, 150)])
def test_everybody_is_measured_for_about_the_same_time(monkeypatch, cold, warm):
    """Whatever a cold start makes of the first trials."""
    monkeypatch.syspath_prepend(BENCHMARKS / "peers")
    spec = importlib.util.spec_from_file_location("peers", BENCHMARKS / "peers" / "__main__.py")
    peers = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "peers", peers)
    spec.loader.exec_module(peers)
    monkeypatch.setattr(peers, "run", lambda match, place, jobs: {"jobs": jobs, "rate": jobs / (cold + jobs / warm)})
    match = peers.Match(None, "drain", "sync")
    *trials, first = peers.play(match, None)
    assert all(one["trial"] for one in trials)
    assert len(trials) < 8
    took = first["jobs"] / first["rate"]
    assert first["jobs"] == peers.MOST or peers.ENOUGH < took < 2 * peers.SECONDS
    again = peers.Match(None, "drain", "sync")
    for one in [first, *trials]:
        again.note(one)
    assert [one["jobs"] for one in peers.play(again, None)] == [match.wanted], "and no trial"


@pytest.mark.slow
def test_goscheds_is_measured_through_the_same_door_as_its_peers(tmp_path):
    options = ("--store", "sqlite", "--peers", "none", "--measure", "drain", "--repeat", "1")
    run(BENCHMARKS / "peers", *options, "--into", tmp_path / "figures.jsonl")
    found = [json.loads(line) for line in (tmp_path / "figures.jsonl").read_text().splitlines()]
    good = [one for one in found if not one.get("trial")]
    assert [(one["peer"], one["style"]) for one in good] == [
        ("bare loop", "sync"),
        ("goscheds", "sync"),
        ("goscheds", "async"),
    ]
    assert all(one["rate"] > 0 for one in good)
    assert all(one["ran"] == one["jobs"] for one in good if one["peer"] == "goscheds")


@pytest.mark.slow
def test_the_bare_queue_tells_how_soon_a_job_starts(tmp_path):
    told = run(BENCHMARKS / "promptness.py", f"sqlite:///{tmp_path}/bare.db", "--samples", "2")
    assert [line.split()[0] for line in told.splitlines()] == ["pickup", "lateness"]
    assert all(0 < float(line.split()[1]) < 1000 for line in told.splitlines())


def test_growth_tells_each_verbs_ratio_and_leaves_nothing_behind(tmp_path):
    url, raw = f"sqlite:///{tmp_path}/jobs.db", tmp_path / "raw.jsonl"
    table = run(BENCHMARKS / "growth.py", url, "--sizes", "300,6000", "--rounds", "1", "--into", raw)
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert rows[1:10] == [
        "push",
        "claim",
        "settle",
        "promote",
        "recover",
        "heartbeat",
        "counts",
        "jobs()",
        "jobs(done)",
    ]
    assert list(tmp_path.iterdir()) == [raw]
    other = json.loads(raw.read_text()) | {"store": "redis"}
    raw.write_text(raw.read_text() + json.dumps(other) + "\n")
    both = run(BENCHMARKS / "growth.py", "--table", raw)
    assert "| 300 / 6,000 jobs, ms | Redis | ratio | SQLite | ratio |" in both


@pytest.mark.parametrize("server", ["sqlite", "redis", "postgres"])
def test_copies_are_counted_listed_and_claimed_like_what_was_pushed(request, monkeypatch, tmp_path, server):
    monkeypatch.syspath_prepend(BENCHMARKS)
    copies = importlib.import_module("copies")
    url = f"sqlite:///{tmp_path}/jobs.db" if server == "sqlite" else request.getfixturevalue(f"{server}_url")
    with Scheduler(url, f"copies-{new_id()}") as scheduler:
        scheduler.push_many([Job("noop", args={"n": n}) for n in range(copies.SEEDS)])
        copier = copies.copier(url, scheduler.namespace)
        copier.copy(State.READY, "default", 2 * copies.SEEDS)
        scheduler.push(Job("last"))
        stand = 3 * copies.SEEDS + 1
        assert copier.held(State.READY, "default") == stand
        assert scheduler.counts().jobs == {("default", State.READY): stand}
        assert len({job.id for job in scheduler.jobs()}) == stand
        worker, store = new_id(), scheduler.store
        store.heartbeat(worker, 60, b"")
        claimed = [claim for _ in range(4) for claim in store.claim("default", worker, copies.SEEDS, 0)]
        assert [claim.record.payload for claim in claimed[: copies.SEEDS]] * 3 == [
            c.record.payload for c in claimed[:-1]
        ]
        assert claimed[-1].record.name == "last"
        store.settle(worker, [Outcome.done(claim, keep=False) for claim in claimed])
        assert scheduler.counts().jobs == {}
        store.erase()
