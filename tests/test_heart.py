from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from kit import KEEP, Tampered, heard, looping, record, states, until

from goscheds.backends.memory import MemoryStore
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.execution import Execution
from goscheds.handlers import Registry
from goscheds.heart import BEATS, Heart
from goscheds.holdings import Holdings
from goscheds.record import Move, State

LEASE = 0.3


@contextmanager
def beating(store, lease=LEASE):
    with looping() as loop:
        holdings = Holdings(store, "w", Execution(Registry(), KEEP, "w", loop), loop)
        heart = Heart(holdings, lease, lambda: b"me")
        heart.start()
        yield heart, holdings
        heart.close()


def count(store, verb):
    """An event that comes with the n-th call of a verb from now on."""
    return lambda n: until(lambda goal=store.calls[verb] + n: store.calls[verb] >= goal)


def test_it_registers_the_worker_at_once_and_says_who_it_is():
    store = Tampered()
    with beating(store):
        [worker] = store.workers()
        assert (worker.id, worker.info) == ("w", b"me")
        assert 0 < worker.expires_at - store.now() <= LEASE * 1_000_000


def test_it_keeps_the_lease(caplog):
    store = Tampered()
    store.push([record(id="a")])
    with beating(store) as (_, holdings):
        [run] = holdings.claim("default", 1, 0)
        store.heartbeat("other", 100, b"")
        count(store, "heartbeat")(BEATS * 3)
        assert store.recover("other", 10) == []
        assert not run.context.cancelled
    assert caplog.messages == []


def test_it_says_how_long_the_lease_is_good_for():
    """By the moment at which it asked: the answer may take its time."""
    store = Tampered()
    with beating(store, lease=60) as (heart, holdings):
        asked = []
        store.before["heartbeat"] = lambda *_: asked.append(time.monotonic())
        heart.beat()
        assert asked[0] + 59.9 < holdings.leased_until <= asked[0] + 60


def test_the_first_beat_is_no_lapse():
    with beating(Tampered()) as (_, holdings):
        assert not holdings.doubt.is_set()


def test_a_lapse_is_news(caplog):
    store = Tampered()
    with beating(store) as (_, holdings):
        MemoryStore.heartbeat(store, "w", 0, b"")
        heard(holdings.doubt)
    assert "Worker w may have lost its lease; looking what it still holds." in caplog.messages


def test_a_lapse_is_news_though_the_answer_that_told_of_it_was_lost():
    store = Tampered()
    store.push([record(id="a")])
    with beating(store, lease=LEASE) as (_, holdings):
        [run] = holdings.claim("default", 1, 0)
        store.away = True
        until(lambda: time.monotonic() > holdings.leased_until + 0.1)
        store.heartbeat = lambda *_: MemoryStore.heartbeat(store, *_) and _lost()  # acts, and is not heard
        MemoryStore.heartbeat(store, "other", 100, b"")
        assert [claim.record.id for claim in MemoryStore.recover(store, "other", 10)] == ["a"]
        until(lambda: [worker.id for worker in store.workers()] == ["other", "w"])
        del store.heartbeat
        store.away = False
        heard(holdings.doubt)
        holdings.reconcile()
        assert run.context.cancelled


def _lost():
    raise StoreUnavailable("the connection broke")


def test_the_cancelled_are_told():
    store = Tampered()
    store.push([record(id="a")])
    with beating(store) as (_, holdings):
        [run] = holdings.claim("default", 1, 0)
        store.move([Move.cancel("a")])
        assert run.context.wait(10)
        assert run.context.reason == "the job was cancelled"


def test_closing_ends_the_lease():
    store = Tampered()
    store.push([record(id="a")])
    with beating(store, lease=60) as (_, holdings):
        holdings.claim("default", 1, 0)
    store.heartbeat("other", 100, b"")
    assert [claim.record.id for claim in store.recover("other", 10)] == ["a"]
    assert states(store, "a") == [State.ACTIVE]


def test_starting_without_a_store_is_an_error():
    store = Tampered()
    store.away = True
    with pytest.raises(StoreUnavailable), beating(store):
        pass


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("error", [StoreUnavailable("away."), StoreError("readonly"), KeyError("fault"), SystemExit(1)])
def test_it_beats_on_whatever_a_beat_comes_to(caplog, error):
    store = Tampered()

    def fail(*_):
        raise error

    with beating(store):
        store.before["heartbeat"] = fail
        count(store, "heartbeat")(3)
        del store.before["heartbeat"]
        until(lambda: "it works again" in caplog.text)
    assert len(caplog.messages) == 2


def test_a_missed_beat_is_made_up_for_soon():
    """Two more would be late: the lease is three long."""
    store = Tampered()
    with beating(store, lease=3) as (_, holdings):
        failed, beat = threading.Event(), threading.Event()

        def fail(*_):
            store.before["heartbeat"] = lambda *_: beat.set()
            failed.set()
            raise StoreUnavailable("away.")

        store.before["heartbeat"] = fail
        assert failed.wait(2)
        assert beat.wait(0.5)
        assert not holdings.doubt.is_set()


@pytest.mark.parametrize("error", [StoreUnavailable("away."), KeyError("fault")])
def test_closing_without_a_store_is_no_error(caplog, error):
    store = Tampered()

    def fail(*_):
        raise error

    with beating(store, lease=60):
        store.before["heartbeat"] = fail
    assert "could not say goodbye" in caplog.text


def test_the_thread_ends():
    before = threading.active_count()
    with beating(Tampered(), lease=60):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
