"""What only the Postgres store has: its URLs, its plans, its notifications, its locks."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from statistics import median, quantiles
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace
from psycopg.sql import Literal

from goscheds.backends.sql.postgres import PostgresStore, connect, listener
from goscheds.backends.sql.postgres.line import FIRST, Lines
from goscheds.contract.bench import (
    HOUR,
    LATE,
    SECOND,
    background,
    eventually,
    gather,
    hire,
    ids,
    job,
    jobs,
    pass_moment,
    rows,
    settle_in,
    state,
    together,
)
from goscheds.errors import ConfigError, SchemaTooNew, StoreError, StoreUnavailable
from goscheds.job import new_id
from goscheds.record import Move, Outcome, Record, State

Open = Callable[..., PostgresStore]


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[str]:
    """A database of this module's own, so that its tables hold what its tests put there."""
    name = f"goscheds_{uuid4().hex[:8]}"
    sql(postgres_url, f"CREATE DATABASE {name}")
    yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    sql(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def another(database: str) -> Iterator[Open]:
    opened: list[PostgresStore] = []
    own = uuid4().hex[:12]

    def another(options: str = "", namespace: str = own) -> PostgresStore:
        store = connect(database + options, namespace)
        opened.append(store)
        store.open()
        return store

    yield another
    for store in opened:
        store.close()


@pytest.fixture
def store(another: Open) -> PostgresStore:
    return another()


def sql(url: str, statement: str, *parameters: object) -> list[tuple]:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


class TestUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "postgresql://user:hunter2@host/jobs?nonsense=1",
            "postgresql://user:hunter2@host:port/jobs?password=hunter2&x",
            "postgresql://user:hunter2@host/jobs?wakeups=perhaps",
            "postgresql://user:hunter2@host/jobs?pgbouncer=1",
        ],
    )
    def test_what_can_not_work_is_refused_without_its_password(self, url):
        with pytest.raises(ConfigError) as caught:
            connect(url, "shop")
        assert "hunter2" not in "".join(_told(caught.value))

    def test_a_server_that_is_not_there_is_named_without_its_password(self):
        store = connect("postgresql://user:hunter2@127.0.0.1:1/jobs", "shop")
        with pytest.raises(StoreUnavailable, match=r"user:\*\*\*@127\.0\.0\.1:1/jobs") as caught:
            store.open()
        assert "hunter2" not in "".join(_told(caught.value))

    def test_a_missing_driver_is_named(self):
        code = """if True:
            import sys
            sys.modules["psycopg"] = None
            from goscheds.errors import ConfigError
            from goscheds.plugins import open_store
            try:
                open_store("postgresql://host/jobs")
            except ConfigError as error:
                print(error)
        """
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert "goscheds[postgres]" in told

    def test_options_of_libpq_reach_the_server(self, database, another):
        sql(database, "CREATE SCHEMA IF NOT EXISTS elsewhere")
        another("?application_name=shop&options=-csearch_path%3Delsewhere").push([job()])
        assert sql(database, "SELECT count(*) FROM elsewhere.goscheds_jobs") == [(1,)]


class TestSchema:
    def test_a_later_schema_is_refused_and_left_alone(self, database):
        sql(database, "CREATE SCHEMA later")
        there = f"{database}?options=-csearch_path%3Dlater"
        sql(there, "CREATE TABLE goscheds_schema AS SELECT 99 AS version, 99 AS oldest")
        with pytest.raises(SchemaTooNew, match="99"):
            connect(there, "shop").open()
        assert sql(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'later'") == [("goscheds_schema",)]

    def test_an_open_store_needs_no_right_to_create(self, database, store):
        role = f"shop_{uuid4().hex[:8]}"
        sql(database, f"CREATE ROLE {role} LOGIN")
        sql(database, f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        sql(database, f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
        parts = urlsplit(database)
        humble = connect(parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}").geturl(), store._namespace)
        humble.open()
        assert humble.push([job("one")]) == ["one"]
        humble.close()
        sql(database, f"DROP OWNED BY {role}")
        sql(database, f"DROP ROLE {role}")

    @pytest.mark.slow
    def test_eight_processes_create_it_at_once(self, database):
        sql(database, "CREATE SCHEMA crowd")
        url = f"{database}?options=-csearch_path%3Dcrowd"
        code = """if True:
            import sys
            from goscheds.backends.sql.postgres import connect
            from goscheds.record import Record
            store = connect(sys.argv[1], "shop")
            print("here", flush=True)
            sys.stdin.readline()
            store.open()
            print(store.push([Record(sys.argv[2], "job", "default")])[0])
            store.close()
        """
        processes = [_run(code, url, f"job-{number}") for number in range(8)]
        for process in processes:
            assert process.stdout.readline() == "here\n"
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.communicate(timeout=60)[0] for process in processes] == [f"job-{n}\n" for n in range(8)]
        assert sql(url, "SELECT * FROM goscheds_schema") == [(1, 1)]
        assert sql(url, "SELECT count(*) FROM goscheds_jobs") == [(8,)]

    def test_a_waiting_job_takes_no_more_than_half_a_kilobyte(self, database):
        """With its indexes, a UUID for its id and 26 bytes of payload: 407 bytes where this was written."""
        sql(database, "CREATE SCHEMA bytes")
        store = connect(f"{database}?options=-csearch_path%3Dbytes", "shop")
        store.open()
        for _ in range(5):
            store.push([job(new_id(), payload=b'{"v":1,"args":{"n":12345}}') for _ in range(1000)])
        store.close()
        ((size,),) = sql(database, "SELECT pg_total_relation_size('bytes.goscheds_jobs')")
        assert size / 5_000 < 512


@pytest.fixture(scope="module")
def crowded(database: str) -> Iterator[PostgresStore]:
    """A store of its own tables, with 20,000 jobs in each state that a statement may not walk through."""
    sql(database, "CREATE SCHEMA crowded")
    store = connect(f"{database}?options=-csearch_path%3Dcrowded", "crowded")
    store.open()
    store.heartbeat("worker", 3600, b"")
    for _ in range(2):
        store.push(jobs(10_000, queue="history"))
        while claims := store.claim("history", "worker", 5_000, 0):
            for first in range(0, len(claims), 50):
                store.settle("worker", [Outcome.done(claim) for claim in claims[first : first + 50]])
        store.push(jobs(10_000, queue="default"))
        store.push(jobs(10_000, queue="default", delay=HOUR))
        store.push(jobs(10_000, queue="held", timeout=HOUR))
        store.claim("held", "worker", 10_000, 0)
    yield store
    store.close()


NEW = {"name": "job", "queue": "default", "payload": b"", "meta": b"", "execute_at": 0, "delay": HOUR, "priority": 0}
SETTLEMENT = {
    "worker": "worker",
    "id": ["none"] * 10,
    "keep": [True] * 10,
    **dict.fromkeys(("fence", "target", "execute_at", "delay"), [1] * 10),
    **dict.fromkeys(("meta", "result"), [b""] * 10),
}
PARTS = {"high": [32767, 0, -1], "low": [1, 0, -32768], "place": [FIRST, 1, FIRST]}  # as after a claim of priority 0
PAGE = {"queue": "", "name": "", "states": 63, "scan": 11, "most": 10}
STATEMENTS = {
    "push_one": {**NEW, "id": "new", "timeout": 0},
    "push_later": {**NEW, "id": "new", "timeout": 0},
    "push": {
        **{name: [value] * 10 for name, value in NEW.items()},
        "id": [f"new-{number}" for number in range(10)],
        "timeout": [0] * 10,
        "unique_key": [f"key-{number}" for number in range(10)],
    },
    "push_new": {
        **{name: [value] for name, value in NEW.items()},
        "id": [f"fresh-{number}" for number in range(10)],
        "timeout": [0],
        "unique_key": [""],
    },
    "heartbeat": {"worker": "worker", "lease": 3600 * SECOND, "info": b""},
    "held": {"worker": "other"},
    "astray": {"worker": "worker", "lease": 10, "queues": ["default"]},
    "claim_due": {"queue": "default", "worker": "worker", "due": 0},
    "claim": {"queue": "default", "worker": "worker", "limit": 10},
    "claim_along": {"queue": "default", "worker": "worker", "limit": 10, **PARTS},
    "promote": {"worker": "worker", "lease": 10, "limit": 10, "queues": ["default"]},
    "outlook": {},
    "overdue": {"worker": "other", "limit": 10},
    "lapsed": {},
    "orphans": {"worker": "other", "holder": "gone", "limit": 10},
    "bury": {},
    "cancelling": {"worker": "worker"},
    "purge": {"state": 3, "before": 2**62, "limit": 10, "queue": ""},
    **{
        order: {**PAGE, "p0": first, "p1": 101, "p2": 0, "id": "", "state": 3}
        for order, first in {
            "find": -1,
            "find_scheduled": -1,
            "find_ready": "",
            "find_done": -1,
        }.items()
    },
    "cancel": {"id": "none"},
    "reschedule": {"id": "none", "execute_at": 0, "delay": 0},
    "retry": {"id": "none", "meta": b""},
    "lock": {"ids": ["none"] * 10},
    "holders": {"id": ["none"] * 10, "unique_key": ["none"] * 10},
    "settle": SETTLEMENT,
    "finish": {**SETTLEMENT, "queue": "default", "limit": 10},
    "finish_along": {**SETTLEMENT, "queue": "default", "limit": 10, **PARTS},
}


@pytest.fixture(scope="module")
def kept(crowded: PostgresStore) -> Iterator[psycopg.Connection]:
    """A connection that prepared every statement when there were no statistics, and keeps those plans."""
    with closing(crowded._pool._connect()) as connection:
        for name, parameters in STATEMENTS.items():
            statement, values = _numbered(crowded, name, parameters)
            kinds = ", ".join(_kind(value) for value in values)
            connection.execute(f"PREPARE {name} ({kinds}) AS {statement}")
            connection.execute(f"EXPLAIN {_execute(name, values)}")
        yield connection


class TestTally:
    """What moves jobs tells of it, and K1 holds however the rows are folded."""

    def test_it_is_folded_by_whoever_looks_for_lost_jobs(self, database, store):
        store.heartbeat("worker", 3600, b"")
        for _ in range(300):
            store.push([job(), job(queue="other", delay=HOUR)])
            store.settle("worker", [Outcome.done(claim) for claim in store.claim("default", "worker", 1, 0)])
        expected = store.counts().jobs
        assert expected == {("default", State.DONE): 300, ("other", State.SCHEDULED): 300}
        mine = "SELECT count(*) FROM goscheds_tally WHERE ns = %s"
        assert sql(database, mine, store._ns) > [(800,)]
        sql(
            database,
            "INSERT INTO goscheds_tally (ns, queue, state, jobs) SELECT -1, '', 0, 1 FROM generate_series(1, 999)",
        )
        together([partial(store.recover, "worker", 1)] * 4)
        assert sql(database, mine, store._ns) == [(2,)]
        assert store.counts().jobs == expected

    def test_pushes_fold_it_where_nobody_works(self, database, store, monkeypatch):
        monkeypatch.setattr("goscheds.backends.sql.postgres.store.FOLDING", 1.0)
        for _ in range(1_100):
            store.push([job()])
        assert sql(database, "SELECT count(*) FROM goscheds_tally WHERE ns = %s", store._ns) < [(1_000,)]
        assert store.counts().jobs == {("default", State.READY): 1_100}

    def test_pushes_for_many_queues_fold_it_more_often(self, database, store, monkeypatch):
        monkeypatch.setattr("goscheds.backends.sql.postgres.store.random", lambda: 0.05)
        for _ in range(15):
            store.push([job(queue=f"{number}") for number in range(100)])
        assert sql(database, "SELECT count(*) FROM goscheds_tally WHERE ns = %s", store._ns) < [(1_400,)]

    def test_what_was_deleted_by_hand_is_never_less_than_nothing_and_erasing_counts_anew(self, database, store):
        store.push(jobs(3))
        sql(database, "DELETE FROM goscheds_jobs WHERE ns = %s", store._ns)
        assert store.counts().jobs == {("default", State.READY): 3}, "nobody told"
        sql(database, "INSERT INTO goscheds_tally (ns, queue, state, jobs) VALUES (%s, 'default', 1, -9)", store._ns)
        assert store.counts().jobs == {}
        store.erase()
        store.push(jobs(2))
        assert store.counts().jobs == {("default", State.READY): 2}


class TestPlans:
    """C3: each statement reads no more than its batch, whatever else is in the table and however old the statistics."""

    @pytest.mark.slow
    @pytest.mark.parametrize("analyzed", [False, True])
    @pytest.mark.parametrize("name", STATEMENTS)
    def test_planned_anew_a_statement_reads_its_batch_alone(self, crowded, name, analyzed):
        """As behind PgBouncer, where no plan is kept and no setting made."""
        with closing(crowded._pool._connect()) as connection, connection.transaction(force_rollback=True):
            connection.execute(FREELY)
            if analyzed:
                connection.execute("ANALYZE goscheds_jobs")
            statement = getattr(crowded.sql, name)
            known = {"ns": crowded._ns, "channel": "", **STATEMENTS[name]}
            _frugal(connection.execute(f"{EXPLAIN} {statement}", known).fetchone())

    @pytest.mark.slow
    @pytest.mark.parametrize("name", STATEMENTS)
    def test_a_plan_kept_from_when_nothing_was_known_reads_its_batch_alone(self, crowded, kept, name):
        with kept.transaction(force_rollback=True):
            _, values = _numbered(crowded, name, STATEMENTS[name])
            _frugal(kept.execute(f"{EXPLAIN} {_execute(name, values)}").fetchone())

    @pytest.mark.slow
    def test_kept_plans_are_kept(self, crowded):
        """What the tests above take for granted: statements are prepared, and run by plans that know no values."""
        with crowded._pool.connection() as connection:
            for _ in range(4):
                crowded._run(connection, crowded.sql.cancelling, worker="worker")
            plans = "SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements"
            generic, custom = connection.execute(plans).fetchone()
        assert (generic > 0, custom) == (True, 0)


@pytest.mark.slow
class TestHeldSnapshot:
    """While a transaction anywhere sees the past: what was worked off since is never cleared away, and who steps over
    it reads a page for every thirty jobs or so (C3). That is not for verbs that are called again and again."""

    WORKED_OFF = 6_000

    @pytest.fixture
    def worked(self, database: str, store: PostgresStore) -> Iterator[PostgresStore]:
        """A store whose one worker has worked off jobs of two priorities, and has more of each before it."""
        with closing(psycopg.connect(database)) as other:
            other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            other.execute("SELECT count(*) FROM goscheds_jobs")
            store.heartbeat("worker", 3600, b"")
            for _ in range(self.WORKED_OFF // 1_000):
                store.push(jobs(500, priority=1) + jobs(500))
                claims = store.claim("default", "worker", 1_000, 0)
                store.settle("worker", [Outcome.done(claim, keep=False) for claim in claims])
            store.push(
                [job(f"{name}-{priority}", priority=priority) for priority in (1, 0) for name in ("next", "last")]
            )
            yield store

    def test_a_claim_begins_where_the_last_one_ended(self, worked):
        worked._lines.note("default", {}, [(*[0] * 13, 3600 * SECOND)])  # as a look that took long
        assert ids(worked.claim("default", "worker", 1, 0)) == ["next-1"]
        known = {"queue": "default", "worker": "worker", "limit": 1}
        assert _pages(worked, "claim", known) > self.WORKED_OFF / 80
        assert _pages(worked, "claim_along", known | worked._lines.parts("default")) < 40

    def test_a_round_of_recovery_and_a_scheduled_push_read_as_little(self, worked):
        worked.push(jobs(2_000, delay=1))
        eventually(lambda: worked.promote("worker", 2_000, 0.1))
        assert _pages(worked, "held", {"worker": "worker"}) > self.WORKED_OFF / 40
        outlook = _pages(worked, "outlook", {})
        assert outlook > 40
        assert _pages(worked, "astray", {**STATEMENTS["astray"], "queues": []}) < outlook + 30
        assert _pages(worked, "push_one", STATEMENTS["push_one"]) < 20


class TestLines:
    """Who claims from where the last claim ended overlooks nothing for good."""

    @pytest.fixture
    def along(self, store: PostgresStore) -> PostgresStore:
        """A store whose claims begin at the third of three jobs, for the next hour."""
        store.push([job("first"), job("second"), job("third")])
        store.heartbeat("worker", 3600, b"")
        store._lines._whole["default"] = time.monotonic() + 3600
        assert ids(store.claim("default", "worker", 2, 0)) == ["first", "second"]
        assert len(store._lines.parts("default")["low"]) > 1
        return store

    def _push_late(self, database: str, store: PostgresStore) -> None:
        """As a push that drew its place before the others, and is committed only now."""
        store.push([job("late")])
        sql(database, "UPDATE goscheds_jobs SET seq = 1 WHERE id = 'late' AND ns = %s", store._ns)

    def test_what_was_committed_late_is_found_before_a_claim_says_that_there_is_nothing(self, database, along):
        self._push_late(database, along)
        assert ids(along.claim("default", "worker", 2, 0)) == ["third"]
        assert ids(along.claim("default", "worker", 2, 0)) == ["late"]

    def test_it_is_found_after_a_while_in_a_queue_that_is_never_empty(self, database, along):
        self._push_late(database, along)
        along._lines._whole["default"] = time.monotonic()
        assert ids(along.claim("default", "worker", 1, 0)) == ["late"]

    def test_and_by_a_claim_that_came_with_a_settle(self, database, along):
        (third,) = along.claim("default", "worker", 1, 0)
        self._push_late(database, along)
        accepted, claims = along.settle_and_claim("worker", [Outcome.done(third)], "default", 5)
        assert (accepted, ids(claims)) == (["third"], ["late"])

    @pytest.mark.parametrize(("took", "pause"), [(1_000, -0.08), (100_000, 1.9), (10_000_000, 5.0)])
    def test_a_look_from_the_beginning_is_due_after_twenty_times_what_the_last_one_took(self, took, pause):
        lines = Lines()
        lines.note("default", {}, [(*[0] * 13, took)])
        assert lines._whole["default"] - time.monotonic() == pytest.approx(pause, abs=0.01)

    def test_a_server_that_is_far_away_is_looked_at_from_the_beginning(self, database, store, monkeypatch):
        def far(statement, **parameters):
            time.sleep(0.05)
            return near(statement, **parameters)

        near = store._query
        monkeypatch.setattr(store, "_query", far)
        store.push([job("first"), job("second"), job("third")])
        store.heartbeat("worker", 3600, b"")
        assert ids(store.claim("default", "worker", 2, 0)) == ["first", "second"]
        self._push_late(database, store)
        assert ids(store.claim("default", "worker", 2, 0)) == ["late", "third"]

    def test_who_lapsed_while_its_settle_waited_is_given_nothing(self, database, store):
        store.push([job("held"), job("next")])
        store.heartbeat("worker", 0.5, b"")
        (held,) = store.claim("default", "worker", 1, 0)
        with closing(psycopg.connect(database)) as other:
            other.execute("SELECT 1 FROM goscheds_jobs WHERE ns = %s AND id = 'held' FOR UPDATE", [store._ns])
            both = background(partial(store.settle_and_claim, "worker", [Outcome.done(held)], "default", 1))
            eventually(lambda: all(worker.expires_at < store.now() for worker in store.workers()))
            other.rollback()
        assert both.result(LATE) == (["held"], [])

    @pytest.mark.parametrize(
        ("change", "accepted"), [("cancelling = 1", ["held"]), ("fence = fence + 1", []), ("worker = 'other'", [])]
    )
    def test_what_somebody_changes_while_a_settle_waits_is_looked_at_again(self, database, store, change, accepted):
        store.push([job("held"), job("sound"), job("next")])
        store.heartbeat("worker", 3600, b"")
        claims = store.claim("default", "worker", 2, 0)
        with closing(psycopg.connect(database)) as other:
            other.execute(f"UPDATE goscheds_jobs SET {change} WHERE ns = %s AND id = 'held'", [store._ns])  # noqa: S608 - ours
            pid = other.info.backend_pid
            outcomes = [Outcome.done(claim) for claim in claims]
            both = background(partial(store.settle_and_claim, "worker", outcomes, "default", 1))
            waits = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
            eventually(lambda: sql(database, waits, pid))
            other.commit()
        settled, claimed = both.result(LATE)
        assert (settled, ids(claimed)) == ([*accepted, "sound"], ["next"])
        assert state(store, "held") is (State.DONE if accepted else State.ACTIVE)

    def test_of_many_priorities_the_highest_are_looked_for_from_their_places(self, store):
        store.push([job(f"{priority:03}", priority=priority) for priority in range(-50, 50)])
        store._lines._whole["default"] = time.monotonic() + 3600
        worker = hire(store)
        assert [claim.record.priority for claim in gather(store, worker, batch=7)] == [*range(49, -51, -1)]
        assert len(store._lines.parts("default")["place"]) < 50


FREELY = """
    SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
        set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true),
        set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true)
"""
EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"


def _pages(store: PostgresStore, name: str, parameters: dict) -> int:
    """How many a statement touches, which has no effect."""
    with store._pool.connection() as connection, connection.transaction(force_rollback=True):
        known = {"ns": store._ns, "channel": "", **parameters}
        ((plan,),) = connection.execute(f"{EXPLAIN} {getattr(store.sql, name)}", known).fetchone()
    return plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]


def _frugal(answer: tuple) -> None:
    """Complain of a plan that touched more rows or pages than a batch of ten has any use for."""
    plan = answer[0] if isinstance(answer[0], list) else json.loads(answer[0])
    nodes = [node for node in _nodes(plan[0]["Plan"]) if node.get("Relation Name") == "goscheds_jobs"]
    assert nodes
    for node in nodes:
        read = node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        assert node["Node Type"] != "Seq Scan", node
        assert read <= 100, node
    assert plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] <= 1_000


def _asked(monkeypatch, store: PostgresStore) -> list[str]:
    """The statements that a store runs from now on."""
    asked, run = [], store._run

    def noted(connection, statement, /, **parameters):
        asked.append(statement)
        return run(connection, statement, **parameters)

    monkeypatch.setattr(store, "_run", noted)
    return asked


def _numbered(store: PostgresStore, name: str, parameters: dict) -> tuple[str, list]:
    """A statement with its parameters by number, as PREPARE wants it, and their values."""
    known = {"ns": store._ns, "channel": "", **parameters}
    statement = getattr(store.sql, name)
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)b", statement)))
    for number, one in enumerate(names, 1):
        statement = statement.replace(f"%({one})b", f"${number}")
    return statement.replace("%%", "%"), [known[one] for one in names]


def _execute(name: str, values: list) -> str:
    return f"EXECUTE {name} ({', '.join(Literal(value).as_string() for value in values)})"


def _kind(value: object) -> str:
    if isinstance(value, list):
        return f"{_kind(value[0])}[]"
    return {int: "bigint", str: "text", bytes: "bytea", bool: "boolean"}[type(value)]


class TestWakeUps:
    @pytest.mark.parametrize(("options", "within"), [("", 0.1), ("?wakeups=off", 0.35), ("?pgbouncer=on", 0.35)])
    def test_a_push_of_another_client_is_noticed(self, another, options, within):
        here, there = another(options), another()
        worker = hire(here)
        assert median(_seconds_to_wake(here, there, worker) for _ in range(3)) < within

    def test_an_idle_wait_is_one_statement(self, another, monkeypatch):
        store = another()
        worker, other = hire(store), hire(store)
        store.claim("default", worker, 1, 0.1)
        eventually(lambda: store._bell.patience == 1)
        eventually(lambda: store.claim("default", worker, 1, 0.1) == [] and "default" in store._bell._calls)
        eventually(lambda: store.promote(worker, 1, 0.1) == 0 and "" in store._bell._calls)
        asked = _asked(monkeypatch, store)
        for wait, statement in (
            (lambda: store.claim("default", worker, 1, 0.2), store.sql.claim),
            (lambda: store.promote(worker, 1, 0.2), store.sql.promote),
            (lambda: store.promote(other, 1, 0.2), store.sql.promote),
            (lambda: store.recover(worker, 10), store.sql.astray),
            (lambda: store.heartbeat(worker, 60, b"") and None, store.sql.heartbeat),
        ):
            asked.clear()
            assert not wait()
            assert asked == [statement]

    def test_a_due_job_is_claimed_in_one_step_by_who_waits_for_it(self, another, monkeypatch):
        store, elsewhere = another(), another()
        worker = hire(store)
        asked = _asked(monkeypatch, store)
        duties = background(lambda: [store.promote(worker, 10, 1) for _ in range(2)])
        waiting = background(lambda: store.claim("default", worker, 1, LATE))
        eventually(lambda: {"", "default"} <= store._bell._calls.keys())
        elsewhere.push([job("one", delay=SECOND // 2)])
        (claim,) = waiting.result(LATE)
        assert (claim.record.id, claim.fence, claim.claimed_at >= claim.record.execute_at) == ("one", 1, True)
        assert duties.result(LATE) == [0, 0], "nothing was left to promote"
        assert asked.count(store.sql.claim_due) == 1
        assert store.counts().jobs == {("default", State.ACTIVE): 1}
        assert store.settle(worker, [Outcome.done(claim)]) == ["one"]
        assert store.counts().jobs == {("default", State.DONE): 1}

    def test_a_due_job_overtakes_none_that_is_ready_and_leaves_no_paused_queue(self, store):
        worker = hire(store)
        store.push([job("due", delay=1)])
        pass_moment(store, store.now() + 5)
        claim_due = partial(store._query, store.sql.claim_due, worker=worker, due=0)
        assert claim_due(queue="other") == [], "it is not the next"
        store.push([job("ready")])
        assert claim_due(queue="default") == []
        store.claim("default", worker, 1, 0)
        store.pause("default", True)
        assert claim_due(queue="default") == []
        store.pause("default", False)
        assert store._query(store.sql.claim_due, queue="default", worker="nobody", due=0) == []
        assert claim_due(queue="default", due=store.now() + HOUR) == [], "it looks at the clock, but not for long"
        store.push([job("second", delay=1)])
        pass_moment(store, store.now() + 5)
        assert claim_due(queue="default") == [], "of several one may have a higher priority"
        store.move([Move.cancel("second")])
        assert [row[0] for row in claim_due(queue="default")] == ["due"]

    @pytest.mark.parametrize("nth", [0, 1, 2])
    @pytest.mark.parametrize("field", Record.__struct_fields__)
    def test_what_is_missing_in_a_batch_is_refused(self, store, field, nth):
        batch = jobs(3)
        batch[nth] = replace(batch[nth], **{field: None})
        with pytest.raises(StoreError):
            store.push(batch)
        assert store.counts().jobs == {}

    def test_a_connection_keeps_nothing_of_a_batch(self, store):
        worker, batch = hire(store), [job(payload=b"%d" % number * 50_000) for number in range(100)]
        tracemalloc.start()
        try:
            store.push(batch)
            assert tracemalloc.get_traced_memory()[0] < 1_000_000
        finally:
            tracemalloc.stop()
        assert len(store.claim("default", worker, 100, 0)) == 100
        assert [connection.statements.pgresult for connection in store._pool._idle] == [None]

    @pytest.mark.slow
    def test_one_look_is_for_all_who_wait_and_finds_what_they_were_not_told(self, another, monkeypatch):
        store, silent = another(), another("?wakeups=off")
        worker = hire(store)
        asked = _asked(monkeypatch, store)
        waiting = {queue: background(partial(store.claim, queue, worker, 1, 20)) for queue in ("one", "two")}
        eventually(lambda: {"one", "two"} <= store._bell._calls.keys())
        duties = background(lambda: [(store.promote(worker, 10, 1.6), store.recover(worker, 10)) for _ in range(3)])
        eventually(lambda: store.sql.astray in asked)
        asked.clear()
        eventually(lambda: asked.count(store.sql.astray) == 1)
        assert store.sql.claim not in asked
        assert asked.count(store.sql.promote) == 1
        began = time.monotonic()
        silent.push([job(queue="two")])
        assert waiting["two"].result(LATE)
        assert time.monotonic() - began < 1.1
        store.interrupt(worker)
        assert duties.result(LATE)[0] == (0, [])

    def test_a_listener_that_hears_nothing_is_replaced_by_looking(self, another, monkeypatch, caplog):
        here, there = another(), another()
        worker = hire(here)
        connected = here._bell._connect

        def bounced() -> (
            psycopg.Connection
        ):  # as PgBouncer does it: LISTEN succeeds, on a connection of somebody else's
            connection = connected()
            execute = connection.execute
            connection.execute = lambda query, *rest: execute(
                "SELECT 1" if query.startswith("LISTEN") else query, *rest
            )
            return connection

        monkeypatch.setattr(here._bell, "_connect", bounced)
        monkeypatch.setattr(listener, "HEARSAY", 0.05)
        assert min(_seconds_to_wake(here, there, worker) for _ in range(2)) < 0.5
        assert "PgBouncer" in caplog.text

    def test_a_listener_whose_connection_is_cut_listens_again(self, database, another, caplog):
        here, there = another(), another()
        worker = hire(here)
        waiting = background(lambda: here.claim("default", worker, 1, 20))
        eventually(lambda: here._bell.patience == 1)
        assert sql(database, f"SELECT pg_terminate_backend({here._bell._connection.info.backend_pid})")
        there.push([job("one")])
        assert ids(waiting.result(LATE)) == ["one"]
        eventually(lambda: "No word from other processes" in caplog.text)  # whichever thread met the end of it first
        waiting = background(lambda: here.claim("default", worker, 1, 20))
        eventually(lambda: here._bell.patience == 1)
        settle_in()
        began = time.monotonic()
        there.push([job("two")])
        assert ids(waiting.result(LATE)) == ["two"]
        assert time.monotonic() - began < 0.2

    def test_a_batch_notifies_once_for_each_queue_and_once_for_the_earliest(self, database, store):
        later = job("later", delay=2 * HOUR)
        store.push([later])
        with closing(psycopg.connect(database, autocommit=True)) as ear:
            assert [_on_call(ear, store, topic) for topic in ("", "mail", "default", "\N{PILE OF POO}" * 255)] == [
                True
            ] * 4
            heard = partial(_heard, ear)
            store.push([*jobs(100, queue="mail"), *jobs(100, queue="\N{PILE OF POO}" * 255)])
            assert heard() == ["mail", "\N{PILE OF POO}" * 255]
            store.push(jobs(10, delay=3 * HOUR))
            assert heard() == []
            store.push(jobs(10, delay=HOUR))
            assert heard() == [""]
            worker = hire(store)
            claims = store.claim("mail", worker, 100, 0)
            store.settle(worker, [Outcome.done(claim) for claim in claims[:90]])
            assert heard() == []
            store.settle(worker, [Outcome.released(claim) for claim in claims[90:]])
            assert heard() == ["mail"]
            store.move([Move.reschedule("later", delay=1), Move.cancel("none")])
            assert heard() == [""], "which goes to everybody"
            store.promote(worker, 10, 1)
            assert heard() == ["default"]

    def test_nobody_is_notified_of_what_nobody_is_on_call_for(self, database, store):
        with closing(psycopg.connect(database, autocommit=True)) as ear:
            assert _on_call(ear, store, "mail")
            store.push([job(queue="mail"), job(queue="other"), job(delay=HOUR)])
            assert _heard(ear) == ["mail"]
            ear.execute("SELECT pg_advisory_unlock_all()")
            store.push([job(queue="mail")])
            assert _heard(ear) == []

    def test_a_push_wakes_one_of_many_processes(self, another, monkeypatch):
        """Each job is claimed at the first look, and nobody else has looked."""
        looks = []
        claim = PostgresStore._claim
        monkeypatch.setattr(PostgresStore, "_claim", lambda *told: looks.append(claim(*told)) or looks[-1])
        there, here = another(), [another() for _ in range(4)]
        waiting = [background(partial(one.claim, "default", hire(one), 1, 10)) for one in here]
        eventually(lambda: any("default" in one._bell._calls for one in here))
        settle_in(0.1)
        looks.clear()
        there.push([job()])
        eventually(lambda: any(future.done() for future in waiting))
        assert [len(claims) for claims in looks if claims] == [1]
        assert len(looks) <= 3, "one that found it, and those who looked for themselves at this moment"
        for one in here:
            one.close()

    def test_a_topic_is_passed_on_by_a_process_that_is_busy_and_by_one_that_ends(self, another):
        one, two, there = another(), another(), another()
        first = background(partial(one.claim, "default", hire(one), 1, 20))
        eventually(lambda: "default" in one._bell._calls)
        second = background(partial(two.claim, "default", hire(two), 1, 20))
        settle_in(0.1)
        there.push([job("first")])
        assert ids(first.result(LATE)) == ["first"]
        eventually(lambda: "default" in two._bell._calls, within=0.5)
        assert "default" not in one._bell._calls
        two._bell.hush()
        third = background(partial(one.claim, "default", hire(one), 1, 20))
        eventually(lambda: "default" in one._bell._calls or "default" in two._bell._calls, within=5)
        there.push([job("second"), job("third")])
        assert sorted(ids([*second.result(LATE), *third.result(LATE)])) == ["second", "third"]

    def test_without_wakeups_nothing_is_notified_and_nobody_listens(self, database, another):
        silent = another("?wakeups=off")
        with closing(psycopg.connect(database, autocommit=True)) as ear:
            ear.execute(f'LISTEN "goscheds.{silent._namespace}"')
            silent.push([job(), job(delay=HOUR)])
            silent.claim("none", hire(silent), 1, 0.3)
            assert _heard(ear) == []
        assert type(silent._bell).__name__ == "Bell"

    @pytest.mark.slow
    def test_promotion_is_late_by_milliseconds(self, store):
        late = []
        worker = hire(store)
        for _ in range(40):
            store.push([job(delay=30_000)])
            store.promote("duty", 10, 5)
            (claim,) = store.claim("default", worker, 1, 0)
            late.append(claim.claimed_at - claim.record.execute_at)
        assert median(late) < 0.01 * SECOND
        assert quantiles(late, n=10)[-1] < 0.05 * SECOND


@pytest.mark.slow
class TestClashes:
    def test_settles_in_opposite_orders_do_not_lock_each_other_out(self, another):
        stores = [another() for _ in range(4)]
        worker = hire(stores[0])
        stores[0].push(jobs(200))
        claims = gather(stores[0], worker)
        for _ in range(5):
            outcomes = [Outcome.retry(claim, meta=b"again") for claim in claims]
            orders = [outcomes, outcomes[::-1], outcomes[::2] + outcomes[1::2], outcomes[100:] + outcomes[:100]]
            together([partial(store.settle, worker, order) for store, order in zip(stores, orders, strict=True)])
            claims = gather(stores[0], worker)
            assert len(claims) == 200

    def test_pushes_of_the_same_keys_in_opposite_orders_agree(self, another):
        stores = [another() for _ in range(4)]
        for attempt in range(5):
            keys = [f"{attempt}-{number}" for number in range(50)]
            batches = [[job(unique_key=key) for key in keys[:: 1 - 2 * (nth % 2)]] for nth in range(4)]
            named = together([partial(store.push, batch) for store, batch in zip(stores, batches, strict=True)])
            holders = {one.record.unique_key: one.record.id for one in rows(stores[0], limit=1000)}
            for batch, answer in zip(batches, named, strict=True):
                assert answer == [holders[one.unique_key] for one in batch]

    def test_a_holder_that_vanishes_before_it_is_named_makes_room(self, store, monkeypatch):
        store.push([job("holder", unique_key="key")])
        run, gone = store._run, []

        def interfere(connection, statement, /, **parameters):
            if statement == store.sql.holders and not gone:
                gone.append(store.move([Move.cancel("holder")]))
            return run(connection, statement, **parameters)

        monkeypatch.setattr(store, "_run", interfere)
        batch = [job("before"), job("heir", unique_key="key"), job("after"), job("late", unique_key="key")]
        assert store.push(batch) == ["before", "heir", "after", "heir"]
        assert gone == [[State.CANCELLED]]

    def test_moves_that_would_make_two_holders_of_a_key_make_one(self, another):
        stores = [another() for _ in range(4)]
        worker = hire(stores[0])
        for _ in range(5):
            for number in range(4):
                stores[0].push([job(f"job-{number}", unique_key="key")])
                for claim in gather(stores[0], worker):
                    stores[0].settle(worker, [Outcome.dead(claim)])
            moves = [Move.retry(f"job-{number}") for number in range(4)]
            states = together([partial(store.move, [move]) for store, move in zip(stores, moves, strict=True)])
            assert sorted(str(state) for (state,) in states) == ["dead", "dead", "dead", "ready"]
            for claim in gather(stores[0], worker):
                stores[0].settle(worker, [Outcome.done(claim, keep=False)])
            stores[0].erase()
            worker = hire(stores[0])

    def test_a_database_that_is_serializable_by_default_serves_as_well(self, another):
        stores = [another("?options=-cdefault_transaction_isolation%3Dserializable") for _ in range(4)]
        worker = hire(stores[0])
        together([partial(store.push, jobs(100)) for store in stores])
        taken = together([partial(gather, store, worker, batch=7) for store in stores])
        assert len({claim.record.id for claims in taken for claim in claims}) == 400
        settled = together(
            [
                partial(store.settle, worker, [Outcome.done(claim) for claim in claims])
                for store, claims in zip(stores, taken, strict=True)
            ]
        )
        assert sum(map(len, settled)) == 400


class TestConnections:
    def test_connections_that_were_cut_are_replaced_after_one_error(self, database, store):
        together([store.now for _ in range(8)])
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'goscheds'"
        sql(database, f"{ended} AND datname = current_database()")
        with pytest.raises(StoreUnavailable):
            store.now()
        together([store.now for _ in range(8)])

    def test_behind_pgbouncer_nothing_is_left_in_the_session(self, another):
        store = another("?pgbouncer=on")
        worker = hire(store)
        for _ in range(10):
            store.push(jobs(2))
            store.settle(worker, [Outcome.done(claim) for claim in store.claim("default", worker, 10, 0)])
        with store._pool.connection() as connection:
            assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
            changed = connection.execute("SELECT name FROM pg_settings WHERE source = 'session'").fetchall()
        assert {name for (name,) in changed} <= {"client_encoding", "application_name"}

    def test_a_batch_of_which_a_job_is_there_already_is_pushed_for_the_rest(self, store):
        batches = [[job("one"), job("two")], [job("two"), job("three")], [job("four"), job("four")], [job("four")] * 2]
        assert [store.push(batch) for batch in batches] == [[one.id for one in batch] for batch in batches]
        assert ids(gather(store, hire(store))) == ["one", "two", "three", "four"]

    def test_an_error_of_the_server_is_told_with_its_cause_and_leaves_the_connection_sound(self, store):
        with pytest.raises(StoreError) as caught:
            store.push([job("fine"), job("broken", name="no\0 text")])
        assert isinstance(caught.value.__cause__, psycopg.Error)
        assert not rows(store)
        assert len(store._pool._idle) == 1

    @pytest.mark.slow
    def test_a_process_killed_within_its_transaction_changes_nothing(self, database, store):
        store.push(jobs(5))
        code = """if True:
            import psycopg, sys, time
            connection = psycopg.connect(sys.argv[1])
            connection.execute("UPDATE goscheds_jobs SET state = 3")
            print("within", flush=True)
            time.sleep(60)
        """
        with _run(code, database) as process:
            assert process.stdout.readline() == "within\n"
            worker = hire(store)
            assert store.claim("default", worker, 10, 0.1) == [], "locked rows are passed by"
            process.send_signal(signal.SIGKILL)
        assert len(eventually(lambda: store.claim("default", worker, 10, 1))) == 5


def _run(code: str, *arguments: object) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _told(error: BaseException | None) -> Iterator[str]:
    """Whatever a traceback would show of an error."""
    while error:
        yield f"{error} {error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _on_call(ear: psycopg.Connection, store: PostgresStore, topic: str) -> bool:
    """Whether this connection is on call for a topic, and hears what is said of it and to everybody."""
    ((key, mine, _),) = ear.execute(store.sql.call, {"topic": topic, "namespace": store._namespace}).fetchall()
    ear.execute(f'LISTEN "goscheds.{key}"')
    ear.execute(f'LISTEN "{store._channel}"')
    return mine


def _heard(ear: psycopg.Connection) -> list[str]:
    return sorted(notification.payload for notification in ear.notifies(timeout=0.15))


def _seconds_to_wake(here: PostgresStore, there: PostgresStore, worker: str) -> float:
    waiting = background(lambda: here.claim("default", worker, 1, 10))
    settle_in()
    began = time.monotonic()
    there.push([job()])
    assert len(waiting.result(LATE)) == 1
    return time.monotonic() - began
