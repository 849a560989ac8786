from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from kit import Tampered, scheduled, states, until, working

from goscheds import Job, Retry, Worker
from goscheds.backends.memory import MemoryStore
from goscheds.clock import ManualClock, from_micros
from goscheds.errors import (
    BadMoment,
    InvalidJob,
    JobFailed,
    JobNotFound,
    NotMoved,
    ResultTimeout,
    StoreUnavailable,
)
from goscheds.operations import PAGE, queue_counts
from goscheds.record import Counts, State

LATER = datetime(2199, 1, 1, tzinfo=UTC)


@pytest.fixture
def store():
    return Tampered()


@pytest.fixture
def scheduler(store):
    with scheduled(store) as scheduler:
        yield scheduler


def worker(scheduler) -> Worker:
    working = Worker(scheduler)
    working.register_handler("greet", lambda job: dict(job.args))
    working.register_handler("fail", lambda job: 1 / 0)
    return working


def ended(scheduler, name="greet", **fields) -> str:
    id = scheduler.push(Job(name, retry=Retry.never(), **fields))
    worker(scheduler).drain()
    return id


def active(scheduler, **fields) -> str:
    """A job in the hands of somebody."""
    id = scheduler.push(Job("greet", **fields))
    scheduler.store.heartbeat("somebody", 60, b"about me")
    assert scheduler.store.claim("default", "somebody", 1, 0)
    return id


def test_a_job_as_it_stands(scheduler):
    info = scheduler.get(scheduler.push(Job("greet", {"a": 1}, id="id-1", queue="mail")))
    assert (info.id, info.job.args, info.job.queue, info.state, info.fence) == ("id-1", {"a": 1}, "mail", "ready", 0)


@pytest.mark.parametrize(
    "verb", ["get", "cancel", "retry", "result", lambda scheduler, id_: scheduler.reschedule(id_, LATER)]
)
def test_a_job_that_is_not_there(scheduler, verb):
    with pytest.raises(JobNotFound, match="'nobody'"):
        verb(scheduler, "nobody") if callable(verb) else getattr(scheduler, verb)("nobody")


def test_jobs_are_listed_by_what_narrows_them(scheduler):
    scheduler.push_many([Job("a", queue="mail", id="1"), Job("b", queue="mail", id="2"), Job("a", id="3")])
    scheduler.cancel("2")

    def ids(**filters):
        return {info.id for info in scheduler.jobs(**filters)}

    assert ids() == {"1", "2", "3"}
    assert ids(state="ready") == ids(state=State.READY) == {"1", "3"}
    assert ids(queue="mail") == {"1", "2"}
    assert ids(name="a", queue="mail", state="ready") == {"1"}
    assert ids(queue="nowhere") == set()
    with pytest.raises(ValueError, match="bogus"):
        next(scheduler.jobs(state="bogus"))


def test_many_are_read_in_pages_as_the_iterator_goes(scheduler, store):
    scheduler.push_many([Job("a") for _ in range(PAGE * 2 + 1)])
    listing = scheduler.jobs()
    next(listing)
    assert store.calls["find"] == 1
    assert len({info.id for info in listing}) == PAGE * 2
    assert store.calls["find"] == 3


def test_counts(scheduler):
    scheduler.push_many([Job("a"), Job("a", queue="mail"), Job("a", queue="mail", execute_at=LATER)])
    scheduler.pause("idle")
    counts = scheduler.counts()
    assert counts.jobs == {("default", "ready"): 1, ("mail", "ready"): 1, ("mail", "scheduled"): 1}
    assert queue_counts(counts) == {"default": {"ready": 1}, "mail": {"ready": 1, "scheduled": 1}, "idle": {}}
    assert queue_counts(Counts({})) == {}


# Results


def test_a_result_is_what_the_handler_returned(scheduler):
    id = ended(scheduler, args={"a": [None]})
    assert scheduler.result(id) == {"a": [None]}
    assert scheduler.result(id, timeout=0) == {"a": [None]}


def test_a_result_is_waited_for(scheduler):
    id = scheduler.push_in(timedelta(milliseconds=50), Job("greet", {"a": 1}))
    with working(scheduler, worker(scheduler)):
        assert scheduler.result(id, timedelta(seconds=10)) == {"a": 1}


@pytest.mark.parametrize("timeout", [0.02, timedelta(milliseconds=20)])
def test_a_result_that_does_not_come_in_time(scheduler, timeout):
    id = scheduler.push(Job("greet"))
    began = time.monotonic()
    with pytest.raises(ResultTimeout, match=f"Job '{id}' \\(greet\\) is still ready"):
        scheduler.result(id, timeout)
    assert 0.02 <= time.monotonic() - began < 5


def test_a_timeout_says_what_went_wrong_so_far(scheduler):
    id = scheduler.push(Job("nobody knows it"))
    worker(scheduler).drain()
    with pytest.raises(ResultTimeout, match=r"still scheduled\. Last error: No handler named"):
        scheduler.result(id, 0)


def test_there_is_no_result_of_what_failed_or_was_cancelled(scheduler):
    failed, cancelled = ended(scheduler, "fail"), scheduler.push(Job("greet"))
    scheduler.cancel(cancelled)
    with pytest.raises(JobFailed, match=r"ended dead\. Last error: ZeroDivisionError"):
        scheduler.result(failed)
    with pytest.raises(JobFailed, match=r"ended cancelled\.$"):
        scheduler.result(cancelled)


def test_a_handler_that_returned_nothing_has_none(scheduler):
    working = Worker(scheduler)
    working.register_handler("nothing", lambda job: None)
    id = scheduler.push(Job("nothing"))
    working.drain()
    assert scheduler.result(id) is None


# Steering


def test_cancelling(scheduler):
    assert scheduler.cancel(scheduler.push(Job("greet"))) is State.CANCELLED
    assert scheduler.cancel(scheduler.push_scheduled(Job("greet", execute_at=LATER))) is State.CANCELLED
    assert scheduler.cancel(active(scheduler)) is State.ACTIVE
    assert scheduler.cancel(ended(scheduler)) is State.DONE


def test_rescheduling(scheduler):
    id = scheduler.push(Job("greet"))
    assert scheduler.reschedule(id, LATER) is State.SCHEDULED
    assert scheduler.get(id).job.execute_at == LATER
    assert scheduler.reschedule(id, timedelta(hours=1)) is State.SCHEDULED
    assert timedelta(minutes=59) < scheduler.get(id).job.execute_at - scheduler.now() <= timedelta(hours=1)
    assert scheduler.reschedule(id, timedelta(0)) is State.READY


def test_only_what_waits_can_be_rescheduled(scheduler):
    for id, state in ((active(scheduler), "active"), (ended(scheduler), "done")):
        with pytest.raises(NotMoved, match=f"is {state}: only a waiting job"):
            scheduler.reschedule(id, LATER)
    with pytest.raises(BadMoment):
        scheduler.reschedule(scheduler.push(Job("greet")), timedelta(-1))


def test_retrying_runs_it_now_with_its_attempts_counted_anew(scheduler):
    id = ended(scheduler, "fail")
    before = scheduler.get(id)
    assert scheduler.retry(id) is State.READY
    after = scheduler.get(id)
    assert (before.attempts, after.attempts) == (1, 0)
    assert after.error == before.error == "ZeroDivisionError: division by zero"
    assert after.trace == before.trace != ""


@pytest.mark.parametrize("kind", ["done", "dead", "cancelled", "scheduled"])
def test_whatever_has_ended_or_waits_for_its_moment_can_be_retried(scheduler, kind):
    id = scheduler.push_scheduled(Job("greet", execute_at=LATER)) if kind in ("cancelled", "scheduled") else ""
    if kind == "cancelled":
        scheduler.cancel(id)
    id = id or ended(scheduler, "fail" if kind == "dead" else "greet")
    assert scheduler.get(id).state == kind
    assert scheduler.retry(id) is State.READY


def test_what_runs_now_or_whose_key_is_held_stays_as_it_is(scheduler):
    with pytest.raises(NotMoved, match="is active"):
        scheduler.retry(active(scheduler))
    id = ended(scheduler, unique_key="k")
    scheduler.push(Job("greet", unique_key="k"))
    with pytest.raises(NotMoved, match="stays done: its unique key is held"):
        scheduler.retry(id)


def test_retrying_what_is_ready_changes_nothing(scheduler):
    assert scheduler.retry(scheduler.push(Job("greet"))) is State.READY


@pytest.mark.parametrize("queue", ["", "a\0", None])
def test_a_queue_that_no_store_could_carry_is_not_paused(scheduler, queue):
    with pytest.raises(InvalidJob):
        scheduler.pause(queue)
    with pytest.raises(InvalidJob):
        scheduler.resume(queue)


def test_purging():
    clock = ManualClock()
    store = MemoryStore(clock)
    with scheduled(store) as scheduler:
        old, mail = ended(scheduler), scheduler.push(Job("greet", queue="mail"))
        scheduler.cancel(mail)
        clock.advance(timedelta(hours=1))
        new = ended(scheduler)
        clock.advance(timedelta(seconds=1))
        assert scheduler.purge("done", older_than=timedelta(minutes=30)) == 1
        assert states(store, old, new, mail) == [None, State.DONE, State.CANCELLED]
        assert scheduler.purge(State.CANCELLED, queue="default") == 0
        assert scheduler.purge(State.CANCELLED, queue="mail") == 1
        assert scheduler.purge("done") == 1


def test_purging_goes_on_until_nothing_is_left(scheduler):
    ids = scheduler.push_many([Job("a") for _ in range(PAGE + 1)])
    for id in ids:
        scheduler.cancel(id)
    until(lambda: scheduler.now() > scheduler.get(ids[-1]).changed_at)
    assert scheduler.purge("cancelled") == PAGE + 1


@pytest.mark.parametrize("state", ["scheduled", "ready", "active"])
def test_nothing_live_is_purged(scheduler, state):
    with pytest.raises(NotMoved, match="cancel those first"):
        scheduler.purge(state)


def test_workers_and_the_clock(scheduler):
    active(scheduler)
    [info] = scheduler.workers()
    assert (info.id, info.info, info.held) == ("somebody", b"about me", 1)
    assert abs(scheduler.now() - datetime.now(UTC)) < timedelta(seconds=60)
    assert scheduler.now() <= from_micros(info.expires_at)


def test_a_store_that_is_away_for_a_moment_is_waited_for(scheduler, store):
    id = scheduler.push(Job("greet"))

    def briefly():
        store.away = True
        threading.Timer(0.1, lambda: setattr(store, "away", False)).start()

    briefly()
    assert scheduler.get(id).state is State.READY
    briefly()
    assert scheduler.cancel(id) is State.CANCELLED


@pytest.mark.slow
def test_and_no_longer_than_that(scheduler, store):
    store.away = True
    with pytest.raises(StoreUnavailable, match="Could not look for job 'a'"):
        scheduler.get("a")


def test_every_verb_has_an_awaitable_twin(scheduler):
    async def all_of_them():
        id, other = await scheduler.apush_many([Job("greet", {"a": 1}), Job("greet")])
        assert (await scheduler.aget(id)).state is State.READY
        assert len(await scheduler.ajobs(state="ready")) == 2
        assert (await scheduler.acounts()).jobs == {("default", "ready"): 2}
        assert await scheduler.areschedule(other, LATER) is State.SCHEDULED
        assert await scheduler.aretry(other) is State.READY
        assert await scheduler.acancel(other) is State.CANCELLED
        await scheduler.apause("mail")
        assert (await scheduler.acounts()).paused == {"mail"}
        await scheduler.aresume("mail")
        assert await scheduler.aworkers() == []
        assert await scheduler.anow() <= scheduler.now()
        assert await scheduler.apurge("done") == 0
        with pytest.raises(ResultTimeout):
            await scheduler.aresult(id, 0.01)
        await asyncio.to_thread(worker(scheduler).drain)
        assert await scheduler.aresult(id) == {"a": 1}
        with pytest.raises(JobFailed):
            await scheduler.aresult(other, timedelta(seconds=1))

    asyncio.run(all_of_them())


def test_waiting_for_a_result_leaves_the_loop_free(scheduler):
    async def wait():
        waiting = asyncio.ensure_future(scheduler.aresult(scheduler.push(Job("greet")), 10))
        for _ in range(5):
            await asyncio.sleep(0.001)
        assert not waiting.done()
        await asyncio.to_thread(worker(scheduler).drain)
        return await waiting

    assert asyncio.run(wait()) == {}
