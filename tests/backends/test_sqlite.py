"""What only the SQLite store has: its file, its URLs, its plans, its watcher."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from io import FileIO
from pathlib import Path
from statistics import median, quantiles

import pytest

from goscheds.backends.sql.bell import DUTIES, HEARING, STANDBY
from goscheds.backends.sql.sqlite import SqliteStore, clock, connect, file
from goscheds.backends.sql.sqlite.pipes import _beside
from goscheds.backends.sql.statements import script
from goscheds.contract.bench import LATE, SECOND, background, eventually, hire, job, jobs, rows, settle_in
from goscheds.errors import ConfigError, SchemaTooNew, StoreError, StoreUnavailable
from goscheds.record import Claim, Move, Outcome, State

Open = Callable[..., SqliteStore]
PROMPT = 0.02


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
            import glob, os, sys
            from goscheds.backends.sql.sqlite import connect
            from goscheds.record import Record
            store = connect("sqlite:///" + sys.argv[1], "shop")
            store.open()
            store.heartbeat("parent", 60, b"")
            store.claim("default", "parent", 1, 0.1)  # it has pipes
            for number in range(3):
                if os.fork() == 0:
                    store.push([Record(f"child-{number}", "job", "default")])
                    assert store.claim("none", "parent", 1, 0.1) == []
                    store.close()  # which leaves the parent its pipe, and takes its own away
                    os._exit(0)
                pid, status = os.wait()
                assert status == 0 and len(glob.glob(sys.argv[1] + "-bell-*")) == 1
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
        assert len(statements) == 13

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
    "line": "goscheds_ready",
    "take": "goscheds_ready",
    "ready": "goscheds_ready",
    "promote": "goscheds_due",
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
    "last": "",
    "tell": "",
    "weigh": IDS,
    "cancelling": "goscheds_held",
    "holder": "goscheds_unique",
    "purge": "goscheds_settled",
    "counts": "goscheds_held",
    "push": "",
    "settle": IDS,
    "finish": IDS,
    "forget": IDS,
    "settled": IDS,
    "cancel": IDS,
    "reschedule": IDS,
    "retry": IDS,
}


ORDERS = {
    "find": IDS,
    "find_ids": IDS,
    "find_scheduled": "goscheds_due (ns=? AND (execute_at,seq)>(?,?))",
    "find_ready": "goscheds_ready (ns=? AND queue",
    "find_active": "goscheds_held",
    "find_done": "goscheds_settled (ns=? AND state=? AND changed_at>?)",
}


class TestBatches:
    """What a batch says of jobs that were not stored is what it would have said one by one."""

    def test_an_id_that_is_stored_later_in_a_batch_does_not_stand_for_one_whose_key_is_taken(self, store):
        store.push([job("holder", unique_key="k")])
        batch = [job("holder"), job("twice", unique_key="k"), job("twice"), job("twice"), job("fresh")]
        assert store.push(batch) == ["holder", "holder", "twice", "twice", "fresh"]
        assert store.push(batch) == ["holder", "twice", "twice", "twice", "fresh"]

    @pytest.mark.parametrize(
        "written", ["goscheds_tally SET jobs = 0 WHERE state < 0", "goscheds_jobs SET seq = seq + 1000"]
    )
    def test_a_job_is_known_by_its_id_wherever_somebody_wrote_that_it_stands(self, store, path, written):
        store.push(jobs(5, "known"))
        sql(path, f"UPDATE {written}")
        assert store.push([job("known-000004")]) == ["known-000004"]

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


class TestWorkers:
    """A job has its holder's number, and that only while the worker is known."""

    def test_a_number_is_never_another_s(self, store):
        store.push(jobs(2))
        young, old = hire(store), hire(store)
        (claim,) = store.claim("default", old, 1, 0)
        store.heartbeat(old, 0, b"")
        assert [found.record.id for found in store.recover(young, 9)] == [claim.record.id]
        assert not store.recover(young, 9)
        heir = hire(store)
        assert _query(store, "SELECT id FROM goscheds_workers ORDER BY number") == [(young,), (heir,)]
        assert _query(store, "SELECT max(number) > 2 FROM goscheds_workers") == [(1,)]
        (other,) = store.claim("default", heir, 1, 0)
        assert not store.settle(old, [Outcome.done(claim), Outcome.done(other)])
        assert not store.held(old)
        store.heartbeat(old, 60, b"")
        assert not store.settle(old, [Outcome.done(other)])
        assert {row.worker for row in rows(store)} == {young, heir}

    @pytest.mark.parametrize(
        "written",
        [
            "DELETE FROM goscheds_workers WHERE number = 1",
            "UPDATE goscheds_jobs SET worker = -9223372036854775808",
            "UPDATE goscheds_jobs SET worker = 9223372036854775807",
        ],
    )
    def test_a_job_whose_worker_is_not_known_at_all_is_recovered(self, store, path, written):
        store.push(jobs(2))
        lost, worker = hire(store), hire(store)
        store.claim("default", lost, 2, 0)
        sql(path, written)
        assert store.counts().jobs == {("default", State.ACTIVE): 2}
        assert {row.worker for row in rows(store)} == {""}
        assert len(store.recover(worker, 9)) == 2

    def test_purging_takes_its_turn_among_the_writers_of_a_process(self, store, monkeypatch):
        monkeypatch.setattr("goscheds.backends.sql.sqlite.store.BUSY", 0.05)
        with store._writing, pytest.raises(StoreUnavailable, match="other threads"):
            store.purge(State.DONE, store.now(), 1)


class TestTally:
    """K1 wherever jobs go, and what becomes of it where others write."""

    def test_what_was_deleted_by_hand_is_counted_until_all_is_counted_anew(self, another, store, path):
        store.push([*jobs(3), job(queue="other", delay=LATE)])
        worker = hire(store)
        store.settle(worker, [Outcome.dead(store.claim("default", worker, 1, 0)[0])])
        store.claim("default", worker, 1, 0)
        sql(path, "DELETE FROM goscheds_jobs WHERE state = 4")
        rest = {("default", State.READY): 1, ("default", State.ACTIVE): 1, ("other", State.SCHEDULED): 1}
        assert store.counts().jobs == {**rest, ("default", State.DEAD): 1}, "nobody told"
        anew = re.search("```sql\n(.*?)```", Path("docs/stores/sqlite.md").read_text(encoding="utf-8"), re.DOTALL)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript(anew[1])
        assert store.counts().jobs == rest
        sql(path, "UPDATE goscheds_tally SET jobs = -9 WHERE queue = 'default'")
        assert store.counts().jobs == {("default", State.ACTIVE): 1, ("other", State.SCHEDULED): 1}, (
            "never less than none"
        )
        store.erase()
        store.push(jobs(2))
        assert store.counts().jobs == {("default", State.READY): 2}

    def test_queues_that_are_no_more_are_forgotten_by_who_purges(self, store, path):
        worker = hire(store)
        for number in range(50):
            store.push([job(queue=f"{number}")])
            store.settle(worker, [Outcome.done(claim, keep=False) for claim in store.claim(f"{number}", worker, 1, 0)])
        store.push([job(queue="other"), *(job(queue=f"{number}", id=f"{number}") for number in range(300))])
        store.move([Move.cancel(f"{number}") for number in range(300)])
        assert store.purge(State.CANCELLED, store.now() + SECOND, 1000) == 300
        assert sql(path, "SELECT queue, state, jobs FROM goscheds_tally") == [("", -1, 651), ("other", 1, 1)]


class TestPlans:
    """Every statement finds its rows through an index, and the one that was made for it."""

    @pytest.mark.parametrize(("name", "index"), INDEXES.items())
    def test_no_statement_scans_the_jobs(self, store, name, index):
        plan = _plan(store, getattr(store.sql, name))
        assert not [step for step in plan if step.startswith("SCAN goscheds_jobs")]
        assert any(index in step for step in plan) or not index, plan

    def test_a_line_is_in_order_as_it_is_read(self, store):
        for name in ("line", "take", "ready", "outlook"):
            assert not [step for step in _plan(store, getattr(store.sql, name)) if "TEMP B-TREE" in step], name

    @pytest.mark.parametrize(("order", "index"), ORDERS.items())
    def test_a_page_is_read_along_an_index(self, store, order, index):
        plan = _plan(store, getattr(store.sql, order).replace("{ids}", ":a, :b"))
        reads = [step for step in plan if "goscheds_jobs" in step]
        assert [step for step in reads if f"SEARCH goscheds_jobs USING INDEX {index}" in step] == reads
        sorts = [step for step in plan if "TEMP B-TREE" in step]
        assert sorts[-1] == "USE TEMP B-TREE FOR ORDER BY", "of the jobs that are shown"
        assert len(sorts) == {"find_ready": 2, "find_active": 2, "find_done": 3}.get(order, 1)

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


class TestThreads:
    def test_threads_that_end_leave_no_connection(self, store):
        for _ in range(20):
            background(lambda: store.push([job()])).result(LATE)
        assert len(store._pool._idle) == 1

    def test_closing_ends_a_wait_and_leaves_no_pipe(self, store, path):
        waiting = background(lambda: store.claim("none", hire(store), 1, 20))
        eventually(lambda: _pipes(path))
        store.close()
        assert waiting.result(LATE) == []
        assert not _pipes(path)

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

    def test_a_push_wakes_one_of_all_who_wait(self, another, monkeypatch):
        there, *stores = [another() for _ in range(5)]
        looks = [_count(monkeypatch, store, "_claim") for store in stores]
        workers = [hire(store) for store in stores]
        waiting = [background(_claimed(store, worker)) for store, worker in zip(stores, workers, strict=True)]
        eventually(lambda: all(len(each) > 1 for each in looks))  # once more when its pipe is there
        settle_in()
        before = sum(map(len, looks))
        there.push([job()])
        eventually(lambda: any(claims.done() for claims in waiting))
        settle_in()
        assert sum(map(len, looks)) <= before + 2  # one of them may look for itself just now
        there.push(jobs(3, "more"))
        assert [len(claims.result(LATE)) for claims in waiting] == [1] * 4

    def test_one_ring_is_for_all_jobs_that_are_there(self, another):
        there, *stores = [another() for _ in range(5)]
        waiting = [background(_claimed(store, hire(store))) for store in stores]
        settle_in(0.2)
        began = time.monotonic()
        there.push(jobs(4))
        assert [len(claims.result(LATE)) for claims in waiting] == [1] * 4
        assert time.monotonic() - began < HEARING / 2

    @pytest.mark.slow
    def test_who_was_killed_while_it_waited_is_not_woken(self, another, path):
        code = """if True:
            import sys
            from goscheds.backends.sql.sqlite import connect
            store = connect("sqlite:///" + sys.argv[1], "shop")
            store.open()
            store.heartbeat("victim", 60, b"")
            store.claim("default", "victim", 1, 0.5)
            print("waits", flush=True)
            store.claim("default", "victim", 1, 60)
        """
        here, there = another(), another()
        with run(code, path) as process:
            assert process.stdout.readline() == "waits\n"
            process.send_signal(signal.SIGKILL)
        assert _median_to_wake(here, there) < PROMPT
        here.close()
        assert not _pipes(path)

    @pytest.mark.parametrize("missing", ["select.epoll", "os.mkfifo"])
    def test_where_there_are_no_pipes_jobs_are_looked_for(self, another, monkeypatch, caplog, missing):
        def fail(*arguments):
            raise OSError(missing)

        monkeypatch.setattr(f"goscheds.backends.sql.sqlite.pipes.{missing}", fail)
        here, there = another(), another()
        assert _median_to_wake(here, there) < 0.1
        assert caplog.text.count(f"no pipes ({missing})") == 1

        monkeypatch.undo()
        looks = _count(monkeypatch, here, "_claim")
        here.claim("default", hire(here), 1, 0.3)
        assert len(looks) <= 2, "it was for the moment"

    @pytest.mark.parametrize("lacking", ["select.EPOLLEXCLUSIVE", "os.eventfd"])
    def test_another_system_is_told_apart(self, another, path, monkeypatch, lacking):
        monkeypatch.delattr(lacking)
        here, there = another(), another()
        assert _median_to_wake(here, there) < 0.1
        assert not _pipes(path)

    def test_a_pipe_that_is_cleared_away_is_made_anew(self, another, path):
        here, there = another(), another()
        worker = hire(here)
        _seconds_to_wake(here, there, worker)
        for pipe in _pipes(path):
            pipe.unlink()
        waiting = background(lambda: here.claim("default", worker, 1, 20))
        eventually(lambda: _pipes(path), 2 * HEARING)
        there.push([job()])
        assert len(waiting.result(LATE)) == 1

    def test_pipes_that_are_cleared_away_are_closed(self, store, path):
        worker = hire(store)
        before = _open_files()
        for _ in range(10):
            store.claim("default", worker, 1, 0.001)
            for pipe in _pipes(path):
                pipe.unlink()
        assert _open_files() <= before + 1

    def test_one_that_took_the_place_of_another_is_left_by_who_had_that(self, another, path):
        here, there = another(), another()
        here.claim("default", hire(here), 1, 0.01)
        for pipe in _pipes(path):
            pipe.unlink()
        there.claim("default", hire(there), 1, 0.01)
        here.close()
        assert len(_pipes(path)) == 1

    def test_the_last_one_deletes_a_pipe_and_whoever_may_use_the_file_may_use_it(self, another, path):
        here, there = another(), another()
        path.chmod(0o664)
        for store in (here, there):
            store.claim("default", hire(store), 1, 0.01)
        here.close()
        (pipe,) = _pipes(path)
        assert pipe.is_fifo()
        assert pipe.stat().st_mode & 0o777 == 0o664
        there.close()
        assert not _pipes(path)

    def test_what_is_no_pipe_is_left_alone(self, another, path):
        here, there = another(), another()
        planted, target = Path(_beside(path, "shop", "default")), path.with_name("target")
        target.write_text("kept")
        planted.symlink_to(target)
        assert _seconds_to_wake(here, there, hire(here)) < HEARING
        assert target.read_text() == "kept"

    def test_a_link_in_the_place_of_a_new_pipe_gives_no_file_away(self, store, path, monkeypatch):
        target, make = path.with_name("target"), os.mkfifo
        target.touch(0o600)
        path.chmod(0o666)

        def planted(pipe: Path, mode: int) -> None:
            make(pipe, mode)
            pipe.unlink()
            pipe.symlink_to(target)

        monkeypatch.setattr("os.mkfifo", planted)
        store.claim("default", hire(store), 1, 0.01)
        assert target.stat().st_mode & 0o777 == 0o600

    def test_a_pipe_whose_maker_was_killed_is_for_all_who_may_use_the_file(self, store, path):
        path.chmod(0o664)
        os.mkfifo(_beside(path, "shop", "default"), 0o600)
        store.claim("default", hire(store), 1, 0.01)
        (pipe,) = _pipes(path)
        assert pipe.stat().st_mode & 0o777 == 0o664

    def test_nobody_waits_for_who_was_stopped_while_it_deleted_a_pipe(self, another, path):
        here, there = another(), another()
        os.mkfifo(planted := Path(_beside(path, "shop", "default")))
        with FileIO(planted, "r+") as stopped:
            fcntl.flock(stopped, fcntl.LOCK_EX)
            assert _seconds_to_wake(here, there, hire(here)) < 0.1
            assert background(lambda: here.push([job()])).result(LATE)

    def test_a_wait_that_came_to_its_end_looks_no_more(self, store, monkeypatch):
        worker = hire(store)
        store.claim("default", worker, 1, 0.01)  # the pipe is there
        looks = _count(monkeypatch, store, "_claim")
        for _ in range(5):
            assert not store.claim("default", worker, 1, 0.02)
        assert len(looks) == 5

    def test_claims_settles_and_heartbeats_ring_for_nobody_and_what_makes_ready_or_due_does(self, store, monkeypatch):
        rung: list[str] = []
        monkeypatch.setattr(store._bell, "ring", lambda *topics: rung.extend(topics))
        store.push(jobs(3))
        worker = hire(store)
        rung.clear()
        (one, *rest) = store.claim("default", worker, 3, 0)
        store.settle(worker, [Outcome.done(one)])
        store.heartbeat(worker, 60, b"")
        assert not rung
        for topics, change in (
            ({"default", DUTIES}, lambda: store.settle(worker, [Outcome.released(claim) for claim in rest])),
            ({"default"}, lambda: store.claim("default", worker, 1, 0)),  # and leaves one
            ({"default", DUTIES}, lambda: store.push([job(delay=LATE * SECOND)])),
            ({"none"}, lambda: store.pause("none", paused=True)),
            ({DUTIES, STANDBY}, lambda: store.heartbeat(worker, 0, b"")),
        ):
            rung.clear()
            change()
            assert set(rung) == topics

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
    statement = statement.replace("{rows}", ", ".join([f"({', '.join('?' * _width(statement))})"] * 3))
    named = dict.fromkeys(re.findall(r":(\w+)", statement), 1)
    with store._pool.connection() as connection:
        steps = connection.execute(f"EXPLAIN QUERY PLAN {statement}", named or (1,) * statement.count("?")).fetchall()
    return [step[3] for step in steps]


def _width(statement: str) -> int:
    """How many values its rows have."""
    columns = re.findall(r"column(\d)", statement)
    return int(max(columns)) if columns else len(statement.partition(")")[0].split(","))


def _query(store: SqliteStore, statement: str) -> list[tuple]:
    with store._pool.connection() as connection:
        return connection.execute(statement).fetchall()


def _pipes(path: Path) -> list[Path]:
    return [*path.parent.glob(f"{path.name}-bell-*")]


def _open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def _claimed(store: SqliteStore, worker: str) -> Callable[[], list[Claim]]:
    return lambda: store.claim("default", worker, 1, 20)


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
    settle_in()
    began = time.monotonic()
    there.push([job()])
    claims, ended = waiting.result(LATE)
    assert len(claims) == 1
    return ended - began
