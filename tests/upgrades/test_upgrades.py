"""Two versions of goscheds on one store at once. The later one is a process with a migration or format planted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from kit import until, working

from goscheds import Job, Scheduler, State
from goscheds.chaos.rig import rows_of
from goscheds.codec import VERSION, decode_meta
from goscheds.errors import SchemaTooNew, StoreError
from goscheds.plugins import open_store

pytestmark = pytest.mark.slow

ADDITIVE = [
    "ALTER TABLE goscheds_jobs ADD COLUMN later INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX goscheds_later ON goscheds_jobs (ns, later) WHERE later > 0",
    "UPDATE goscheds_jobs SET later = 1 WHERE state >= 3",
    "INSERT INTO goscheds_schema (version, oldest) VALUES (2, 1)",
]
BREAKING = ["INSERT INTO goscheds_schema (version, oldest) VALUES (2, 2)"]


class Part:
    """A process of the later version."""

    def __init__(self, url: str, namespace: str, statements: Sequence[str], version: int, jobs: int) -> None:
        told = json.dumps(statements) if statements else ""
        program = [sys.executable, Path(__file__).with_name("part.py"), url, namespace, told, str(version), str(jobs)]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> str:
        return self._process.stdout.readline().strip()

    def tell(self) -> None:
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> None:
        self._process.terminate()
        with self._process:
            self._process.wait(20)


Play = Callable[..., Part]


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store whose tables nobody else has: a file, a database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/jobs.db"
        return
    shared, name = request.getfixturevalue(f"{request.param}_url"), f"goscheds_{uuid4().hex[:8]}"
    if request.param == "redis":
        yield shared
        return
    sql(shared, f"CREATE DATABASE {name}")
    yield urlsplit(shared)._replace(path=f"/{name}").geturl()
    sql(shared, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def namespace() -> str:
    return f"upgrades-{uuid4().hex[:8]}"


@pytest.fixture
def later(url: str, namespace: str) -> Iterator[Play]:
    """Starts a process of a later version, ready to open the store."""
    parts: list[Part] = []

    def later(statements: Sequence[str] = (), version: int = VERSION, jobs: int = 0) -> Part:
        parts.append(Part(url, namespace, statements, version, jobs))
        assert parts[-1].hear() == "ready"
        return parts[-1]

    yield later
    for part in parts:
        part.end()


@pytest.fixture
def scheduler(url: str, namespace: str) -> Iterator[Scheduler]:
    with Scheduler(url, namespace) as scheduler:

        @scheduler.job
        def work(number: int) -> int:
            return number

        yield scheduler


class Producer(threading.Thread):
    """Pushes as fast as it can, until stopped."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(daemon=True)
        self._push = scheduler.tasks["work"].push
        self.pushed: list[str] = []
        self.slowest = 0.0
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            began = time.monotonic()
            self.pushed.append(self._push(number=len(self.pushed)))
            self.slowest = max(self.slowest, time.monotonic() - began)

    def end(self) -> None:
        self.stop.set()
        self.join()


def sql(url: str, statement: str) -> list[tuple]:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def schema(scheduler: Scheduler) -> list[tuple]:
    return scheduler.store._query("SELECT version, oldest FROM goscheds_schema ORDER BY version")


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
def test_a_migration_under_load_happens_once_and_disturbs_nobody(url, namespace, scheduler, later, caplog):
    with working(scheduler):
        producer = Producer(scheduler)
        producer.start()
        parts = [later(ADDITIVE, jobs=5) for _ in range(4)]
        until(lambda: len(producer.pushed) > 20)
        for part in parts:
            part.tell()
        assert [part.hear() for part in parts] == ["open"] * 4
        before = len(producer.pushed)
        parts[0].tell()
        until(lambda: len(producer.pushed) > before + 20)
        producer.end()
        with Scheduler(url, namespace) as another:  # of this version, which the schema still allows
            assert schema(another) == [(1, 1), (2, 1)]
        until(lambda: {state for _, state in scheduler.store.counts().jobs} == {State.DONE})
    found = {row.record.id: row for row in rows_of(scheduler.store)}
    assert found.keys() > set(producer.pushed)
    assert len(found) == len(producer.pushed) + 20
    assert {(row.fence, row.record.meta) for row in found.values()} == {(1, b"")}
    assert not [entry for entry in caplog.records if entry.levelname != "INFO"]


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_migration_that_has_to_wait_lets_others_pass(url, scheduler, later):
    producer = Producer(scheduler)
    with working(scheduler), closing(psycopg.connect(url)) as backup:
        scheduler.tasks["work"].push(number=0)
        backup.execute("LOCK TABLE goscheds_jobs IN ACCESS SHARE MODE")
        producer.start()
        part = later(ADDITIVE)
        part.tell()
        until(lambda: producer.slowest > 1)
        waited = len(producer.pushed)
        until(lambda: len(producer.pushed) > waited)
        backup.rollback()
        assert part.hear() == "open"
        producer.end()
        assert producer.slowest < 4
        assert schema(scheduler) == [(1, 1), (2, 1)]


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
def test_a_migration_that_leaves_this_version_behind_is_said_where_it_opens(url, namespace, scheduler, later):
    assert scheduler.store
    part = later(BREAKING)
    part.tell()
    assert part.hear() == "open"
    with pytest.raises(SchemaTooNew, match="know version 2; this one knows 1"):
        open_store(url, namespace).open()


@pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
def test_a_migration_that_fails_changes_nothing_and_can_be_repeated(scheduler, later):
    assert scheduler.store
    part = later([*ADDITIVE, "nonsense"])
    part.tell()
    assert part.hear().startswith("StoreError")
    assert schema(scheduler) == [(1, 1)]
    scheduler.tasks["work"].push(number=1)
    part = later(ADDITIVE)
    part.tell()
    assert part.hear() == "open"


def test_tables_that_are_gone_under_an_open_store_are_an_error_that_says_so(postgres_url, namespace):
    there = f"{postgres_url}?options=-csearch_path%3D{namespace.replace('-', '_')}"
    sql(postgres_url, f"CREATE SCHEMA {namespace.replace('-', '_')}")
    with Scheduler(there, namespace) as scheduler:
        scheduler.push(Job("work"))
        sql(postgres_url, f"DROP SCHEMA {namespace.replace('-', '_')} CASCADE")
        with pytest.raises(StoreError, match="start this one anew"):
            scheduler.push(Job("work"))


@pytest.mark.parametrize("url", ["sqlite", "redis"], indirect=True)
def test_jobs_of_a_later_format_wait_for_a_later_worker(scheduler, later):
    part = later(version=VERSION + 1, jobs=3)
    with working(scheduler):
        part.tell()
        assert part.hear() == "open"
        until(lambda: all(decode_meta(row.record.meta).misses for row in rows_of(scheduler.store)))
        assert {info.attempts for info in scheduler.jobs()} == {0}
        assert all("pushed by a later goscheds" in info.error for info in scheduler.jobs())
        own = [scheduler.tasks["work"].push(number=number) for number in range(3)]
        until(lambda: all(scheduler.get(one).state is State.DONE for one in own))
    part.tell()  # only now, as this version's worker may well be quicker each time
    until(lambda: {info.state for info in scheduler.jobs()} == {State.DONE})
    assert {(info.attempts, info.crashes) for info in scheduler.jobs()} == {(0, 0)}
