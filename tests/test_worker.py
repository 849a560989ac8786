"""A worker from outside: what a deployment sees of it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from datetime import timedelta

import msgspec
import pytest
from kit import Tampered, ends, heard, plugged, scheduled, states, until, working

from goscheds import Context, GiveUp, Job, Retry, RunAgain, Worker
from goscheds.backends.memory import MemoryStore
from goscheds.clock import ManualClock
from goscheds.errors import ConfigError, JobFailed, ResultNotKept, StoreError, StoreUnavailable
from goscheds.plugins import hookimpl
from goscheds.record import State

SHORT = timedelta(seconds=1)
AT_ONCE = Retry(max_attempts=0, base=timedelta(0), cap=timedelta(0))


@pytest.fixture
def store():
    return Tampered()


@pytest.fixture
def scheduler(store):
    with scheduled(store) as scheduler:
        yield scheduler


def pushed(scheduler, name="greet", **fields) -> str:
    return scheduler.push(Job(name, **fields))


def test_what_a_sync_handler_sets_in_its_context_is_no_other_jobs_and_not_the_callers(scheduler):
    seen, tenant = [], contextvars.ContextVar("tenant", default="")
    tenant.set("the caller's")

    @scheduler.job
    def serve(who: str) -> None:
        seen.append(tenant.get())
        tenant.set(who)

    scheduler.push_many([serve.job("a"), serve.job("b")])
    assert Worker(scheduler, {"default": 1}).drain() == 2
    assert [*seen, tenant.get()] == ["the caller's"] * 3
    scheduler.push_many([serve.job("a"), last := serve.job("b")])
    with working(scheduler, {"default": 1}):
        ends(scheduler, last.id)
    assert seen[2:] == ["", ""]


# Both styles, both colours


def test_decorated_handlers_run_with_their_arguments(scheduler):
    @scheduler.job
    def add(a: int, b: int = 1) -> int:
        return a + b

    @scheduler.job(queue="async")
    async def aadd(a: int, b: int = 1) -> int:
        await asyncio.sleep(0)
        return a + b

    ids = [add.push(1, 2), add.push(1), aadd.push(3, b=4), scheduler.push(Job("add", {"a": 9}))]
    with working(scheduler):
        assert [scheduler.result(id, 10) for id in ids] == [3, 2, 7, 10]


@pytest.mark.parametrize("kind", ["sync", "async", "lambda"])
def test_registered_handlers_run_with_the_job(scheduler, kind):
    async def ahandler(job):
        return job.args["a"]

    handler = {"sync": lambda job: job.args["a"], "async": ahandler, "lambda": lambda job: ahandler(job=job)}[kind]
    worker = Worker(scheduler)
    worker.register_handler("greet", handler)
    id = pushed(scheduler, args={"a": "ä\0"})
    with working(scheduler, worker):
        assert scheduler.result(id, 10) == "ä\0"


def test_a_handler_of_the_workers_own_brings_its_queue(scheduler):
    worker = Worker(scheduler)
    worker.register_handler("greet", lambda job: None, queue="mail")
    assert worker.queues == {"default": 8, "mail": 8}
    assert scheduler.handlers.get("greet") is None


def test_a_name_that_the_scheduler_has_is_taken(scheduler):
    scheduler.job(name="greet")(lambda: None)
    worker = Worker(scheduler)
    worker.register_handler("greet", lambda job: None)
    with pytest.raises(ConfigError, match="Two handlers are named 'greet'"):
        worker.run()


# What it is told


def test_queues_are_default_and_whatever_a_handler_names(scheduler):
    assert Worker(scheduler).queues == {"default": 8}
    scheduler.job(name="a", queue="mail")(lambda: None)
    assert Worker(scheduler).queues == {"default": 8, "mail": 8}
    assert Worker(scheduler, {"mail": 3}).queues == {"mail": 3}
    assert Worker(scheduler, {}).queues == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queues": {"mail": 0}}, "'mail' is given 0 slots"),
        ({"queues": {"": 1}}, "A queue's name"),
        ({"queues": {"a\0": 1}}, "control characters"),
        ({"lease": timedelta(milliseconds=999)}, "lease"),
        ({"grace": timedelta(seconds=-1)}, "grace"),
    ],
)
def test_what_can_not_work_is_refused(scheduler, options, said):
    with pytest.raises((ConfigError, ValueError), match=said):
        Worker(scheduler, **options)


def test_a_queue_that_no_slots_were_given_to_is_pointed_out(scheduler, caplog):
    caplog.set_level("INFO")
    scheduler.job(name="a", queue="mail")(lambda: None)
    scheduler.job(name="b", queue="reports")(lambda: None)
    with working(scheduler, {"mail": 1}):
        until(scheduler.workers)
    assert "No slots here for reports: other workers must serve them." in caplog.messages
    assert any("serves mail (1) at kit" in message for message in caplog.messages)
    with working(scheduler, {}):
        until(scheduler.workers)
    assert any("serves the duties alone at" in message for message in caplog.messages)


def test_without_a_store_it_does_not_start(scheduler, store):
    store.away = True
    with pytest.raises(StoreUnavailable):
        Worker(scheduler).run()
    with pytest.raises(StoreUnavailable):
        Worker(scheduler).drain()


# Ends of a run


def test_a_job_that_fails_runs_again_until_it_works(scheduler):
    attempts = []

    @scheduler.job(retry=AT_ONCE)
    def flaky(run: Context) -> str:
        attempts.append(run.attempt)
        if run.attempt < 4:
            raise ValueError("not yet")
        return "at last"

    id = flaky.push()
    with working(scheduler):
        assert scheduler.result(id, 10) == "at last"
    info = scheduler.get(id)
    assert (attempts, info.attempts, info.fence, info.error, info.trace) == ([1, 2, 3, 4], 3, 4, "", "")


def test_a_retry_waits_out_its_backoff():
    clock = ManualClock()
    with scheduled(MemoryStore(clock)) as scheduler:
        fences = []

        @scheduler.job(retry=Retry(base=timedelta(hours=1), cap=timedelta(hours=1)))
        def fails(run: Context) -> None:
            fences.append(run.fence)
            raise ValueError("no")

        id = fails.push()
        assert Worker(scheduler).drain() == 2, "the first retry is at once"
        info = scheduler.get(id)
        assert (info.state, info.attempts, info.error) == (State.SCHEDULED, 2, "ValueError: no")
        assert timedelta(0) < info.job.execute_at - scheduler.now() <= timedelta(hours=1)
        assert Worker(scheduler).drain() == 0
        clock.advance(timedelta(hours=1))
        assert Worker(scheduler).drain() == 1
        assert fences == [1, 2, 3]


def test_a_job_whose_attempts_run_out_is_dead(scheduler):
    @scheduler.job(retry=Retry(max_attempts=2))
    def fails() -> None:
        raise ValueError("no")

    id = fails.push()
    assert Worker(scheduler).drain() == 2
    info = scheduler.get(id)
    assert (info.state, info.attempts, info.error) == (State.DEAD, 2, "ValueError: no")
    assert "in fails" in info.trace
    with pytest.raises(JobFailed, match=r"ended dead\. Last error: ValueError: no"):
        scheduler.result(id)


@pytest.mark.parametrize("queue", ["default", "async"])
def test_giving_up_ends_it_at_once(scheduler, queue):
    async def agive_up():
        raise GiveUp("sold out")

    def give_up():
        raise GiveUp("sold out")

    task = scheduler.job(name="sell", queue=queue)(agive_up if queue == "async" else give_up)
    id = task.push()
    assert Worker(scheduler).drain() == 1
    assert (scheduler.get(id).state, scheduler.get(id).error) == (State.DEAD, "sold out")


def test_run_again_says_when():
    clock = ManualClock()
    with scheduled(MemoryStore(clock)) as scheduler:

        @scheduler.job
        def poll(run: Context) -> str:
            if run.attempt == 1:
                raise RunAgain(timedelta(minutes=5), reason="not ready")
            if run.attempt == 2:
                raise RunAgain(at=scheduler.now() + timedelta(minutes=10))
            return "ready"

        id = poll.push()
        for minutes, ran in ((0, 1), (4, 0), (1, 1), (9, 0), (1, 1)):
            clock.advance(timedelta(minutes=minutes))
            assert Worker(scheduler).drain() == ran
        assert scheduler.result(id) == "ready"


def test_an_unknown_job_waits_for_a_worker_that_knows_it_and_says_so():
    clock = ManualClock()
    with scheduled(MemoryStore(clock)) as scheduler:
        id = scheduler.push(Job("unheard of"))
        for delay in (1, 2, 4, 8, 16, 32, 60, 60):
            assert Worker(scheduler).drain() == 1
            info = scheduler.get(id)
            assert (info.state, info.attempts) == (State.SCHEDULED, 0)
            assert "No handler named 'unheard of'" in info.error
            assert info.job.execute_at - scheduler.now() == timedelta(seconds=delay)
            clock.advance(timedelta(seconds=delay))
        worker = Worker(scheduler)
        worker.register_handler("unheard of", lambda job: "known now")
        worker.drain()
        assert scheduler.result(id) == "known now"
        assert scheduler.get(id).error == ""


@pytest.mark.parametrize("value", [object(), "x" * 300_000, float("nan")])
def test_a_result_that_can_not_be_kept_is_no_failure(scheduler, value):
    worker = Worker(scheduler)
    worker.register_handler("greet", lambda job: value)
    id = pushed(scheduler)
    assert worker.drain() == 1
    assert scheduler.get(id).state is State.DONE
    with pytest.raises(ResultNotKept, match="is done, but its return value was not kept"):
        scheduler.result(id)


def test_higher_priorities_run_first_and_the_rest_in_their_order(scheduler):
    ran = []
    worker = Worker(scheduler, {"default": 1})
    worker.register_handler("greet", lambda job: ran.append(job.id))
    for id, priority in (("a", 0), ("b", -5), ("c", 100), ("d", 0), ("e", -100), ("f", 100)):
        pushed(scheduler, id=id, priority=priority)
    worker.drain()
    assert ran == list("cfadbe")


def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(scheduler):
    worker = Worker(scheduler)
    worker.register_handler("greet", lambda job: None)
    scheduler.pause("default")
    id = pushed(scheduler)
    with working(scheduler, worker):
        until(scheduler.workers)
        assert not threading.Event().wait(0.05)
        assert scheduler.get(id).state is State.READY
        scheduler.resume("default")
        ends(scheduler, id)


# Cancelling


def test_a_waiting_job_that_is_cancelled_never_runs(scheduler):
    ran = []
    worker = Worker(scheduler)
    worker.register_handler("greet", lambda job: ran.append(job.id))
    cancelled, other = pushed(scheduler), pushed(scheduler)
    assert scheduler.cancel(cancelled) is State.CANCELLED
    worker.drain()
    assert ran == [other]


@pytest.mark.parametrize("stops", [True, False])
def test_an_active_job_that_is_cancelled_is_told_and_does_not_run_again(scheduler, stops):
    begun, told, ran = threading.Event(), threading.Event(), []

    @scheduler.job(retry=AT_ONCE)
    def long(run: Context) -> None:
        ran.append(1)
        begun.set()
        assert run.wait(10)
        told.set()
        if stops:
            run.check()
        raise ValueError("a failure that would have run again")

    id = long.push()
    with working(scheduler, lease=SHORT):
        heard(begun)
        assert scheduler.cancel(id) is State.ACTIVE
        assert scheduler.get(id).cancelling
        heard(told)
        ends(scheduler, id, State.CANCELLED)
    assert ran == [1]


def test_an_active_async_job_that_is_cancelled_is_broken_off_where_it_waits(scheduler):
    begun, cleared = threading.Event(), threading.Event()

    @scheduler.job(retry=AT_ONCE)
    async def long() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            cleared.set()

    id = long.push()
    with working(scheduler, lease=SHORT):
        heard(begun)
        scheduler.cancel(id)
        ends(scheduler, id, State.CANCELLED)
    assert cleared.is_set()


def test_a_job_that_is_done_before_it_hears_of_its_cancellation_is_done(scheduler):
    @scheduler.job
    def quick(run: Context) -> str:
        scheduler.cancel(run.job.id)
        return "done"

    id = quick.push()
    Worker(scheduler).drain()
    assert scheduler.result(id) == "done"


# Leases and crashes


@pytest.mark.slow
def test_a_lost_job_is_told_to_its_handler_refused_and_run_by_another(scheduler, store, caplog):
    begun, told, ran = threading.Event(), threading.Event(), []

    @scheduler.job
    def long(run: Context) -> str:
        ran.append(run.fence)
        if run.fence == 1:
            begun.set()
            assert run.wait(10)
            assert run.reason == "the job was lost to another worker"
            told.set()
        return f"by {run.fence}"

    id = long.push()
    with working(scheduler, lease=SHORT) as one:
        heard(begun)
        name = one._shift._crew.id
        store.before["heartbeat"] = lambda worker, *_: worker == name and fail("cut off")
        MemoryStore.heartbeat(store, name, 0, b"")
        with working(scheduler, lease=SHORT):
            assert scheduler.result(id, 10) == "by 3", "its recovery was a claim too"
            del store.before["heartbeat"]
            heard(told)
            until(lambda: "had been taken from this worker" in caplog.text)
    assert scheduler.result(id) == "by 3"
    assert scheduler.get(id).crashes == 1
    assert ran == [1, 3]


def fail(why: str):
    raise StoreUnavailable(why)


def test_a_lapse_that_nobody_used_costs_nothing(scheduler, store):
    begun, free = threading.Event(), threading.Event()

    @scheduler.job
    def long(run: Context) -> int:
        begun.set()
        heard(free)
        return run.fence

    id = long.push()
    store.before["recover"] = lambda *_: fail("not now")
    with working(scheduler, lease=SHORT) as worker:
        heard(begun)
        MemoryStore.heartbeat(store, worker._shift._crew.id, 0, b"")
        until(lambda: store.calls["held"])
        free.set()
        assert scheduler.result(id, 10) == 1
        del store.before["recover"]


def test_a_claim_whose_answer_was_lost_is_found_and_run(scheduler, store):
    worker = Worker(scheduler, {"default": 1})
    worker.register_handler("greet", lambda job: "found")
    store.lose("claim")
    with working(scheduler, worker):
        assert scheduler.result(pushed(scheduler), 10) == "found"


def test_a_job_that_keeps_killing_its_workers_ends_dead_with_that_reason(scheduler, store):
    worker = Worker(scheduler)
    id = pushed(scheduler, retry=Retry(max_attempts=1, max_crashes=2))
    for crashes in (1, 2):
        MemoryStore.heartbeat(store, "dying", 10, b"")
        assert MemoryStore.claim(store, "default", "dying", 1, 0)
        MemoryStore.heartbeat(store, "dying", 0, b"")
        scheduler.pause("default")
        worker.drain()
        scheduler.resume("default")
        assert scheduler.get(id).crashes == crashes
    info = scheduler.get(id)
    assert (info.state, info.attempts) == (State.DEAD, 0)
    assert info.error == "It ran 2 times in a worker that died of it."


@pytest.mark.slow
def test_the_duties_move_over_when_their_holder_stops_doing_them(scheduler, store):
    scheduler.job(name="greet")(lambda: None)
    with working(scheduler, lease=SHORT) as one:
        until(lambda: store._duty[0])
        leader = one._shift._crew
        with working(scheduler, lease=SHORT):
            until(lambda: len(scheduler.workers()) == 2)
            leader._duties.stop()
            leader._duties.join(10)
            id = scheduler.push_in(timedelta(milliseconds=10), Job("greet"))
            ends(scheduler, id)


# Outages


@pytest.mark.slow
def test_a_store_that_goes_and_comes_back_costs_nothing(scheduler, store, caplog):
    ran, begun, free = [], threading.Event(), threading.Event()

    def told(what: str) -> list[str]:
        return sorted(message.split(": ")[0] for message in caplog.messages if what in message)

    @scheduler.job
    def first() -> str:
        begun.set()
        heard(free)
        return "settled"

    @scheduler.job
    def second() -> None:
        ran.append("second")

    running = first.push()
    with working(scheduler, {"default": 2}, lease=timedelta(seconds=30)):
        heard(begun)
        waiting = second.push_in(timedelta(milliseconds=200))
        store.away = True
        free.set()
        until(lambda: store.calls["settle"] > 2)
        until(lambda: store.calls["promote"] > 5)
        store.away = False
        ends(scheduler, running)
        ends(scheduler, waiting)
        until(lambda: told("Trying again") == told("works again"))
    assert ran == ["second"]
    went = told("Trying again")
    assert len(went) == len(set(went)), "each part says it once"


def test_a_settle_that_fails_for_a_while_loses_nothing(scheduler, store):
    ran = []
    worker = Worker(scheduler)
    worker.register_handler("greet", lambda job: ran.append(job.id))
    failures = iter(range(20))

    def break_down(*_):
        if next(failures, None) is not None:
            raise StoreError("disk full")

    store.before["settle"] = break_down
    ids = [pushed(scheduler) for _ in range(10)]
    with working(scheduler, worker):
        for id in ids:
            ends(scheduler, id)
    assert set(ran) == set(ids)


# Housekeeping


def test_ended_jobs_are_purged_when_their_time_is_over():
    clock = ManualClock()
    store = MemoryStore(clock)
    with scheduled(store, keep_done=timedelta(hours=1), keep_dead=timedelta(days=1)) as scheduler:
        worker = Worker(scheduler)
        worker.register_handler("greet", lambda job: None)
        worker.register_handler("fail", lambda job: fail("no"))
        done, dead = pushed(scheduler), pushed(scheduler, "fail", retry=Retry.never())
        worker.drain()
        for wait, left in (
            (timedelta(minutes=59), [State.DONE, State.DEAD]),
            (timedelta(minutes=2), [None, State.DEAD]),
            (timedelta(hours=24), [None, None]),
        ):
            clock.advance(wait)
            worker.drain()
            assert states(store, done, dead) == left


def test_what_is_not_kept_is_gone_as_it_ends():
    store = MemoryStore()
    with scheduled(store, keep_done=timedelta(0), keep_dead=timedelta(0)) as scheduler:
        worker = Worker(scheduler)
        worker.register_handler("greet", lambda job: None)
        worker.register_handler("fail", lambda job: fail("no"))
        done, dead = pushed(scheduler), pushed(scheduler, "fail", retry=Retry.never())
        assert worker.drain() == 2
        assert states(store, done, dead) == [None, None]


def test_plugins_are_told_the_life_of_a_job(scheduler):
    told = []

    class Plugin:
        @hookimpl
        def goscheds_jobs_pushed(self, ids, namespace):
            told.append(("pushed", *ids, namespace))

        @hookimpl
        def goscheds_job_started(self, id, fence):
            told.append(("started", id, fence))

        @hookimpl
        def goscheds_job_settled(self, id, verb, error):
            told.append(("settled", id, verb, error))

    class Broken:
        @hookimpl
        def goscheds_jobs_pushed(self):
            raise RuntimeError("mine")

        @hookimpl
        def goscheds_job_started(self):
            raise SystemExit

    scheduler.job(name="greet")(lambda: fail("no"))
    with plugged(Plugin()), plugged(Broken()):
        pushed(scheduler, id="a", retry=Retry(max_attempts=2))
        Worker(scheduler).drain()
    error = "goscheds.errors.StoreUnavailable: no"
    assert told == [
        ("pushed", "a", "goscheds"),
        ("started", "a", 1),
        ("settled", "a", "retry", error),
        ("started", "a", 2),
        ("settled", "a", "dead", error),
    ]


def test_what_a_worker_says_of_itself_can_be_read(scheduler):
    with working(scheduler, {"mail": 2}):
        [info] = until(scheduler.workers)
        assert msgspec.json.decode(info.info)["queues"] == {"mail": 2}
    assert scheduler.workers() == []


def test_a_queue_of_async_handlers_alone_has_more_slots(scheduler):
    @scheduler.job(queue="web")
    async def fetch() -> None: ...

    @scheduler.job(queue="mixed")
    async def first() -> None: ...

    @scheduler.job(queue="mixed")
    def second() -> None: ...

    assert Worker(scheduler).queues == {"default": 8, "mixed": 8, "web": 100}
