"""Short runs of the rig on every store; GOSCHEDS_CHAOS_SEED and GOSCHEDS_CHAOS_SECONDS make other and longer ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import Server
from servers.several import Watched
from trouble import postgres_troubles, redis_troubles, sqlite_troubles, watched_troubles

from goscheds.chaos.report import report
from goscheds.chaos.rig import Plan, run
from goscheds.chaos.schedule import NETWORK, PROCESSES, SUPERVISORS, schedule
from goscheds.errors import ConfigError

PLAN = Plan(
    seed=int(os.environ.get("GOSCHEDS_CHAOS_SEED", "1")),
    seconds=float(os.environ.get("GOSCHEDS_CHAOS_SECONDS", "14")),
)
short = pytest.mark.timeout(120 + 3 * PLAN.seconds)


@short
@pytest.mark.slow
@pytest.mark.parametrize("aof", ["everysec", "always"])
def test_redis(private_redis: Callable[..., Server], aof: str):
    server = private_redis(aof=aof)
    _run(server.url, redis_troubles(server))


@short
@pytest.mark.slow
def test_valkey(private_valkey: Callable[..., Server]):
    server = private_valkey(aof="always")
    _run(server.url, redis_troubles(server))


@short
@pytest.mark.slow
def test_redis_behind_sentinel(redis_watched: Watched):
    """With its only replica's word for every change, so that whichever server is the primary has what counts."""
    _run(f"{redis_watched.url}?wait=1", watched_troubles(redis_watched))
    redis_watched.settle()


@short
@pytest.mark.slow
def test_postgres(private_postgres: Callable[..., Server]):
    server = private_postgres("fsync=on")
    _run(server.url, postgres_troubles(server))


@short
@pytest.mark.slow
def test_sqlite(tmp_path: Path):
    path = tmp_path / "jobs.db"
    _run(f"sqlite:///{path}", sqlite_troubles(path))


def _run(url: str, troubles: list) -> None:
    result = run(url, PLAN, troubles)
    print(report(result))  # noqa: T201 - for `pytest -s`: docs/reliability.md sums it up
    assert not result.violations, report(result)


def test_a_store_in_one_process_is_refused():
    with pytest.raises(ConfigError, match="one process"):
        run("memory://", Plan())


def test_a_seed_gives_the_same_schedule():
    first, again, other = (schedule(seed, (*PROCESSES, *SUPERVISORS, *NETWORK), 60, 1.0) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {strike.fault for strike in first} == {kind.name for kind in (*PROCESSES, *SUPERVISORS, *NETWORK)}
