from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import msgspec
import pytest
from kit import Tampered, heard, looping, record, states, until

from goscheds import duties as room
from goscheds.backends.memory import MemoryStore
from goscheds.clock import ManualClock
from goscheds.codec import Meta, decode_meta, encode_meta
from goscheds.duties import Duties
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.execution import Execution
from goscheds.handlers import Registry
from goscheds.holdings import Holdings
from goscheds.record import Outcome, Query, State
from goscheds.retry import Retry
from goscheds.verdict import Keep

HOUR = 3_600_000_000


@contextmanager
def duty(store, worker="w", keep=Keep(HOUR, HOUR), lease=10.0, monkeypatch=None):  # noqa: B008 - frozen
    with looping() as loop:
        execution = Execution(Registry(), keep, worker, loop)
        holdings = Holdings(store, worker, execution, loop)
        MemoryStore.heartbeat(store, worker, 1000, b"")
        duties = Duties(holdings, execution, keep, lease)
        try:
            yield duties
        finally:
            holdings.closing.set()
            duties.stop()
            store.interrupt(worker)
            if duties._thread.is_alive():
                duties.join(10)


def orphaned(store, *ids: str, **fields) -> None:
    """Jobs whose worker died."""
    store.push([record(id=id, **fields) for id in ids])
    MemoryStore.heartbeat(store, "dying", 100, b"")
    assert len(MemoryStore.claim(store, "default", "dying", len(ids), 0)) == len(ids)
    MemoryStore.heartbeat(store, "dying", 0, b"")


def meta(store, id):
    return decode_meta(MemoryStore.find(store, Query(ids=(id,))).rows[0].record.meta)


def test_due_jobs_become_ready():
    clock = ManualClock()
    store = Tampered(clock)
    store.push([record(id="soon"), msgspec.structs.replace(record(id="later"), delay=60_000_000)])
    with duty(store) as duties:
        assert duties.round(0) == 0
        clock.advance(timedelta(minutes=2))
        assert duties.round(0) == 1
    assert states(store, "soon", "later") == [State.READY, State.READY]


@pytest.mark.parametrize(
    ("ids", "becomes", "crashes"),
    [(("a",), State.DEAD, 3), (("a", "b"), State.SCHEDULED, 2)],
    ids=["alone", "together"],
)
def test_on_its_last_chance_a_job_dies_of_its_own_crash_alone(ids, becomes, crashes):
    store = Tampered()
    last = encode_meta(Meta(crashes=2))
    store.push([msgspec.structs.replace(record(id=id), meta=last) for id in ids])
    orphaned(store, *ids)
    with duty(store) as duties:
        assert duties.recover() == len(ids)
    assert states(store, *ids) == [becomes] * len(ids)
    assert {meta(store, id).crashes for id in ids} == {crashes}


def test_orphans_run_again_with_a_crash_counted():
    store = Tampered()
    orphaned(store, "a")
    with duty(store) as duties:
        unfinished = []
        store.before["settle"] = lambda *_: unfinished.extend(duties._holdings.unfinished())
        assert duties.recover() == 1
        assert duties.recover() == 0
        assert unfinished == [], "a worker that ends meanwhile would give it back as well"
    assert states(store, "a") == [State.READY]
    assert (meta(store, "a").crashes, meta(store, "a").attempts) == (1, 0)


def test_a_job_that_keeps_killing_its_workers_ends_dead():
    store = Tampered()
    with duty(store) as duties:
        for _ in range(3):
            assert states(store, "a")[0] in (None, State.READY)
            orphaned(store, "a")
            duties.recover()
    assert states(store, "a") == [State.DEAD]
    assert "It ran 3 times in a worker that died of it." in meta(store, "a").error


def test_its_own_policy_says_how_many_are_too_many():
    store = Tampered()
    with duty(store) as duties:
        orphaned(store, "a", retry=Retry(max_crashes=1))
        duties.recover()
    assert states(store, "a") == [State.DEAD]


def test_a_job_past_its_timeout_has_failed():
    clock = ManualClock()
    store = Tampered(clock)
    store.push([record(id="a", timeout=timedelta(seconds=1))])
    MemoryStore.heartbeat(store, "hanging", 1000, b"")
    store.claim("default", "hanging", 1, 0)
    clock.advance(timedelta(seconds=10))
    with duty(store) as duties:
        assert duties.recover() == 1
    assert (meta(store, "a").crashes, meta(store, "a").attempts) == (0, 1)


def test_an_orphan_that_can_not_be_read_runs_again_and_that_run_says_so():
    store = Tampered()
    store.push([msgspec.structs.replace(record(id="a"), payload=b"?")])
    orphaned(store, "a")
    with duty(store) as duties:
        duties.recover()
    assert states(store, "a") == [State.READY]


def settled(store, id, outcome) -> None:
    store.push([record(id=id)])
    MemoryStore.heartbeat(store, "w", 1000, b"")
    [held] = MemoryStore.claim(store, "default", "w", 1, 0)
    store.settle("w", [outcome(held)])


def test_what_was_kept_long_enough_is_purged_and_nothing_else():
    clock = ManualClock()
    store = Tampered(clock)
    settled(store, "done", Outcome.done)
    settled(store, "cancelled", Outcome.cancelled)
    settled(store, "dead", Outcome.dead)
    store.push([record(id="ready")])
    with duty(store, keep=Keep(done=HOUR, dead=3 * HOUR)) as duties:
        assert not duties.purge()
        assert None not in states(store, "done", "cancelled", "dead", "ready")
        clock.advance(timedelta(hours=2))
        duties.purge()
        assert states(store, "done", "cancelled", "dead", "ready") == [None, None, State.DEAD, State.READY]
        clock.advance(timedelta(hours=2))
        duties.purge()
        assert states(store, "dead", "ready") == [None, State.READY]


def test_a_purge_that_left_something_goes_on_in_the_next_round(monkeypatch):
    monkeypatch.setattr(room, "PURGED", 2)
    clock = ManualClock()
    store = Tampered(clock)
    for id in "abcde":
        settled(store, id, Outcome.done)
    clock.advance(timedelta(hours=2))
    with duty(store) as duties:
        for left in (3, 1, 0, 0):
            duties.round(0)
            assert sum(state is State.DONE for state in states(store, *"abcde")) == left
    assert store.calls["purge"] == 9, "three rounds of three states each, and none before the next minute"


def test_a_recovery_that_left_something_goes_on_in_the_next_round(monkeypatch):
    monkeypatch.setattr(room, "RECOVERED", 2)
    store = Tampered()
    orphaned(store, *"abcde")
    with duty(store) as duties:
        for left in (3, 1, 0, 0):
            duties.round(0)
            assert sum(state is State.ACTIVE for state in states(store, *"abcde")) == left
    assert store.calls["recover"] == 3


def test_the_leader_waits_no_longer_than_until_its_next_look():
    waits = []
    store = Tampered()
    with duty(store, lease=1) as duties:
        store.before["promote"] = lambda worker, limit, timeout: waits.append(timeout)
        duties.round(5)
        duties.round(0.001)
        duties.round(5)
    assert waits[:2] == [0, 0.001]
    assert 0 < waits[2] <= 0.2


def test_who_stands_by_waits_in_the_store_and_touches_nothing():
    """It spun once: a look for orphans that it never makes is always due."""
    store = Tampered()
    orphaned(store, "a")
    assert store.promote("leader", 1, 0) == 0
    with duty(store) as duties:
        store.calls.clear()
        duties.round(0)
        assert store.calls == {"promote": 1}
        waits = []
        store.before["promote"] = lambda worker, limit, timeout: waits.append(timeout)
        began = time.monotonic()
        for _ in range(3):
            assert duties.round(0.05) == 0
        assert waits == [0.05] * 3
        assert time.monotonic() - began >= 0.15


def test_the_duties_move_over_when_their_holder_is_gone():
    clock = ManualClock()
    store = Tampered(clock)
    orphaned(store, "a")
    assert store.promote("leader", 1, 0) == 0
    with duty(store) as duties:
        duties.round(0)
        assert states(store, "a") == [State.ACTIVE]
        clock.advance(timedelta(seconds=3))
        duties.round(0)
        assert states(store, "a") == [State.READY]


def test_who_lost_its_lease_leaves_the_duties_to_others():
    """The store gives it no orphans: it would hold the duties, and nobody would take the lost jobs back."""
    store = Tampered()
    with duty(store) as duties:
        duties._holdings.leased_until = time.monotonic() - 1
        assert duties.round(0.01) == 0
        assert store.calls["promote"] == 0
        duties._holdings.leased_until = time.monotonic() + 60
        duties.round(0)
        assert store.calls["promote"] == 1


def test_a_goodbye_hands_them_over_at_once():
    store = Tampered()
    orphaned(store, "a")
    MemoryStore.heartbeat(store, "leader", 100, b"")
    assert store.promote("leader", 1, 0) == 0
    store.heartbeat("leader", 0, b"")
    with duty(store) as duties:
        duties.round(0)
    assert states(store, "a") == [State.READY]


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("error", [StoreUnavailable("away."), StoreError("no table"), KeyError("fault"), SystemExit(1)])
@pytest.mark.parametrize("verb", ["promote", "recover", "purge"])
def test_they_go_on_whatever_a_round_comes_to(caplog, monkeypatch, verb, error):
    monkeypatch.setattr(room, "PURGE_ROUND", 0)  # with each round

    def fail(*_):
        raise error

    store = Tampered()
    with duty(store) as duties:
        store.before[verb] = fail
        duties.start()
        until(lambda: store.calls[verb] > 1)
        del store.before[verb]
        until(lambda: "it works again" in caplog.text)
    assert [message.split(":")[0] for message in caplog.messages] == ["Worker w, its duties"] * 2


def test_a_purge_that_always_fails_makes_nothing_late():
    def fail(*_):
        raise StoreError("no rights to delete")

    store = Tampered()
    store.before["purge"] = fail
    with duty(store) as duties:
        with pytest.raises(StoreError):
            duties.round(0)
        orphaned(store, "a")
        assert duties.round(0) == 0
        assert store.calls["purge"] == 1


def test_stopping_ends_the_thread():
    store = Tampered()
    begun = threading.Event()
    with duty(store) as duties:
        store.before["promote"] = lambda *_: begun.set()
        duties.start()
        heard(begun)
        duties.stop()
        store.interrupt("w")
        duties.join(10)
        assert not duties._thread.is_alive()
