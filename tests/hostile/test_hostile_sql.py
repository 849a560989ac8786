"""What somebody wrote into the tables behind the library's back: refused by the schema, or in nobody's way.

Every column, with every class of value, in every state, all at once: a good job stands before each broken one. Then
again with the schema's checks switched off.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from kit import SECOND, leave, until, working
from terminal import printed

from goscheds import Job, Scheduler, Worker
from goscheds.errors import InvalidJob
from goscheds.job import check_text
from goscheds.record import Outcome, Query, State

EACH_STAGE = ("ready", "active", *(pytest.param(stage, marks=pytest.mark.slow) for stage in ("scheduled", "done")))
SCHEDULED, READY, _, DONE, DEAD, _ = range(6)
INTEGERS = (
    "ns", "state", "priority", "seq", "execute_at", "timeout", "fence", "deadline", "cancelling", "pushed_at",
    "changed_at",
)  # fmt: skip
TEXTS = ("id", "name", "queue", "unique_key", "worker")
BYTES = ("payload", "meta", "result")
LARGEST = 2**53  # of what statements add to
KINDS = ("before", "broken")
GUARDED, UNGUARDED = (pytest.mark.parametrize("guarded", [how], indirect=True) for how in ("guarded", "unguarded"))


@dataclass(frozen=True)
class NotUtf8:
    """What stands in a column of text, and is none."""

    raw: bytes


Value = int | float | str | bytes | NotUtf8 | None
ABSURD: dict[tuple[str, ...], tuple[Value, ...]] = {
    INTEGERS: (-(2**63), -LARGEST, -32768, -1, 77, 32767, LARGEST - 1, LARGEST, LARGEST + 1, 2**63 - 1),
    TEXTS: ("", "\n\t\x1b[2J", "x" * 300, "\u202eevil", "🦀" * 255, "\0", "a\0b", NotUtf8(b"\xff\xfe"),
            NotUtf8(b"\xed\xa0\x80"), NotUtf8(b"caf\xe9"), NotUtf8(b"\xf8" * 300)),
    BYTES: (b"", b"\xff", b"{", b'{"v":0}', b"\0" * 1000, b"[" * 100_000),
}  # fmt: skip
CELLS: list[tuple[str, Value]] = [
    *((column, value) for columns, values in ABSURD.items() for column in columns for value in values),
    *((column, value) for columns in ABSURD for column in columns for value in (None, 1.5, "text", b"bytes")),
    *(("worker", value) for value in ABSURD[INTEGERS]),  # which is a number on SQLite
]


TYPES: dict[str, Any] = {
    **dict.fromkeys(INTEGERS, int), **dict.fromkeys(TEXTS, str), **dict.fromkeys(BYTES, bytes), "worker": int | str,
}  # fmt: skip


class Table:
    """A store's tables, as whoever has them open by other means writes to them."""

    def __init__(self, url: str, connection: Any, mark: str) -> None:
        self.url = url
        self._connection = connection
        self._mark = mark

    def __call__(self, statement: str, *values: Value) -> list[tuple[Any, ...]]:
        marks = ["CAST(? AS TEXT)" if isinstance(value, NotUtf8) else self._mark for value in values]
        bound = [value.raw if isinstance(value, NotUtf8) else value for value in values]
        cursor = self._connection.execute(statement.format(*marks), bound)
        return cursor.fetchall() if cursor.description else []

    def takes(self, column: str, value: Value, id: str) -> bool:
        """Write into a column of a job; whether the schema lets somebody do so."""
        try:
            self(f"UPDATE goscheds_jobs SET {column} = {{}} WHERE id = {{}}", value, id)  # noqa: S608 - names of our own
        except (sqlite3.IntegrityError, psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError):
            return False
        return True

    def of(self, columns: str, where: str, value: Value) -> list[tuple[Any, ...]]:
        """Columns of the jobs that have this value in another."""
        return self(f"SELECT {columns} FROM goscheds_jobs WHERE {where} = {{}}", value)  # noqa: S608 - the same


@contextmanager
def opened(url: str) -> Iterator[None]:
    """The tables are there."""
    with Scheduler(url) as scheduler:
        scheduler.counts()
        yield


@contextmanager
def sqlite(path: str, guarded: bool) -> Iterator[Table]:
    url = f"sqlite:///{path}/jobs.db"
    with opened(url), closing(sqlite3.connect(f"{path}/jobs.db", isolation_level=None)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        connection.execute(f"PRAGMA ignore_check_constraints = {'OFF' if guarded else 'ON'}")
        yield Table(url, connection, "?")


@contextmanager
def postgres(server: str, guarded: bool) -> Iterator[Table]:
    name = f"hostile_{uuid4().hex[:8]}"
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    url = f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{name}"
    with opened(url), closing(psycopg.connect(url, autocommit=True)) as connection:
        if not guarded:
            for domain in ("state", "count"):
                connection.execute(f"ALTER DOMAIN goscheds_{domain} DROP CONSTRAINT goscheds_{domain}_check")
        yield Table(url, connection, "%s")
    with closing(psycopg.connect(server, autocommit=True)) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(params=["guarded", "unguarded"])
def guarded(request) -> bool:
    """Whether the schema checks what is written."""
    return request.param == "guarded"


@pytest.fixture(params=["sqlite", "postgres"])
def table(request, guarded, tmp_path) -> Iterator[Table]:
    if request.param == "sqlite":
        with sqlite(str(tmp_path), guarded) as table:
            yield table
    else:
        with postgres(request.getfixturevalue("postgres_url"), guarded) as table:
            yield table


@pytest.fixture
def scheduler(table) -> Iterator[Scheduler]:
    with Scheduler(table.url) as scheduler:
        scheduler.job(lambda n: n, name="greet")
        yield scheduler


def prepare(scheduler: Scheduler, table: Table, stage: str, jobs: list[Job]) -> None:
    """Jobs in a state, all of them due."""
    if stage == "scheduled":
        for job in jobs:
            scheduler.push_in(SECOND * 3600, job)
        table("UPDATE goscheds_jobs SET execute_at = 1")
        return
    scheduler.push_many(jobs)
    if stage == "ready":
        return
    leave(scheduler.store, len(jobs), Outcome.done if stage == "done" else None)


def look(scheduler: Scheduler) -> None:
    """Everything that looks, looks."""
    scheduler.counts()
    scheduler.workers()
    listed = {info.id: info.state for info in scheduler.jobs()}
    for state in State:
        assert {info.id: info.state for info in scheduler.jobs(state=state)}.items() <= listed.items()
    for id, state in listed.items():
        assert not valid(id) or scheduler.get(id).state is state


def valid(text: str) -> bool:
    try:
        check_text(text, "it")
    except InvalidJob:
        return False
    return True


def fates(column: str, value: Any, stage: str) -> set[int | None]:  # noqa: PLR0911 - one return for each reason
    """The states that a job may be in when everything was run; None if it is purged."""
    own = {"ready": READY, "scheduled": SCHEDULED, "active": 2, "done": DONE}[stage]
    if column == "ns":
        return {own}
    if column == "state" and value not in range(6):
        return {value}
    if stage == "done":
        return {DONE, None} if column == "changed_at" else {DONE}
    if column == "fence" and not 0 <= value < LARGEST - 1:
        return {DEAD}
    if column == "payload" or (column in ("id", "unique_key") and "\\udc" in ascii(value)):
        return {DEAD}
    if column == "name":
        return {SCHEDULED} if valid(value) else {DEAD}  # where it waits for somebody who has such a handler
    if column == "queue":
        return {READY}
    if column == "execute_at" and stage == "scheduled" and value > time.time() * 1e6:
        return {SCHEDULED}
    if column == "deadline" and stage == "active":
        return {DONE, SCHEDULED, DEAD}
    return {DONE}


@pytest.mark.parametrize("stage", EACH_STAGE)
def test_whatever_stands_in_a_row_its_neighbours_run_and_its_bytes_are_kept(scheduler, table, guarded, stage, tmp_path):
    jobs = [Job("greet", {"n": f"{kind}-{n}"}, id=f"{kind}-{n}") for n in range(len(CELLS)) for kind in KINDS]
    prepare(scheduler, table, stage, [*jobs, Job("greet", {"n": ""}, id="before-last")])
    payloads = {id: bytes(payload) for id, payload in table("SELECT id, payload FROM goscheds_jobs")}
    broken: dict[int, tuple[str, Any]] = {}
    for n, (column, value) in enumerate(CELLS):
        if table.takes(column, value, f"broken-{n}"):
            which = ("payload", payloads[f"broken-{n}"]) if column == "id" else ("id", f"broken-{n}")
            ((stored,),) = table.of(column, *which)
            broken[n] = (column, stored)
            assert isinstance(stored, TYPES[column]), (column, value)
            assert not (guarded and column == "state" and stored not in range(6))
            assert not (guarded and column in ("fence", "timeout") and not 0 <= stored <= LARGEST)
    look(scheduler)
    Worker(scheduler).drain()
    look(scheduler)
    for n, (column, stored) in broken.items():
        kept = stored if column == "payload" else payloads[f"broken-{n}"]
        which = ("payload", kept) if column == "id" else ("id", f"broken-{n}")
        found = table.of("state, payload", *which)
        states = {state for state, _ in found} or {None}
        assert states <= fates(column, stored, stage), (column, stored, states)
        assert all(bytes(payload) == kept for _, payload in found), (column, stored)
    good = table("SELECT count(*) FROM goscheds_jobs WHERE substr(id, 1, 6) = 'before' AND state = 3")
    assert good == [(len(CELLS) + 1,)]
    settled = table("SELECT id, state, fence FROM goscheds_jobs WHERE state <> 0")  # those wait for a second look
    with working(scheduler):
        scheduler.push(Job("greet", {"n": 1}, id="later"))
        until(lambda: scheduler.get("later").state is State.DONE)
    assert {*settled} <= {*table("SELECT id, state, fence FROM goscheds_jobs")}


@UNGUARDED
@pytest.mark.parametrize("stage", ["ready", "done"])
def test_the_command_line_shows_what_can_be_read(scheduler, table, stage):
    absurd = [(column, value) for column, value in CELLS if value != "" and column not in ("ns", "unique_key")]
    prepare(scheduler, table, stage, [Job("greet", {"n": n}, id=f"broken-{n}") for n in range(len(absurd))])
    for n, (column, value) in enumerate(absurd):
        table.takes(column, value, f"broken-{n}")
    for words in (
        ("jobs",),
        ("jobs", "--json"),
        ("stats",),
        ("workers",),
        ("workers", "--json"),
        ("show", "broken-40"),
    ):
        printed(*words, "-s", table.url)


def test_text_that_is_no_utf8_is_told_apart_and_leads_back_to_its_row(tmp_path):
    with sqlite(str(tmp_path), guarded=True) as table, Scheduler(table.url) as scheduler:
        scheduler.push_many([Job("greet", id=f"{n}") for n in range(9)])
        for n, raw in enumerate((b"\xff", b"\xfe\xff", b"1\xc0", b"\xed\xa0\x80")):
            table("UPDATE goscheds_jobs SET id = {} WHERE id = {}", NotUtf8(raw), f"{n}")
        pages = [page := scheduler.store.find(Query(limit=1))]
        while page.next:
            pages.append(page := scheduler.store.find(Query(limit=1, after=page.next)))
        assert [row.record.id.encode("utf-8", "surrogateescape") for page in pages for row in page.rows] == sorted(
            [b"\xff", b"\xfe\xff", b"1\xc0", b"\xed\xa0\x80", *(b"%d" % n for n in range(4, 9))]
        )
        worker = Worker(scheduler)
        worker.register_handler("greet", lambda job: None)
        worker.drain()
        assert table("SELECT state, count(*) FROM goscheds_jobs GROUP BY state") == [(DONE, 5), (DEAD, 4)]
        assert all("was not written by goscheds: its id is" in info.error for info in scheduler.jobs(state="dead"))


HOSTILE_ROWS = (
    "UPDATE goscheds_workers SET expires_at = -9223372036854775807",
    "UPDATE goscheds_namespaces SET duty_until = 9223372036854775807, duty = 'nobody'",
    "UPDATE goscheds_namespaces SET duty_until = -9223372036854775807, duty = 'nobody'",
    "INSERT INTO goscheds_workers (ns, id, expires_at, info) VALUES (1, '', 9223372036854775807, {})",
    "INSERT INTO goscheds_workers (ns, id, expires_at, info) VALUES (1, 'w', 0, {})",
    "INSERT INTO goscheds_paused (ns, queue) VALUES (1, '')",
    "DELETE FROM goscheds_workers",
)
HOSTILE_TEXT = (
    "INSERT INTO goscheds_workers (ns, id, expires_at, info) VALUES (1, {}, 9223372036854775807, x'00')",
    "INSERT INTO goscheds_workers (ns, id, expires_at, info) VALUES (1, {}, 0, x'00')",
    "INSERT INTO goscheds_paused (ns, queue) VALUES (1, {})",
    "UPDATE goscheds_namespaces SET duty_until = 9223372036854775807, duty = {}",
)


@GUARDED
@pytest.mark.parametrize("stage", ["ready", "scheduled", "active"])
def test_whatever_stands_in_other_tables_jobs_run(scheduler, table, stage):
    for statement in HOSTILE_ROWS:
        prepare(scheduler, table, stage, [Job("greet", {"n": 1}, id="one")])
        table(statement, *[b"\xff\0{"] * statement.count("{}"))
        runs(scheduler, table)


@pytest.mark.parametrize("stage", ["ready", "scheduled", "active"])
def test_text_that_is_no_utf8_in_other_tables_is_in_nobodys_way(stage, tmp_path):
    with sqlite(str(tmp_path), guarded=True) as table, Scheduler(table.url) as scheduler:
        scheduler.job(lambda n: n, name="greet")
        for statement in HOSTILE_TEXT:
            prepare(scheduler, table, stage, [Job("greet", {"n": 1}, id="one")])
            table(statement, NotUtf8(b"\xffx"))
            runs(scheduler, table)


def runs(scheduler: Scheduler, table: Table) -> None:
    """The one job there is runs; everything is forgotten."""
    look(scheduler)
    Worker(scheduler).drain()
    look(scheduler)
    printed("workers", "-s", table.url)
    assert scheduler.get("one").state is State.DONE
    scheduler.store.erase()


@GUARDED
def test_the_line_goes_on_where_its_places_are_used_up(scheduler, table):
    where = "goscheds_tally SET jobs = 9223372036854775807" if "sqlite" in table.url else ""
    table(f"UPDATE {where}" if where else "SELECT setval('goscheds_seq', 4398046511103)")
    for n in range(3):
        scheduler.push(Job("greet", {"n": n}))
    assert Worker(scheduler).drain() == 3


@UNGUARDED
def test_a_job_of_no_state_is_shown_as_dead_and_brought_back_by_hand(scheduler, table):
    for state in (77, -1):
        prepare(scheduler, table, "ready", [Job("greet", {"n": 1}, id="one")])
        table("UPDATE goscheds_jobs SET state = {}", state)
        assert scheduler.get("one").state is State.DEAD
        assert Worker(scheduler).drain() == 0
        assert scheduler.retry("one") is State.READY
        runs(scheduler, table)
