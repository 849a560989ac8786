"""What released versions have left in stores is read, run and purged by this one."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from kit import until, working
from sample import FOREVER, NAMESPACE, database, handlers, load_postgres, load_redis, load_sqlite, told

from goscheds import Scheduler, State

VERSIONS = sorted(Path(__file__).parent.glob("v*"))
AFTERWARDS = {
    State.DONE: {"done", "ready", "ready-too", "ready-first", "due", "active", "active-timed"},
    State.DEAD: {"dead", "dead-traced"},
    State.CANCELLED: {"cancelled", "active-cancelling"},
    State.SCHEDULED: {"scheduled", "retried"},
    State.READY: {"paused"},
}


@pytest.fixture(params=VERSIONS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def url(request: pytest.FixtureRequest, folder: Path, tmp_path: Path):
    """A store that has the sample."""
    if request.param == "sqlite":
        yield load_sqlite(folder / "jobs.db", tmp_path)
    elif request.param == "redis":
        url = request.getfixturevalue("private_redis")().url
        load_redis(url, folder / "redis.json")
        yield url
    else:
        shared, name = request.getfixturevalue("postgres_url"), f"sample_{uuid4().hex[:8]}"
        url = database(shared, name)
        load_postgres(url, folder / "postgres.sql")
        yield url
        with closing(psycopg.connect(shared, autocommit=True)) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.slow
def test_a_released_versions_store_is_read_run_and_purged(url: str, folder: Path):
    left = json.loads((folder / "jobs.json").read_text())
    with Scheduler(url, NAMESPACE, keep_done=FOREVER, keep_dead=FOREVER) as scheduler:
        handlers(scheduler)
        assert told(scheduler.jobs()) == left
        assert scheduler.counts().paused == {"quiet"}

        def states() -> dict[State, set[str]]:
            found = list(scheduler.jobs())
            return {
                state: {info.id for info in found if info.state is state} for state in {info.state for info in found}
            }

        with working(scheduler, {"default": 2, "other": 1, "held": 2, "quiet": 1}, lease=timedelta(seconds=5)):
            until(lambda: states() == AFTERWARDS)
            assert scheduler.get("ready").result == scheduler.get("ready-too").result == left["ready"]["args"]
            assert [(scheduler.get(id).attempts, scheduler.get(id).crashes) for id in ("active", "active-timed")] == [
                (0, 1),
                (1, 0),
            ]
            scheduler.resume("quiet")
            until(lambda: scheduler.get("paused").state is State.DONE)
        for id in ("scheduled", "retried"):
            scheduler.cancel(id)
        for state in (State.DONE, State.DEAD, State.CANCELLED):
            assert scheduler.purge(state)
        assert not list(scheduler.jobs())
        assert not scheduler.store.counts().jobs
