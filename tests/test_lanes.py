from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta

import msgspec
import pytest
from kit import KEEP, Tampered, heard, looping, record, states, until

from goscheds.backends.memory import MemoryStore
from goscheds.codec import Meta, encode_meta
from goscheds.errors import StoreUnavailable
from goscheds.execution import Execution
from goscheds.handlers import Explicit, Registry
from goscheds.holdings import Holdings
from goscheds.lanes import ThreadLane
from goscheds.record import State
from goscheds.watch import Watch

BLOCK = 5.0


@contextmanager
def laned(store, handler, slots=1, block=BLOCK):
    """A lane at work on the queue ``default``, with a handler for jobs named ``greet``."""
    handlers = Registry()
    handlers.add(Explicit("greet", handler), "default")
    before = set(threading.enumerate())
    with looping() as loop:
        execution = Execution(handlers, KEEP, "w", loop)
        holdings = Holdings(store, "w", execution, loop)
        watch = Watch(holdings, execution)
        lane = ThreadLane("default", slots, holdings, execution, watch, block)
        lane.watch, lane.holdings = watch, holdings
        MemoryStore.heartbeat(store, "w", 1000, b"")
        watch.start()
        lane.start()
        try:
            yield lane
        finally:
            watch.stopping.set()
            store.interrupt("w")
            assert lane.join(10)
            holdings.closing.set()
            lane.close()
            watch.close()
    assert set(threading.enumerate()) <= before


def pushed(store, *ids: str, **fields) -> None:
    store.push([record(id=id, **fields) for id in ids])


def crashed_before(store, *ids: str) -> None:
    store.push([msgspec.structs.replace(record(id=id), meta=encode_meta(Meta(crashes=1))) for id in ids])


def all_done(store, *ids: str) -> None:
    until(lambda: set(states(store, *ids)) == {State.DONE}, f"{ids} to be done")


def test_jobs_are_claimed_run_and_settled_in_their_order():
    store, ran = Tampered(), []
    pushed(store, *"abcdef")
    with laned(store, lambda job: ran.append(job.id)):
        all_done(store, *"abcdef")
    assert ran == list("abcdef")


def test_short_jobs_are_claimed_in_ever_larger_batches():
    """In the best of a few tries: a busy machine stops the process in mid-job, which then was no short one."""

    def most_calls() -> int:
        store, ids = Tampered(), [str(n) for n in range(1000)]
        pushed(store, *ids)
        with laned(store, lambda job: None):
            all_done(store, *ids)
        return max(store.calls["claim"], store.calls["settle"])

    assert min(most_calls() for _ in range(5)) < 100


def test_all_slots_go_at_a_time_to_a_store_that_does_not_ask_for_fewer():
    store, ran, settled = Tampered(), threading.Barrier(4), threading.Barrier(4)
    pushed(store, *"abcd")
    store.before["settle"] = lambda *_: settled.wait(10)
    with laned(store, lambda job: ran.wait(10), slots=4):
        all_done(store, *"abcd")
    assert store.calls["settle"] == 4


def test_a_worker_that_stops_claims_nothing_for_slots_that_waited_to_go_to_the_store():
    store, gate, ran = Tampered(), threading.Event(), threading.Barrier(6)
    store.abreast = 2
    pushed(store, *"abcdefghi")
    store.before["settle"] = lambda *_: gate.wait(10)
    with laned(store, lambda job: ran.wait(10), slots=6) as lane:
        until(lambda: len(lane._trips._waiting) == 4 and store.calls["settle"] == 2)
        claims = store.calls["claim"]
        lane.watch.stopping.set()
        gate.set()
        all_done(store, *"abcdef")
        assert lane.join(10)
    assert store.calls["claim"] == claims + 2  # of those who were on their way
    assert states(store, *"ghi") == [State.READY] * 3


def test_slots_run_at_a_time():
    store, together = Tampered(), threading.Barrier(4)
    pushed(store, *"abcd")
    with laned(store, lambda job: together.wait(10), slots=4):
        all_done(store, *"abcd")


def test_no_more_than_the_slots_run_at_a_time():
    store, running, free = Tampered(), [], threading.Event()

    def handler(job):
        running.append(job.id)
        heard(free)

    pushed(store, *"abcdef")
    with laned(store, handler, slots=2):
        until(lambda: len(running) == 2)
        assert states(store, *"abcdef").count(State.ACTIVE) == 2
        free.set()
        all_done(store, *"abcdef")


def test_an_idle_lane_waits_in_the_store_with_one_slot():
    store = Tampered()
    waits = []
    store.before["claim"] = lambda queue, worker, limit, timeout: waits.append(timeout)
    with laned(store, lambda job: None, slots=4):
        until(lambda: BLOCK in waits)
        assert not threading.Event().wait(0.05)
        assert waits == [BLOCK]
        pushed(store, "a")
        all_done(store, "a")


def test_a_long_job_does_not_hold_up_those_that_were_claimed_with_it():
    store, free, reached = Tampered(), threading.Event(), threading.Event()

    def handler(job):
        if job.id == "long":
            reached.set()
            heard(free)

    shorts = [f"before{n}" for n in range(60)]
    behind = [f"behind{n}" for n in range(100)]
    pushed(store, *shorts, "long", *behind)
    with laned(store, handler, slots=2):
        heard(reached)
        all_done(store, *shorts, *behind)
        assert states(store, "long") == [State.ACTIVE]
        free.set()
        all_done(store, "long")


def test_what_is_done_of_a_slow_batch_is_settled_meanwhile():
    store, free = Tampered(), threading.Event()

    def handler(job):
        if job.id == "long":
            heard(free)

    shorts = [f"before{n}" for n in range(7)]
    pushed(store, *shorts, "long", "behind")
    with laned(store, handler):
        all_done(store, *shorts)
        until(lambda: states(store, "long", "behind") == [State.ACTIVE, State.READY])
        free.set()
        all_done(store, "long", "behind")


def test_what_crashed_a_worker_before_runs_alone_in_its_batch():
    store, batches = Tampered(), []
    crashed_before(store, "x")
    pushed(store, "a", "b")
    crashed_before(store, "y")
    pushed(store, "c")
    store.before["settle"] = lambda worker, outcomes: batches.append(
        {outcome.id for outcome in outcomes if outcome.verb == "done"}
    )
    with laned(store, lambda job: None) as lane:
        lane._pace.limit = 5
        all_done(store, *"xyabc")
    assert {"x"} in batches
    assert {"y"} in batches


def test_a_lane_that_stops_gives_back_what_it_has_not_begun():
    store, free, reached = Tampered(), threading.Event(), threading.Event()

    def handler(job):
        reached.set()
        heard(free)

    pushed(store, *"abc")
    with laned(store, handler) as lane:
        heard(reached)
        lane.watch.stopping.set()
        free.set()
        assert lane.join(10)
        assert states(store, *"abc") == [State.DONE, State.READY, State.READY]


def test_a_claim_that_comes_as_the_lane_stops_is_given_back_unrun():
    store, ran = Tampered(), []
    with laned(store, lambda job: ran.append(job.id)) as lane:
        store.after["claim"] = lambda claims: claims and lane.watch.stopping.set()
        pushed(store, "a")
        assert lane.join(10)
    assert ran == []
    assert states(store, "a") == [State.READY]


def test_joining_is_no_longer_than_told():
    store, free, reached = Tampered(), threading.Event(), threading.Event()

    def handler(job):
        reached.set()
        heard(free)

    pushed(store, "a")
    with laned(store, handler, slots=2) as lane:
        heard(reached)
        assert not lane.join(0.01)
        free.set()


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("error", [StoreUnavailable("away."), KeyError("fault"), SystemExit(1)])
def test_a_slot_lives_on_whatever_a_claim_comes_to(caplog, error):
    store = Tampered()

    def fail(*_):
        raise error

    with laned(store, lambda job: None, slots=2) as lane:
        store.before["claim"] = fail
        pushed(store, "a", "b")
        until(lambda: store.calls["claim"] > 6)
        del store.before["claim"]
        all_done(store, "a", "b")
        assert all(thread.is_alive() for thread in lane._threads)
        until(lambda: "works again" in caplog.text)
    assert [message.split(": ")[0] for message in caplog.messages] == ["Queue 'default'"] * 2


def test_an_idle_lane_says_that_the_store_is_back(caplog):
    store = Tampered()
    with laned(store, lambda job: None, block=0.01):
        store.away = True
        until(lambda: "Queue 'default': nobody there. Trying again" in caplog.text)
        store.away = False
        until(lambda: "Queue 'default': it works again" in caplog.text)


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("error", [KeyError("fault"), SystemExit(1)])
def test_a_slot_lives_on_whatever_a_run_comes_to(caplog, monkeypatch, error):
    store = Tampered()
    monkeypatch.setattr(Execution, "judge", lambda *_: (_ for _ in ()).throw(error))
    pushed(store, "a")
    with laned(store, lambda job: None) as lane:
        until(lambda: caplog.records)
        monkeypatch.undo()
        pushed(store, "b")
        all_done(store, "b")
        assert lane._threads[0].is_alive()


def test_a_timeout_that_hits_a_thread_frees_the_job_and_a_spare_slot_runs_it_again():
    store, free, ran = Tampered(), threading.Event(), []

    def handler(job):
        ran.append(job.id)
        if len(ran) == 1:
            heard(free)

    pushed(store, "a", timeout=timedelta(milliseconds=20))
    with laned(store, handler):
        all_done(store, "a")
        assert ran == ["a", "a"]
        free.set()
    assert states(store, "a") == [State.DONE]
