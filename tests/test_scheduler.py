from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from kit import DEADLINE, Tampered, plugged, scheduled, states

import goscheds
from goscheds import Job, Retry, Scheduler
from goscheds.clock import ManualClock
from goscheds.errors import (
    BadArguments,
    BadMoment,
    ConfigError,
    InvalidJob,
    PayloadTooLarge,
    StoreUnavailable,
    UnknownScheme,
)
from goscheds.plugins import hookimpl
from goscheds.record import State
from goscheds.scheduler import check_queue

LATER = datetime(2199, 1, 1, tzinfo=UTC)


@pytest.fixture
def store():
    return Tampered()


@pytest.fixture
def scheduler(store):
    with scheduled(store) as scheduler:
        yield scheduler


def test_it_is_shown_without_the_password():
    scheduler = Scheduler("memory://me:hush@name", namespace="shop")
    assert repr(scheduler) == "Scheduler('memory://me:***@name', namespace='shop')"
    assert scheduler.url == "memory://me:***@name"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("jobs.db",), ConfigError),
        (("nosuch://x",), UnknownScheme),
        (("memory://", "two words"), ConfigError),
        (("memory://", "ns"), BadMoment),
    ],
)
def test_what_can_not_work_is_refused_at_once(arguments, error):
    options = {"keep_done": timedelta(-1)} if error is BadMoment else {}
    with pytest.raises(error):
        Scheduler(*arguments, **options)


# Pushing


def test_push_runs_it_now_whatever_its_moment(scheduler):
    assert scheduler.get(scheduler.push(Job("a", execute_at=LATER))).state is State.READY


def test_push_scheduled_runs_it_at_its_moment(scheduler):
    info = scheduler.get(scheduler.push_scheduled(Job("a", execute_at=LATER)))
    assert (info.state, info.job.execute_at) == (State.SCHEDULED, LATER)
    past = scheduler.push_scheduled(Job("a", execute_at=datetime(1970, 1, 1, tzinfo=UTC)))
    assert scheduler.get(past).state is State.READY
    with pytest.raises(InvalidJob, match="has no execute_at"):
        scheduler.push_scheduled(Job("a"))


def test_push_in_counts_by_the_stores_clock():
    clock = ManualClock(LATER - timedelta(days=1))
    with scheduled(Tampered(clock)) as scheduler:
        info = scheduler.get(scheduler.push_in(timedelta(hours=1), Job("a", execute_at=LATER)))
        assert info.job.execute_at == LATER - timedelta(hours=23)
        with pytest.raises(BadMoment, match="The delay"):
            scheduler.push_in(timedelta(seconds=-1), Job("a"))


def test_push_many_pushes_each_at_its_own_moment_in_one_call(scheduler, store):
    ids = scheduler.push_many(Job("a", id=str(n), execute_at=LATER if n else None) for n in range(3))
    assert ids == ["0", "1", "2"]
    assert states(store, *ids) == [State.READY, State.SCHEDULED, State.SCHEDULED]
    assert store.calls["push"] == 1


def test_pushing_none_is_nothing(scheduler, store):
    assert scheduler.push_many([]) == []
    assert store.calls["push"] == 0


def test_one_job_that_is_refused_stores_none(scheduler, store):
    scheduler.job(name="a")(lambda a: a)
    with pytest.raises(BadArguments):
        scheduler.push_many([Job("a", {"a": 1}), Job("a", {"b": 1})])
    with pytest.raises(BadMoment):
        scheduler.push_many([Job("a", {"a": 1}), Job("a", execute_at=datetime(2201, 1, 1, tzinfo=UTC))])
    assert store.calls["push"] == 0


def test_a_job_over_the_limit_is_refused(store):
    with scheduled(store, max_payload=100) as scheduler:
        assert scheduler.push(Job("a", {"a": "x" * 50}))
        with pytest.raises(PayloadTooLarge, match="limit of 100"):
            scheduler.push(Job("a", {"a": "x" * 100}))


def test_a_held_unique_key_gives_its_holder(scheduler):
    first = scheduler.push(Job("a", unique_key="k"))
    assert scheduler.push(Job("a", unique_key="k")) == first


def test_what_is_pushed_comes_back_as_it_was(scheduler):
    job = Job(
        "a", {"b": [1, "ä\0"]}, queue="q", priority=5, timeout=timedelta(1), retry=Retry.never(), execute_at=LATER
    )
    assert scheduler.get(scheduler.push_scheduled(job)).job == job


def test_a_push_whose_answer_was_lost_is_repeated_and_stored_once(scheduler, store):
    store.lose("push")
    scheduler.push(Job("a"))
    assert store.calls["push"] == 2
    assert scheduler.counts().jobs == {("default", "ready"): 1}


@pytest.mark.slow
def test_a_push_that_finds_nobody_says_what_it_could_not_do(scheduler, store):
    store.away = True
    with pytest.raises(StoreUnavailable, match=r"Could not push 1 job\(s\) to kit.*Tried for 2 s"):
        scheduler.push(Job("a"))


def test_the_awaitable_twins_do_the_same(scheduler):
    async def push():
        return [
            await scheduler.apush(Job("a")),
            await scheduler.apush_scheduled(Job("a", execute_at=LATER)),
            await scheduler.apush_in(timedelta(hours=1), Job("a")),
            *await scheduler.apush_many([Job("a")]),
        ]

    ids = asyncio.run(push())
    assert [scheduler.get(id).state for id in ids] == ["ready", "scheduled", "scheduled", "ready"]


def test_plugins_are_told_what_was_pushed(scheduler):
    told = []

    class Plugin:
        @hookimpl
        def goscheds_jobs_pushed(self, ids, namespace):
            told.append((ids, namespace))

    with plugged(Plugin()):
        scheduler.push_many([Job("a", id="1"), Job("a", id="2")])
    assert told == [(["1", "2"], "goscheds")]


# The store


class Counted(Tampered):
    def __init__(self):
        super().__init__()
        self.opened = self.closed = 0

    def open(self):
        assert not threading.Event().wait(0.01), "long enough for others to come as well"
        self.opened += 1

    def close(self):
        self.closed += 1


def test_nothing_is_connected_before_it_is_needed_and_then_once():
    store = Counted()
    with scheduled(store) as scheduler:
        scheduler.job(name="a")(lambda: None)
        assert store.opened == 0
        together = threading.Barrier(8)

        def push():
            together.wait()
            scheduler.push(Job("a"))

        threads = [threading.Thread(target=push) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.opened == 1
    assert store.closed == 1


def test_a_closed_one_opens_again_at_the_next_call():
    store = Counted()
    with scheduled(store) as scheduler:
        scheduler.close()
        assert store.closed == 0, "there was nothing to close"
        scheduler.push(Job("a"))
        scheduler.close()
        scheduler.close()
        scheduler.push(Job("a"))
        assert (store.opened, store.closed) == (2, 1)


def test_a_store_that_did_not_open_is_opened_again_the_next_time(store):
    failures = [StoreUnavailable("not yet.")]

    class Slow(Tampered):
        def open(self):
            if failures:
                raise failures.pop()

    with scheduled(Slow()) as scheduler:
        with pytest.raises(StoreUnavailable):
            scheduler.counts()
        assert scheduler.counts().jobs == {}


FORK = """
import os, sys
from goscheds import Job, Scheduler
from goscheds.backends.memory import MemoryStore
from goscheds.plugins import hookimpl, plugins

class Store(MemoryStore):
    opened_in = 0
    def open(self):
        assert not self.opened_in, "an open store came through the fork"
        self.opened_in = os.getpid()
    def push(self, jobs):
        assert self.opened_in == os.getpid(), "the parent's connection"
        return super().push(jobs)

class Stores:
    @hookimpl
    def goscheds_stores(self):
        return {"forky": lambda url, namespace: Store()}

plugins.register(Stores(), "forky")
scheduler = Scheduler("forky://")
if "early" in sys.argv: scheduler.push(Job("a"))
child = os.fork()
scheduler.push(Job("b"))
scheduler.close()
if not child: sys.exit()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_each_forked_process_has_a_store_of_its_own(when):
    subprocess.run([sys.executable, "-c", FORK, when], timeout=DEADLINE, check=True)


# Duties alone


def test_run_does_the_duties_and_runs_no_job():
    code = """
from datetime import timedelta
import sys, threading
from goscheds import Job, Scheduler, State
scheduler = Scheduler("memory://")
scheduler.job(name="a")(lambda: print("ran"))
id = scheduler.push_in(timedelta(milliseconds=50), Job("a"))
def watch():
    while scheduler.get(id).state is not State.READY: pass
    print("ready", flush=True)
threading.Thread(target=watch, daemon=True).start()
scheduler.run()
print(scheduler.get(id).state)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=DEADLINE)
        assert (out, process.returncode) == ("ready\n", 0)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("queue", ["mail", "a" * 255])
def test_a_queue_that_every_store_can_carry(queue):
    assert check_queue(queue) == queue


@pytest.mark.parametrize("queue", ["", "a" * 256, "a\n"])
def test_any_other_is_refused(queue):
    with pytest.raises(ConfigError, match="A queue's name"):
        check_queue(queue)


# The package


def test_every_public_name_is_there_and_nothing_else():
    assert {getattr(goscheds, name).__name__ for name in goscheds.__all__} == set(goscheds.__all__)
    assert set(goscheds.__all__) <= set(dir(goscheds))
    with pytest.raises(AttributeError, match="no attribute 'Schedular'"):
        goscheds.Schedular  # noqa: B018 - the point of it
