"""What only the SQLite store has: its file, its URLs, its plans, its watcher."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from statistics import median, quantiles

import pytest

from goscheds.backends.sql.bell import HEARING
from goscheds.backends.sql.rows import where
from goscheds.backends.sql.sqlite import SqliteStore, clock, connect, file
from goscheds.backends.sql.sqlite.inotify import FileWatch
from goscheds.backends.sql.statements import script
from goscheds.contract.bench import LATE, SECOND, background, eventually, hire, job, jobs, rows, settle_in
from goscheds.errors import ConfigError, SchemaTooNew, StoreError, StoreUnavailable
from goscheds.record import Move, Outcome, Query, State

Open = Callable[..., SqliteStore]
PROMPT = 0.02


class Missing:
    """A kernel that tells nothing, and says so."""

    def __init__(self, path: str) -> None:
        raise OSError("no inotify")


class Late(FileWatch):
    """Says nothing of a write until it is asked again: it came between the answer and the look at the counter."""

    def wait(self, seconds: float) -> bool:
        if seconds < HEARING:
            return super().wait(seconds)
        self._poll.poll(1000 * seconds)
        return False


class Deaf:
    """A file system that tells nothing, and does not say so."""

    def __init__(self, path: str) -> None:
        self._ended = threading.Event()

    def wait(self, seconds: float) -> bool:
        return self._ended.wait(seconds)

    def end(self) -> None:
        self._ended.set()

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def another(path: Path) -> Iterator[Open]:
    opened: list[SqliteStore] = []

    def another(options: str = "", namespace: str = "shop") -> SqliteStore:
        store = connect(f"sqlite:///{path}{options}", namespace)
        opened.append(store)
        store.open()
        return store

    yield another
    for store in opened:
        store.close()


@pytest.fixture
def store(another: Open) -> SqliteStore:
    return another()


@pytest.fixture
def anybody() -> Callable[[], AbstractContextManager[None]]:
    """Makes the tests an ordinary user for a while, since permissions are nothing to root."""

    @contextmanager
    def anybody() -> Iterator[None]:
        user = os.geteuid()
        os.seteuid(user or 65534)
        try:
            yield
        finally:
            os.seteuid(user)

    return anybody


def sql(path: Path, statement: str) -> list[tuple]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def run(code: str, *arguments: object) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class TestUrl:
    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("sqlite://", "memory://"),
            ("sqlite:///", "memory://"),
            ("sqlite:///:memory:", "memory://"),
            ("sqlite://jobs.db", "sqlite:///"),
            ("sqlite:///jobs.db?sync=full", "synchronous"),
            ("sqlite:///jobs.db?synchronous=off", "`full`"),
            ("sqlite:///jobs.db?wakeups=never", "`off`"),
        ],
    )
    def test_what_can_not_work_is_refused(self, url, says):
        with pytest.raises(ConfigError, match=says):
            connect(url, "shop")

    def test_an_old_sqlite_is_refused(self, monkeypatch):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
        with pytest.raises(ConfigError, match=r"3\.37"):
            connect("sqlite:///jobs.db", "shop")

    def test_a_relative_path_stays_where_it_was(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        store = connect("sqlite:///my%20jobs.db", "shop")
        monkeypatch.chdir("/")
        store.open()
        store.close()
        assert (tmp_path / "my jobs.db").is_file()

    @pytest.mark.parametrize(("options", "level"), [("", 1), ("?synchronous=full", 2)])
    def test_synchronous_is_what_the_url_says(self, another, options, level):
        with another(options)._pool.connection() as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


class TestFile:
    def test_a_missing_directory_is_named(self, tmp_path):
        with pytest.raises(StoreError, match=r"nowhere/jobs.db.*directory"):
            connect(f"sqlite:///{tmp_path}/nowhere/jobs.db", "shop").open()

    def test_a_file_of_another_kind_is_named_and_left_alone(self, path):
        path.write_text("These are not the jobs you are looking for. " * 50)
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"jobs.db.*another kind"):
            connect(f"sqlite:///{path}", "shop").open()
        assert path.read_bytes() == before

    def test_a_file_that_can_not_be_written_is_named(self, anybody):
        with tempfile.TemporaryDirectory() as folder:
            sql(Path(folder, "jobs.db"), "PRAGMA user_version = 1")
            Path(folder, "jobs.db").chmod(0o444)
            Path(folder).chmod(0o555)
            with anybody(), pytest.raises(StoreError, match=r"jobs\.db.*may this user write"):
                connect(f"sqlite:///{folder}/jobs.db", "shop").open()

    def test_a_full_disk_is_named_and_nothing_is_stored(self, store):
        with store._pool.connection() as connection:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + 20}")
        with pytest.raises(StoreError, match=r"jobs.db.*full.*room"):
            store.push(jobs(100, payload=bytes(10_000)))
        assert not rows(store)
        assert store.push([job("small")]) == ["small"]

    def test_a_file_that_others_keep_locked_is_unavailable(self, path, another, monkeypatch):
        monkeypatch.setattr(file, "BUSY", 0.2)
        store = another()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match=r"locked"):
                store.push([job()])
            assert not store.counts().jobs, "reading does not wait for writers"
        assert store.push([job("one")]) == ["one"]

    @pytest.mark.slow
    def test_a_process_killed_within_its_transaction_changes_nothing(self, store, path):
        store.push(jobs(5, "kept"))
        code = """if True:
            import sqlite3, sys, time
            connection = sqlite3.connect(sys.argv[1], isolation_level=None)
            connection.execute("PRAGMA cache_size = 1")  # so that the change is in the log before it is committed
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE goscheds_jobs SET state = 3, payload = zeroblob(100000)")
            print("within", flush=True)
            time.sleep(60)
        """
        with run(code, path) as process:
            assert process.stdout.readline() == "within\n"
            process.send_signal(signal.SIGKILL)
        worker = hire(store)
        assert len(store.claim("default", worker, 10, 0)) == 5

    @pytest.mark.slow
    def test_a_forked_child_uses_the_store_without_harm(self, path):
        code = """if True:
            import os, sys
            from goscheds.backends.sql.sqlite import connect
            from goscheds.record import Record
            store = connect("sqlite:///" + sys.argv[1], "shop")
            store.open()
            store.heartbeat("parent", 60, b"")
            store.claim("default", "parent", 1, 0.1)  # its watcher runs
            for number in range(3):
                if os.fork() == 0:
                    store.push([Record(f"child-{number}", "job", "default")])
                    assert store.claim("none", "parent", 1, 0.1) == []
                    os._exit(0)
                assert os.wait()[1] == 0
                store.push([Record(f"parent-{number}", "job", "default")])
            print(len(store.claim("default", "parent", 10, 0)))
        """
        with run(code, path) as process:
            assert process.communicate(timeout=30)[0] == "6\n"


class TestSchema:
    def test_a_later_schema_is_refused_and_left_alone(self, store, path):
        store.close()
        sql(path, "INSERT INTO goscheds_schema VALUES (99, 99)")
        before = sql(path, "SELECT * FROM sqlite_master"), sql(path, "SELECT * FROM goscheds_namespaces")
        with pytest.raises(SchemaTooNew, match="99"):
            connect(f"sqlite:///{path}", "another").open()
        assert (sql(path, "SELECT * FROM sqlite_master"), sql(path, "SELECT * FROM goscheds_namespaces")) == before

    def test_the_tables_live_beside_those_of_others(self, path, another):
        sql(path, "CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        sql(path, "INSERT INTO orders VALUES (7)")
        another().push([job()])
        assert sql(path, "SELECT * FROM orders") == [(7,)]

    def test_a_script_is_cut_at_its_statements(self):
        statements = script("sqlite", 1)
        assert all(statement.startswith(("CREATE ", "INSERT ")) for statement in statements)
        assert len(statements) == 12

    @pytest.mark.slow
    def test_eight_processes_create_it_at_once(self, path, another):
        code = """if True:
            import sys
            from goscheds.backends.sql.sqlite import connect
            from goscheds.record import Record
            store = connect("sqlite:///" + sys.argv[1], "shop")
            print("here", flush=True)
            sys.stdin.readline()
            store.open()
            print(store.push([Record(sys.argv[2], "job", "default")])[0])
            store.close()
        """
        processes = [run(code, path, f"job-{number}") for number in range(8)]
        for process in processes:
            assert process.stdout.readline() == "here\n"
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.communicate(timeout=60)[0] for process in processes] == [f"job-{n}\n" for n in range(8)]
        assert sql(path, "SELECT * FROM goscheds_schema") == [(1, 1)]
        assert len(rows(another())) == 8


IDS = "sqlite_autoindex_goscheds_jobs_1"
INDEXES = {
    "claim": "goscheds_ready",
    "ready": "goscheds_ready",
    "promote": "goscheds_due",
    "due": "goscheds_due",
    "outlook": "goscheds_due",
    "overdue": "goscheds_deadline",
    "orphans": "goscheds_held",
    "lapsed": "goscheds_held",
    "condemn": "",
    "bury": "goscheds_held",
    "held": "goscheds_held",
    "workers": "goscheds_held",
    "alive": "",
    "unlapsed": "",
    "beat": "",
    "lead": "",
    "reserve": "",
    "cancelling": "goscheds_held",
    "holder": "goscheds_unique",
    "purge": "goscheds_settled",
    "counts": "goscheds_settled",
    "push": "",
    "settle": IDS,
    "give_back": IDS,
    "forget": IDS,
    "settled": IDS,
    "cancel": IDS,
    "reschedule": IDS,
    "retry": IDS,
}


class TestBatches:
    """What a batch says of jobs that were not stored is what it would have said one by one."""

    def test_an_id_that_is_stored_later_in_a_batch_does_not_stand_for_one_whose_key_is_taken(self, store):
        store.push([job("holder", unique_key="k")])
        batch = [job("holder"), job("twice", unique_key="k"), job("twice"), job("twice"), job("fresh")]
        assert store.push(batch) == ["holder", "holder", "twice", "twice", "fresh"]
        assert store.push(batch) == ["holder", "twice", "twice", "twice", "fresh"]

    def test_a_batch_that_is_stale_in_part_pushes_the_follow_up_jobs_of_the_rest(self, store):
        store.push(jobs(3))
        worker = hire(store)
        (one, two, three) = store.claim("default", worker, 3, 0)
        store.settle(worker, [Outcome.done(one, jobs=[job("of-one")])])
        store.purge(State.DONE, store.now() + SECOND, 9)
        outcomes = [
            Outcome.done(one, jobs=[job("again")]),
            Outcome.released(two),
            Outcome.dead(three, keep=False, jobs=[job("of-three")]),
            Outcome.dead(three, keep=False, jobs=[job("never")]),
        ]
        assert store.settle(worker, outcomes) == [two.record.id, three.record.id]
        assert {row.record.id for row in rows(store)} == {"of-one", two.record.id, "of-three"}


class TestPlans:
    """Every statement finds its rows through an index, and the one that was made for it."""

    @pytest.mark.parametrize(("name", "index"), INDEXES.items())
    def test_no_statement_scans_the_jobs(self, store, name, index):
        plan = _plan(store, getattr(store.sql, name))
        assert not [step for step in plan if step.startswith("SCAN goscheds_jobs")]
        assert any(index in step for step in plan) or not index, plan

    def test_a_line_is_in_order_as_it_is_read(self, store):
        for name in ("claim", "ready", "due", "outlook"):
            assert not [step for step in _plan(store, getattr(store.sql, name)) if "TEMP B-TREE" in step], name

    def test_the_first_page_is_read_in_order_by_id(self, store):
        for query in (Query(), Query(queue="mail", name="send"), Query(after="0"), Query(ids=("a", "b"))):
            condition, _ = where(query)
            (step,) = _plan(store, store.sql.find.replace("{where}", condition))
            assert f"USING INDEX {IDS}" in step

    def test_a_settled_job_is_in_two_indexes_alone(self, path, store):
        indexes = sql(path, "SELECT sql FROM sqlite_master WHERE tbl_name = 'goscheds_jobs' AND type = 'index'")
        kept = [text for (text,) in indexes if text is None or "WHERE state >= 3" in text]
        assert len(kept) == 2
        assert len(indexes) == 7


class TestClock:
    def test_it_is_the_machine_s_to_the_microsecond_whatever_python_s_say(self, store, path, monkeypatch):
        for name in ("time", "time_ns", "clock_gettime", "clock_gettime_ns"):
            monkeypatch.setattr(time, name, lambda *_: 0)
        told = [store.now() for _ in range(20)]
        path.with_name("touched").touch()
        assert abs(path.with_name("touched").stat().st_mtime_ns // 1000 - told[-1]) < SECOND
        assert any(moment % 1000 for moment in told)
        assert told == sorted(told)

    def test_a_statement_asks_once(self, store, path):
        store.push(jobs(500))
        assert len({claim.claimed_at for claim in store.claim("default", hire(store), 500, 0)}) == 1

    def test_another_system_has_sqlite_s_own(self, store, path, monkeypatch):
        monkeypatch.setattr(clock.ctypes, "CDLL", lambda *_: object())
        assert clock._clock() is None
        ((coarse,),) = sql(path, f"SELECT {clock.COARSE}")
        assert 0 <= store.now() - coarse < SECOND


class TestFileWatch:
    def test_it_hears_of_writes_and_of_its_end(self, path):
        path.write_text("")
        with closing(FileWatch(str(path))) as watch:
            assert not watch.wait(0)
            path.write_text("one")
            assert watch.wait(LATE)
            assert not watch.wait(0.0001)
            waiting = background(lambda: watch.wait(LATE))
            watch.end()
            assert waiting.result(LATE / 2)

    def test_what_is_not_there_is_named(self, path):
        with pytest.raises(FileNotFoundError, match=r"jobs\.db"):
            FileWatch(str(path))

    def test_another_system_is_told_apart(self, path, monkeypatch):
        monkeypatch.setattr("goscheds.backends.sql.sqlite.inotify.ctypes.CDLL", lambda *_, **__: object())
        with pytest.raises(OSError, match="no inotify"):
            FileWatch(str(path))


class TestThreads:
    def test_threads_that_end_leave_no_connection(self, store):
        for _ in range(20):
            background(lambda: store.push([job()])).result(LATE)
        assert len(store._pool._idle) == 1

    def test_closing_ends_the_watcher(self, store):
        worker = hire(store)
        store.claim("default", worker, 1, 0.01)
        waiting = background(lambda: store.claim("none", worker, 1, 20))
        eventually(lambda: store._bell._all)  # it rings once as it begins: who is woken by that looks, and waits again
        background(lambda: store.claim("default", worker, 1, 0.1)).result(LATE)
        assert _watchers()
        store.close()
        assert waiting.result(LATE) == []
        assert not _watchers()

    def test_a_broken_call_leaves_no_transaction_behind(self, store):
        with pytest.raises(StoreError, match=r"jobs\.db"):
            store.push([job("fine"), job("broken", payload=object())])
        assert not rows(store)
        assert store.push([job("fine")]) == ["fine"]


class TestWakeUps:
    @pytest.mark.parametrize(
        ("options", "within"), [("", PROMPT), ("?synchronous=full", 5 * PROMPT), ("?wakeups=off", 0.35)]
    )
    def test_a_push_of_another_client_is_noticed(self, another, options, within):
        here, there = another(options), another(options)
        assert _median_to_wake(here, there) < within

    @pytest.mark.parametrize("watch", [Missing, Deaf])
    def test_where_the_kernel_tells_nothing_commits_are_looked_for(self, another, monkeypatch, watch):
        monkeypatch.setattr("goscheds.backends.sql.sqlite.watcher.FileWatch", watch)
        here, there = another(), another()
        assert _median_to_wake(here, there) < 0.1

    def test_a_commit_just_after_the_kernel_was_asked_is_no_reason_to_mistrust_it(self, another, monkeypatch):
        monkeypatch.setattr("goscheds.backends.sql.sqlite.watcher.FileWatch", Late)
        here, there = another(), another()
        looking = _count(monkeypatch, here._bell, "_look")
        assert _median_to_wake(here, there) < PROMPT
        assert not looking

    def test_a_watcher_that_fails_is_replaced_by_looking(self, another, path, monkeypatch, caplog):
        def fail(*arguments, **options):
            raise sqlite3.OperationalError("no more files")

        here, there = another(), another()
        worker = hire(here)
        monkeypatch.setattr("goscheds.backends.sql.sqlite.watcher.sqlite3.connect", fail)
        assert min(_seconds_to_wake(here, there, worker) for _ in range(3)) < 0.5
        assert "no more files" in caplog.text

    def test_claims_settles_and_heartbeats_wake_nobody_and_what_makes_ready_or_due_does(self, another, monkeypatch):
        here, there = another(), another()
        there.push(jobs(3))
        worker = hire(there)
        waiting = background(lambda: here.claim("none", hire(here), 1, 20))
        eventually(lambda: here._bell._all)
        rung = _count(monkeypatch, here._bell, "ring_all")
        seen = _count(monkeypatch, here._bell, "_ring_for")
        (one, *rest) = there.claim("default", worker, 3, 0)
        there.settle(worker, [Outcome.done(one)])
        there.heartbeat(worker, 60, b"")
        eventually(lambda: seen)
        settle_in()
        assert not rung
        for change in (
            lambda: there.settle(worker, [Outcome.released(claim) for claim in rest]),
            lambda: there.move([Move.cancel(rest[0].record.id)]),
            lambda: there.push([job(delay=LATE * SECOND)]),
            lambda: there.pause("none", paused=True),
            lambda: there.heartbeat(worker, 0, b""),
        ):
            rung.clear()
            change()
            eventually(lambda: rung)
        here.close()
        assert waiting.result(LATE) == []

    @pytest.mark.slow
    def test_idle_workers_cost_next_to_nothing(self, store):
        worker = hire(store)
        waiting = [background(lambda: store.claim("default", worker, 1, 4)) for _ in range(8)]
        settle_in(1)
        began = time.process_time()
        time.sleep(2.5)
        assert (time.process_time() - began) / 2.5 < 0.02
        assert [claims.result(LATE) for claims in waiting] == [[]] * 8

    @pytest.mark.slow
    def test_promotion_is_late_by_milliseconds(self, store):
        late = []
        for _ in range(40):
            store.push([job(delay=30_000)])
            store.promote("duty", 10, 5)
            (claim,) = store.claim("default", hire(store), 1, 0)
            late.append(claim.claimed_at - claim.record.execute_at)
            store.settle("duty", [Outcome.done(claim)])
        assert median(late) < 0.005 * SECOND
        assert quantiles(late, n=10)[-1] < 0.05 * SECOND


@pytest.mark.parametrize("call", ["claim", "promote"])
def test_a_call_that_waits_while_the_store_is_closed_just_ends(store, monkeypatch, call):
    worker = hire(store)
    waiting = {
        "claim": lambda: store.claim("default", worker, 1, 10),
        "promote": lambda: store.promote(worker, 1, 10),
    }

    def wait(*_):
        store.close()
        return True  # it was rung before

    monkeypatch.setattr(store._bell, "wait", wait)
    assert not waiting[call]()
    with pytest.raises(StoreError, match="not open"):
        waiting[call]()
    store.open()


def _plan(store: SqliteStore, statement: str) -> list[str]:
    named = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
    with store._pool.connection() as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {statement}", named or (1,) * statement.count("?")).fetchall()
    return [step[3] for step in steps]


def _watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "goscheds-listener"]


def _count(monkeypatch: pytest.MonkeyPatch, thing: object, name: str) -> list[int]:
    """Grows by one with each call of a method."""
    calls: list[int] = []
    method = getattr(thing, name)

    def counted(*arguments: object) -> object:
        calls.append(1)
        return method(*arguments)

    monkeypatch.setattr(thing, name, counted)
    return calls


def _median_to_wake(here: SqliteStore, there: SqliteStore) -> float:
    worker = hire(here)
    return median(_seconds_to_wake(here, there, worker) for _ in range(5))


def _seconds_to_wake(here: SqliteStore, there: SqliteStore, worker: str) -> float:
    waiting = background(lambda: (here.claim("default", worker, 1, 10), time.monotonic()))
    settle_in(0.2)
    began = time.monotonic()
    there.push([job()])
    claims, ended = waiting.result(LATE)
    assert len(claims) == 1
    return ended - began
