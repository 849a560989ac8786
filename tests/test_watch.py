from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from kit import KEEP, Tampered, heard, looping, record, states, until

from goscheds.backends.memory import MemoryStore
from goscheds.batch import Batch
from goscheds.codec import decode_meta
from goscheds.context import Context
from goscheds.errors import StoreUnavailable
from goscheds.execution import Execution
from goscheds.handlers import Explicit, Registry
from goscheds.holdings import Holdings
from goscheds.record import Outcome, Query, State, Verb
from goscheds.watch import GLANCE, Watch


@contextmanager
def watching(store, handler=lambda job: None):
    handlers = Registry()
    handlers.add(Explicit("greet", handler), "default")
    with looping() as loop:
        execution = Execution(handlers, KEEP, "w", loop)
        holdings = Holdings(store, "w", execution, loop)
        watch = Watch(holdings, execution)
        MemoryStore.heartbeat(store, "w", 100, b"")
        watch.start()
        try:
            yield watch, holdings, execution
        finally:
            holdings.closing.set()
            watch.close()


def pushed(store, *ids: str, **fields) -> None:
    store.push([record(id=id, **fields) for id in ids])


def test_it_sleeps_while_there_is_nothing_to_look_at(monkeypatch):
    looks = []
    monkeypatch.setattr(Watch, "_look_once", lambda *_: looks.append(1))
    with watching(Tampered()):
        assert not threading.Event().wait(GLANCE * 3)
        assert looks == []


def test_a_batch_that_turns_out_slow_is_broken_up():
    store = Tampered()
    pushed(store, "done", "long", "third", "fourth")
    with watching(store) as (watch, holdings, _):
        runs = holdings.claim("default", 4, 0)
        batch = Batch(runs)
        with watch.over(batch, 4):
            first = batch.next()
            assert holdings.finish(first)
            batch.add(Outcome.done(first.claim))
            long = batch.next()
            until(lambda: states(store, "done", "third", "fourth") == [State.DONE, State.READY, State.READY])
            assert batch.next() is None
        assert states(store, "long") == [State.ACTIVE]
        assert not long.finished
        assert [again.claim.record.id for again in holdings.claim("default", 5, 0)] == ["third", "fourth"]


def test_what_ends_after_it_was_broken_up_is_settled_too():
    store = Tampered()
    pushed(store, "a", "b")
    with watching(store) as (watch, holdings, _):
        batch = Batch(holdings.claim("default", 2, 0))
        with watch.over(batch, 2):
            first = batch.next()
            until(lambda: states(store, "b") == [State.READY])
            holdings.finish(first)
            batch.add(Outcome.done(first.claim))
            until(lambda: states(store, "a") == [State.DONE])


def test_a_batch_of_one_is_left_alone():
    with watching(Tampered()) as (watch, *_):
        batch = Batch([])
        with watch.over(batch, 1):
            assert watch._batches == set()


def test_a_batch_that_is_over_is_forgotten_even_if_it_fails():
    with watching(Tampered()) as (watch, *_), pytest.raises(KeyError), watch.over(Batch([]), 2):
        raise KeyError
    assert watch._batches == set()


def timed_out(store, handler, told=lambda: None):
    """Run a job past its timeout, in a thread as its slot would."""
    pushed(store, "a", timeout=timedelta(milliseconds=20))
    with watching(store, handler) as (_, holdings, execution):
        [run] = holdings.claim("default", 1, 0)
        outcomes = []

        def slot():
            outcome = execution.run(run)
            if holdings.finish(run):
                outcomes.append(outcome)

        thread = threading.Thread(target=slot)
        thread.start()
        until(lambda: states(store, "a") != [State.ACTIVE])
        told()
        thread.join()
    return run, outcomes


def test_an_attempt_past_its_timeout_ends_without_its_thread(caplog):
    store, free = Tampered(), threading.Event()
    run, outcomes = timed_out(store, lambda job: heard(free), free.set)
    assert outcomes == []
    assert run.context.reason == "the job's timeout is over"
    [row] = store.find(Query(ids=("a",))).rows
    assert (row.state, decode_meta(row.record.meta).attempts) == (State.READY, 1)
    assert decode_meta(row.record.meta).error == "The attempt took longer than the job's timeout."
    assert "its slot is taken until it returns" in caplog.text


def test_a_handler_that_stops_as_its_time_is_over_was_not_cancelled():
    store = Tampered()

    def handler(job, run: Context):
        run.wait(60)
        run.check()

    handler.__annotations__["run"] = Context
    _, outcomes = timed_out(store, handler)
    assert outcomes == []
    assert states(store, "a") == [State.READY]


def test_an_attempt_within_its_timeout_is_left_alone():
    store = Tampered()
    pushed(store, "a", timeout=timedelta(hours=1))
    with watching(store) as (_, holdings, execution):
        [run] = holdings.claim("default", 1, 0)
        assert execution.run(run).verb is Verb.DONE
        assert not threading.Event().wait(GLANCE * 2)
        assert not run.finished
        assert not run.context.cancelled


def test_an_attempt_that_ended_as_its_time_was_over_has_ended():
    store = Tampered()
    pushed(store, "a", timeout=timedelta(hours=1))
    with watching(store) as (watch, holdings, _):
        [run] = holdings.claim("default", 1, 0)
        assert holdings.finish(run)
        watch._end(run)
        assert not run.context.cancelled
        assert store.calls["settle"] == 0


def test_doubt_is_cleared_up():
    store = Tampered()
    pushed(store, "a")
    with watching(store) as (_, holdings, _):
        store.lose("claim")
        with pytest.raises(StoreUnavailable):
            holdings.claim("default", 1, 0)
        until(lambda: states(store, "a") == [State.READY])
        assert not holdings.doubt.is_set()


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("error", [StoreUnavailable("away."), KeyError("fault"), SystemExit(1)])
def test_it_looks_on_whatever_a_look_comes_to(caplog, error):
    store = Tampered()

    def fail(*_):
        raise error

    with watching(store) as (_, holdings, _):
        store.before["held"] = fail
        holdings.suspect()
        until(lambda: store.calls["held"] > 2)
        del store.before["held"]
        until(lambda: not holdings.doubt.is_set())
        until(lambda: "it works again" in caplog.text)
    assert len(caplog.messages) == 2


def test_closing_ends_the_thread():
    before = threading.active_count()
    with watching(Tampered()):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
