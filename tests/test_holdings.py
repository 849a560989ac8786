from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta

import pytest
from kit import KEEP, Tampered, heard, looping, plugged, record, states, until

from goscheds.backends.memory import MemoryStore
from goscheds.clock import ManualClock
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.execution import Execution
from goscheds.handlers import Registry
from goscheds.holdings import ATTEMPTS, Holdings
from goscheds.plugins import hookimpl
from goscheds.record import Outcome, State


class Told:
    """A plugin that keeps what it is told."""

    def __init__(self):
        self.settled, self.lost = [], []

    @hookimpl
    def goscheds_job_settled(self, id, name, queue, fence, verb, error):
        self.settled.append((id, name, queue, fence, verb, error))

    @hookimpl
    def goscheds_job_lost(self, id, name, queue, fence):
        self.lost.append((id, name, queue, fence))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    return Tampered(clock)


@contextmanager
def holding(store, worker="w"):
    with looping() as loop:
        holdings = Holdings(store, worker, Execution(Registry(), KEEP, worker, loop), loop)
        holdings.loop = loop
        MemoryStore.heartbeat(store, worker, 10, b"")
        yield holdings
        holdings.closing.set()


@pytest.fixture
def holdings(store):
    with holding(store) as holdings:
        yield holdings


def pushed(store, *ids: str, **fields) -> list[str]:
    return store.push([record(id=id, **fields) for id in ids])


def done(run) -> Outcome:
    return Outcome.done(run.claim)


def test_a_claim_is_held_until_it_is_settled(store, holdings):
    pushed(store, "a", "b")
    runs = holdings.claim("default", 5, 0)
    assert [run.claim.record.id for run in runs] == ["a", "b"]
    assert len(holdings) == 2
    assert holdings.unfinished() == runs
    holdings.settle([done(run) for run in runs if holdings.finish(run)])
    assert len(holdings) == 0
    assert states(store, "a", "b") == [State.DONE, State.DONE]


def test_settling_nothing_does_not_trouble_the_store(store, holdings):
    holdings.settle([])
    holdings.release([])
    assert store.calls["settle"] == 0


def test_one_says_how_a_run_ended_and_nobody_the_second_time(store, holdings):
    pushed(store, "a")
    [run] = holdings.claim("default", 1, 0)
    assert holdings.finish(run)
    assert not holdings.finish(run)
    assert holdings.unfinished() == []
    holdings.release([run])
    assert states(store, "a") == [State.ACTIVE]


def test_a_released_claim_is_ready_again_with_nothing_counted(store, holdings):
    pushed(store, "a")
    holdings.release(holdings.claim("default", 1, 0))
    assert states(store, "a") == [State.READY]
    assert holdings.claim("default", 1, 0)[0].meta.attempts == 0


def test_a_refused_outcome_is_told(store, holdings, clock, caplog):
    pushed(store, "a", queue="mail")
    [run] = holdings.claim("mail", 1, 0)
    store.heartbeat("other", 100, b"")
    clock.advance(timedelta(seconds=20))
    assert store.recover("other", 1)
    told = Told()
    with plugged(told):
        holdings.settle([done(run)])
    assert "Job a (greet) had been taken from this worker; its outcome is dropped." in caplog.messages
    assert (told.settled, told.lost) == ([], [("a", "greet", "mail", 1)])
    assert states(store, "a") == [State.ACTIVE]
    assert len(holdings) == 0


def test_an_accepted_outcome_is_told(store, holdings):
    pushed(store, "a", "b", "c")
    first, second, third = holdings.claim("default", 3, 0)
    told = Told()
    with plugged(told):
        holdings.settle([done(first), Outcome.dead(second.claim, b'{"error":"no"}'), Outcome.released(third.claim)])
    assert told.settled == [
        ("a", "greet", "default", 1, "done", ""),
        ("b", "greet", "default", 1, "dead", "no"),
        ("c", "greet", "default", 1, "released", ""),
    ]
    assert told.lost == []


def test_a_plugin_that_raises_hurts_no_job(store, holdings, caplog):
    class Broken:
        @hookimpl
        def goscheds_job_settled(self, id):
            raise RuntimeError("mine")

        @hookimpl
        def goscheds_job_lost(self, id):
            raise RuntimeError("mine")

    pushed(store, "a", "b")
    runs = holdings.claim("default", 2, 0)
    told = Told()
    with plugged(Broken()), plugged(told):
        holdings.settle([done(run) for run in runs])
        holdings.settle([Outcome.done(runs[0].claim), Outcome("nobody", 1, "done")])
    assert states(store, "a", "b") == [State.DONE, State.DONE]
    assert len(told.settled) == 2
    assert "the job is not affected" in caplog.text


def test_a_store_that_is_away_is_waited_for_with_the_outcomes_in_hand(store, holdings, caplog):
    pushed(store, "a")
    [run] = holdings.claim("default", 1, 0)
    store.away = True
    settling = threading.Thread(target=holdings.settle, args=([done(run)],))
    settling.start()
    until(lambda: store.calls["settle"] >= 3)
    assert len(holdings) == 1
    store.away = False
    settling.join()
    assert states(store, "a") == [State.DONE]
    assert [message.split(": ")[1].split(",")[0] for message in caplog.messages] == [
        "nobody there. Trying again until it works.",
        "it works again",
    ]


def test_a_settle_whose_answer_was_lost_is_repeated_and_done_once(store, holdings, caplog):
    pushed(store, "a")
    [run] = holdings.claim("default", 1, 0)
    store.lose("settle")
    holdings.settle([Outcome.done(run.claim, jobs=[record(id="next")])])
    assert store.calls["settle"] == 2
    assert states(store, "a", "next") == [State.DONE, State.READY]
    assert "taken from this worker" not in caplog.text


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("error", [StoreError("disk full"), ValueError("a third party's own fault")])
def test_a_settle_that_always_fails_gives_the_jobs_back_in_the_end(store, holdings, caplog, error):
    def fail(*_):
        raise error

    pushed(store, "a")
    [run] = holdings.claim("default", 1, 0)
    store.before["settle"] = fail
    holdings.settle([done(run)])
    assert store.calls["settle"] == ATTEMPTS
    assert "could not settle 1 job(s); what stays unsettled runs again" in caplog.text
    assert holdings.doubt.is_set()
    del store.before["settle"]
    holdings.reconcile()
    assert states(store, "a") == [State.READY]
    assert not holdings.doubt.is_set()


def test_what_the_store_cannot_take_of_one_outcome_does_not_cost_the_others(store, holdings):
    def fail(worker, outcomes):
        if any(outcome.result == b"too large" for outcome in outcomes):
            raise StoreError("it is too large")

    pushed(store, "a", "b", "c")
    runs = holdings.claim("default", 3, 0)
    store.before["settle"] = fail
    holdings.settle([Outcome.done(run.claim, result=b"too large" * (run is runs[1])) for run in runs])
    assert states(store, "a", "b", "c") == [State.DONE, State.ACTIVE, State.DONE]
    holdings.reconcile()
    assert states(store, "b") == [State.READY]


def test_when_the_worker_ends_a_settle_is_tried_once(store, holdings, caplog):
    pushed(store, "a")
    [run] = holdings.claim("default", 1, 0)
    store.away = True
    holdings.closing.set()
    holdings.settle([done(run)])
    assert store.calls["settle"] == 1


@pytest.mark.parametrize("error", [StoreUnavailable, ValueError])
def test_a_claim_whose_answer_was_lost_is_found_and_given_back(store, holdings, error):
    pushed(store, "a", "b")
    store.lose("claim", error)
    with pytest.raises(error):
        holdings.claim("default", 5, 0)
    assert holdings.doubt.is_set()
    assert states(store, "a", "b") == [State.ACTIVE, State.ACTIVE]
    holdings.reconcile()
    assert states(store, "a", "b") == [State.READY, State.READY]
    assert not holdings.doubt.is_set()
    assert [run.claim.fence for run in holdings.claim("default", 5, 0)] == [2, 2]


@pytest.mark.parametrize("how", ["claim", "settle_and_claim"])
def test_a_claim_that_can_not_be_made_ready_to_run_is_given_back(store, holdings, monkeypatch, how):
    pushed(store, "first")
    (first,) = holdings.claim("default", 1, 0)
    pushed(store, "a")
    claim = {
        "claim": lambda: holdings.claim("default", 1, 0),
        "settle_and_claim": lambda: holdings.settle_and_claim([done(first)], "default", 1),
    }
    with monkeypatch.context() as broken:
        broken.setattr(holdings._execution, "prepare", lambda _: _raise(MemoryError()))
        with pytest.raises(MemoryError):
            claim[how]()
    assert holdings.doubt.is_set()
    holdings.reconcile()
    assert states(store, "a") == [State.READY]


def test_a_recovery_whose_answer_was_lost_is_found_too(store, holdings, clock):
    pushed(store, "a")
    store.heartbeat("dying", 1, b"")
    store.claim("default", "dying", 1, 0)
    clock.advance(timedelta(seconds=5))
    store.lose("recover")
    with pytest.raises(StoreUnavailable):
        holdings.recover(10)
    holdings.reconcile()
    assert states(store, "a") == [State.READY]


class Plain(Tampered):
    """A store that can't settle and claim in one round trip."""

    settle_and_claim = None


@pytest.mark.parametrize("kind", [Tampered, Plain])
def test_what_is_settled_is_followed_by_what_is_claimed(kind, clock):
    store = kind(clock)
    pushed(store, *"abc")
    with holding(store) as holdings:
        [first] = holdings.claim("default", 1, 0)
        assert holdings.finish(first)
        second, third = holdings.settle_and_claim([done(first)], "default", 5)
        assert states(store, *"abc") == [State.DONE, State.ACTIVE, State.ACTIVE]
        assert holdings.unfinished() == [second, third]
        assert holdings.settle_and_claim([done(second), Outcome.released(third.claim)], "none", 5) == []
        assert [run.claim.fence for run in holdings.settle_and_claim([], "default", 5)] == [2]
        assert holdings.settled == 3


@pytest.mark.parametrize("error", [StoreUnavailable, StoreError, ValueError, SystemExit])
@pytest.mark.parametrize("lost", [True, False])
def test_when_a_claim_that_goes_with_a_settle_fails_the_settle_is_repeated(store, holdings, error, lost):
    pushed(store, "a", "b")
    [run] = holdings.claim("default", 1, 0)
    if lost:
        store.lose("claim", error)
    else:
        store.before["settle"] = lambda *_: store.before.pop("settle") and _raise(error("away"))
    with nullcontext() if error is StoreUnavailable else pytest.raises(error):
        assert holdings.settle_and_claim([Outcome.done(run.claim, jobs=[record(id="next")])], "default", 1) == []
    assert store.calls["settle"] == 2
    assert states(store, "a", "next") == [State.DONE, State.READY]
    assert len(holdings) == 0
    assert holdings.doubt.is_set()
    holdings.reconcile()
    assert states(store, "b") == [State.READY]


def _raise(error: BaseException) -> None:
    raise error


def test_an_answer_that_comes_after_its_claim_was_given_back_is_dropped(store, holdings):
    pushed(store, "a")
    acted, answer = threading.Event(), threading.Event()

    def slow(claims):
        acted.set()
        heard(answer)

    store.after["claim"] = slow
    runs = [None]
    claiming = threading.Thread(target=lambda: runs.extend(holdings.claim("default", 1, 0)))
    claiming.start()
    heard(acted)
    holdings.reconcile()
    answer.set()
    claiming.join()
    assert runs == [None]
    assert len(holdings) == 0
    assert states(store, "a") == [State.READY]


def test_a_reconciliation_that_fails_leaves_the_doubt(store, holdings):
    holdings.suspect()
    for error in (StoreUnavailable("away"), ValueError("fault")):

        def fail(*_, error=error):
            raise error

        store.before["held"] = fail
        with pytest.raises(type(error)):
            holdings.reconcile()
        assert holdings.doubt.is_set()


def test_what_settles_while_the_store_is_asked_is_no_stray(store, holdings, caplog):
    """Asked before, settled before the answer came: neither stray nor lost."""
    pushed(store, "a")
    [run] = holdings.claim("default", 1, 0)

    def settle_meanwhile(_):
        assert holdings.finish(run)
        holdings.settle([Outcome.retry(run.claim)])

    store.after["held"] = settle_meanwhile
    holdings.reconcile()
    assert "answer was lost" not in caplog.text
    assert not run.context.cancelled
    assert store.calls["settle"] == 1


def test_what_was_lost_to_another_worker_is_told_to_its_handler(store, holdings, clock):
    pushed(store, "a")
    [run] = holdings.claim("default", 1, 0)
    store.heartbeat("other", 100, b"")
    clock.advance(timedelta(seconds=20))
    store.recover("other", 1)
    holdings.reconcile()
    assert run.context.reason == "the job was lost to another worker"


def test_what_is_still_held_is_left_alone(store, holdings):
    pushed(store, "a")
    [run] = holdings.claim("default", 1, 0)
    holdings.reconcile()
    assert not run.context.cancelled
    assert states(store, "a") == [State.ACTIVE]


def test_only_the_cancelled_are_told_to_stop(store, holdings):
    pushed(store, "a", "b")
    first, second = holdings.claim("default", 2, 0)
    holdings.stop_cancelled(["a", "nobody"])
    assert first.context.reason == "the job was cancelled"
    assert not second.context.cancelled


def test_a_task_is_cancelled_once_however_often_it_is_told(store, holdings):
    """A second cancellation would break off what the first one's handler clears up."""
    pushed(store, "a")
    [run] = holdings.claim("default", 1, 0)
    begun, clearing, cleared = threading.Event(), threading.Event(), threading.Event()
    told_again = asyncio.Event()

    async def handler():
        run.task = asyncio.current_task()
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        clearing.set()
        await told_again.wait()
        cleared.set()

    holdings.loop.call(lambda: asyncio.ensure_future(handler()))
    heard(begun)
    holdings.stop(run, "the job was cancelled")
    heard(clearing)
    holdings.stop(run, "the job was lost to another worker")
    holdings.loop.call(told_again.set)
    heard(cleared)
    assert run.context.reason == "the job was cancelled"


def test_those_with_a_timeout_are_watched(store, holdings):
    stirred = []
    holdings.stir = lambda: stirred.append(1)
    pushed(store, "a")
    pushed(store, "b", timeout=timedelta(seconds=1))
    plain, timed = holdings.claim("default", 2, 0)
    assert stirred == [1]
    assert list(holdings.timed.values()) == [timed]
    assert holdings.overdue(1e9) == []
    plain.deadline = timed.deadline = 5
    assert holdings.overdue(4) == []
    assert holdings.overdue(6) == [timed]
    holdings.finish(timed)
    assert holdings.overdue(6) == []
    holdings.settle([done(timed)])
    assert holdings.timed == {}


def test_watching_and_claiming_get_along(store, holdings):
    """Both go over the runs with a timeout, each in its own thread."""
    pushed(store, *map(str, range(500)), timeout=timedelta(seconds=1))
    ended = threading.Event()

    def claim():
        while runs := holdings.claim("default", 1, 0):
            del runs
        ended.set()

    claiming = threading.Thread(target=claim)
    claiming.start()
    while not ended.is_set():
        holdings.overdue(0)
    claiming.join()
    assert len(holdings.timed) == 500
