from __future__ import annotations

import asyncio
import functools
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec
import pytest
from kit import KEEP, claim, heard, looping, plugged

from goscheds.codec import Meta, decode_meta, encode_meta
from goscheds.context import Context
from goscheds.errors import GiveUp, JobCancelled, RunAgain
from goscheds.execution import MAX_RESULT, Execution, crashed
from goscheds.handlers import Explicit, Registry, Unpacking
from goscheds.plugins import hookimpl
from goscheds.record import Claim, Lost, Outcome, Verb
from goscheds.verdict import Crashed, Raised, TimedOut


class Unheard(BaseException):
    """Nothing that anybody would catch."""


@contextmanager
def executing(handler=None, name="greet", style=Unpacking):
    handlers = Registry()
    if handler:
        handlers.add(style(name, handler), "default")
    with looping() as loop:
        execution = Execution(handlers, KEEP, "w", loop)
        execution.loop = loop
        yield execution


def sync(execution: Execution, run) -> Outcome:
    """As a slot thread runs it."""
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(execution.run(run)))
    thread.start()
    thread.join()
    return outcomes[0]


def on_loop(execution: Execution, run) -> Outcome:
    """As an async lane runs it."""
    return execution.loop.run(execution.arun(run))


BOTH = pytest.mark.parametrize("way", [sync, on_loop])


def ran(handler, way=sync, style=Unpacking, args: bytes = b"{}", **fields) -> Outcome:
    with executing(handler, style=style) as execution:
        return way(execution, execution.prepare(claim("greet", args, **fields)))


def error(outcome: Outcome) -> str:
    return decode_meta(outcome.meta).error


async def add(a: int, b: int = 1) -> int:
    await asyncio.sleep(0)
    return a + b


HANDLERS = pytest.mark.parametrize(
    "handler", [lambda a, b=1: a + b, add, lambda a: add(a=a)], ids=["sync", "async", "gives a coroutine"]
)


@BOTH
@HANDLERS
def test_what_a_handler_returns_is_the_result(way, handler):
    outcome = ran(handler, way, args=b'{"a":2}')
    assert (outcome.verb, outcome.result, outcome.meta) == (Verb.DONE, b"3", b"")


@BOTH
def test_a_handler_that_returns_nothing_has_no_result(way):
    assert ran(lambda: None, way).result == b""


@BOTH
@pytest.mark.parametrize("value", [object(), float("nan"), "\ud83d", datetime(2026, 1, 1)])  # noqa: DTZ001 - naive
def test_what_is_not_json_is_not_kept_and_the_job_is_done(way, value):
    outcome = ran(lambda: value, way)
    assert (outcome.verb, outcome.result) == (Verb.DONE, b"")
    assert error(outcome).startswith("its return value was not kept: its return value can't be written as JSON")


def test_a_result_up_to_the_limit_is_kept_and_a_larger_one_not():
    assert len(ran(lambda: "x" * (MAX_RESULT - 2)).result) == MAX_RESULT
    outcome = ran(lambda: "x" * (MAX_RESULT - 1))
    assert (outcome.verb, outcome.result) == (Verb.DONE, b"")
    assert "262,145 bytes" in error(outcome)


async def araise(failure):
    await asyncio.sleep(0)
    raise failure


def sraise(failure):
    raise failure


@BOTH
@pytest.mark.parametrize("kind", ["sync", "async", "gives a coroutine"])
@pytest.mark.parametrize(
    ("failure", "verb", "said"),
    [
        (ValueError("no"), "retry", "ValueError: no"),
        (SystemExit(3), "retry", "SystemExit: 3"),
        (KeyboardInterrupt(), "retry", "KeyboardInterrupt"),
        (Unheard("hm"), "retry", "test_execution.Unheard: hm"),
        (asyncio.CancelledError(), "retry", "asyncio.exceptions.CancelledError"),
        (GeneratorExit(), "retry", "GeneratorExit"),
        (GiveUp("sold out"), "dead", "sold out"),
        (RunAgain(timedelta(1)), "retry", "run again after 1 day, 0:00:00"),
        (JobCancelled("of its own"), "retry", "goscheds.errors.JobCancelled: of its own"),
        (RunAgain(at="tomorrow"), "retry", "BadMoment"),
        (RunAgain(7), "retry", "BadMoment"),
        (RunAgain(timedelta(-1)), "retry", "BadMoment"),
        (GiveUp(None), "retry", "TypeError"),
    ],
    ids=repr,
)
def test_whatever_a_handler_raises_is_its_own_failure(way, kind, failure, verb, said):
    kinds = {
        "sync": lambda: sraise(failure),
        "async": functools.partial(araise, failure=failure),
        "gives a coroutine": lambda: araise(failure),
    }
    outcome = ran(kinds[kind], way)
    assert outcome.verb == verb
    assert said in error(outcome)


def test_an_interrupt_of_the_main_thread_is_for_whoever_drains():
    with executing(lambda: sraise(KeyboardInterrupt())) as execution, pytest.raises(KeyboardInterrupt):
        execution.run(execution.prepare(claim()))


def test_a_handler_that_exits_exits_no_main_thread():
    with executing(lambda: sraise(SystemExit(1))) as execution:
        assert execution.run(execution.prepare(claim())).verb is Verb.RETRY


@BOTH
def test_an_explicit_handler_that_does_not_take_the_job_fails(way):
    """Its call fails before there is a coroutine to wait for."""

    async def takes_nothing(): ...

    assert "TypeError" in error(ran(takes_nothing, way, Explicit))
    assert "TypeError" in error(ran(lambda: None, way, Explicit))


@BOTH
def test_a_name_that_nobody_knows_waits(way):
    outcome = ran(None, way)
    assert (outcome.verb, outcome.delay) == (Verb.RETRY, 1_000_000)
    assert error(outcome) == "No handler named 'greet' on worker w; waiting for a worker that can run it."


@BOTH
def test_a_job_by_a_later_goscheds_waits(way):
    later = Claim(msgspec.structs.replace(claim().record, payload=b'{"v":99}'), 1, 0)
    with executing(lambda: None) as execution:
        outcome = way(execution, execution.prepare(later))
    assert outcome.verb is Verb.RETRY
    assert "later goscheds" in error(outcome)
    assert decode_meta(outcome.meta).attempts == 0


@BOTH
@pytest.mark.parametrize("meta", [Meta(), Meta(attempts=3, crashes=2)], ids=["new", "on its last chance"])
def test_what_the_store_finds_a_flaw_in_is_dead_with_it_unrun(way, meta):
    record = msgspec.structs.replace(claim().record, meta=encode_meta(meta))
    flawed = Claim(record, 4, 0, flaw="Its queue is no UTF-8.")
    with executing(lambda: pytest.fail("it ran")) as execution:
        outcome = way(execution, run := execution.prepare(flawed))
        taken_back = execution.judge(run, crashed(run, 1))
    for one in (outcome, taken_back):
        assert (one.verb, decode_meta(one.meta)) == (Verb.DEAD, msgspec.structs.replace(meta, error=flawed.flaw))


@BOTH
def test_a_handler_that_can_not_be_called_with_arguments_waits_for_a_better_one(way):
    outcome = ran(lambda *args: args, way)
    assert outcome.verb is Verb.RETRY
    assert "stored by name" in error(outcome)
    assert decode_meta(outcome.meta).attempts == 0


@BOTH
@pytest.mark.parametrize(
    ("payload", "style", "said"),
    [
        (b"?", Unpacking, "not written by goscheds"),
        (b'{"v":1,"args":[]}', Unpacking, "don't fit"),
        (b'{"v":1,"args":{"b":1}}', Unpacking, "don't fit"),
        (b'{"v":1,"args":{"a":"\xff"}}', Unpacking, "don't fit"),
        (b'{"v":1,"args":{"a":"\xff"}}', Explicit, "not written by goscheds"),
        (b'{"v":1,"args":[]}', Explicit, "must be a dict"),
    ],
)
def test_what_no_retry_can_help_ends_dead(way, payload, style, said):
    broken = Claim(msgspec.structs.replace(claim().record, payload=payload), 1, 0)
    with executing(lambda a: a, style=style) as execution:
        outcome = way(execution, execution.prepare(broken))
    assert outcome.verb is Verb.DEAD
    assert said in error(outcome)


class Explosive:
    @classmethod
    def model_validate(cls, plain):
        raise RuntimeError("boom")


@BOTH
def test_a_model_that_raises_whatever_it_likes_is_a_failure(way):
    def handler(a: Explosive) -> None: ...

    outcome = ran(handler, way, args=b'{"a":1}')
    assert (outcome.verb, error(outcome)) == (Verb.RETRY, "RuntimeError: boom")


@BOTH
def test_the_context_knows_the_attempt(way):
    seen = []

    def handler(run: Context):
        seen.append((run.attempt, run.fence, run.worker, run.job.id))

    record = msgspec.structs.replace(claim(id="id-1").record, meta=encode_meta(Meta(attempts=2, crashes=5)))
    with executing(handler) as execution:
        way(execution, execution.prepare(Claim(record, 9, 0)))
    assert seen == [(3, 9, "w", "id-1")]


@BOTH
@HANDLERS
def test_what_was_told_to_stop_before_it_began_never_begins(way, handler):
    with executing(handler) as execution:
        run = execution.prepare(claim("greet", b'{"a":1}'))
        run.context.stop("the job was cancelled")
        assert way(execution, run).verb is Verb.CANCELLED


@BOTH
def test_a_handler_that_stops_when_told_to_is_cancelled(way):
    def handler(run: Context):
        run.stop("the job was cancelled")
        run.check()

    assert ran(handler, way).verb is Verb.CANCELLED


@BOTH
def test_an_async_handler_is_cancelled_where_it_waits(way):
    begun, cleared = threading.Event(), threading.Event()

    async def handler():
        try:
            begun.set()
            await asyncio.sleep(60)
        finally:
            cleared.set()

    with executing(handler) as execution:
        run = execution.prepare(claim())
        outcomes = []
        thread = threading.Thread(target=lambda: outcomes.append(way(execution, run)))
        thread.start()
        heard(begun)
        run.context.stop("the job was cancelled")
        execution.loop.call(run.task.cancel)
        thread.join()
    assert outcomes[0].verb is Verb.CANCELLED
    assert cleared.is_set()


def test_an_async_handler_that_was_told_to_stop_on_its_way_to_the_loop_never_begins():
    begun = []

    async def work():
        begun.append(1)

    def handler(run: Context):
        run.stop("the job was cancelled")
        return work()

    assert ran(handler).verb is Verb.CANCELLED
    assert begun == []


@BOTH
def test_an_async_handler_ends_at_its_timeout(way):
    async def handler():
        await asyncio.sleep(60)

    outcome = ran(handler, way, timeout=timedelta(milliseconds=10))
    assert outcome.verb is Verb.RETRY
    assert error(outcome) == "The attempt took longer than the job's timeout."


@BOTH
def test_an_async_handler_that_fails_as_its_time_is_over_timed_out(way):
    async def handler():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("while it cleared up") from None

    assert "longer than" in error(ran(handler, way, timeout=timedelta(milliseconds=10)))


@BOTH
def test_a_timeout_of_the_handlers_own_is_a_failure_like_any(way):
    async def handler():
        async with asyncio.timeout(0.001):
            await asyncio.sleep(60)

    assert "TimeoutError" in error(ran(handler, way, timeout=timedelta(minutes=1)))


def test_a_sync_handler_on_the_loop_leaves_it_free():
    free = threading.Event()

    def handler():
        heard(free)

    with executing(handler) as execution:
        waiting = asyncio.run_coroutine_threadsafe(execution.arun(execution.prepare(claim())), execution.loop.loop)
        execution.loop.call(free.set)
        assert waiting.result(10).verb is Verb.DONE


@pytest.mark.parametrize(("handler", "margin"), [(lambda a: a, 0), (add, 1)], ids=["sync", "async"])
def test_the_watch_leaves_the_loop_a_second_to_end_an_async_attempt_itself(handler, margin):
    with executing(handler) as execution:
        run = execution.prepare(claim("greet", b'{"a":1}', timeout=timedelta(hours=1)))
        assert run.deadline == float("inf")
        before = time.monotonic()
        sync(execution, run)
        assert 3600 + margin <= run.deadline - before < 3600 + margin + 0.9


def test_the_begin_of_a_run_is_told_to_plugins():
    class Plugin:
        @hookimpl
        def goscheds_job_started(self, id, name, queue, fence):
            told.append((id, name, queue, fence))

    told = []
    with plugged(Plugin()):
        ran(lambda: None, id="id-1", queue="mail")
        ran(None)
    assert told == [("id-1", "greet", "mail", 1)]


@pytest.mark.parametrize(
    ("lost", "crashes", "last_chances", "end"),
    [
        (Lost.DEADLINE, 2, 1, TimedOut()),
        (Lost.LEASE, 0, 0, Crashed()),
        (Lost.LEASE, 1, 5, Crashed()),
        (Lost.LEASE, 2, 1, Crashed()),
        (Lost.LEASE, 2, 2, Crashed(charged=False)),
    ],
)
def test_how_a_claim_ended_that_was_taken_back(lost, crashes, last_chances, end):
    held = Claim(msgspec.structs.replace(claim().record, meta=encode_meta(Meta(crashes=crashes))), 1, 0, lost)
    with looping() as loop:
        run = Execution(Registry(), KEEP, "w", loop).prepare(held)
    assert crashed(run, last_chances) == end


@pytest.mark.parametrize(
    ("failure", "level", "traced"), [(ValueError("no"), "WARNING", False), (GiveUp("sold out"), "ERROR", True)]
)
def test_what_goes_wrong_is_said_in_the_log(caplog, failure, level, traced):
    ran(lambda: sraise(failure), id="id-1")
    [told] = caplog.records
    assert (told.levelname, bool(told.exc_info)) == (level, traced)
    assert told.getMessage().startswith("Job id-1 (greet), attempt 1: ")


def test_what_goes_well_is_not(caplog):
    ran(lambda: 1)
    assert caplog.records == []


def test_the_delay_is_said_too(caplog):
    ran(lambda: sraise(RunAgain(timedelta(minutes=2))))
    assert caplog.messages[0].endswith("→ retry in 120 s")


def test_judging_never_fails(caplog):
    with executing() as execution:
        outcome = execution.judge(execution.prepare(claim()), Raised(GiveUp(None)))
    assert outcome.verb is Verb.RETRY


@BOTH
@pytest.mark.parametrize("asynchronous", [False, True])
def test_who_is_told_to_stop_while_another_runs_alone_never_begins(way, asynchronous):
    called, outcomes = [], []

    async def ahandler() -> None:
        called.append(True)

    with executing(ahandler if asynchronous else lambda: called.append(True)) as execution:
        run = execution.prepare(claim())
        waiting = threading.Thread(target=lambda: outcomes.append(way(execution, run)))
        with execution._isolation.alone() as quiet:
            assert quiet
            waiting.start()
            time.sleep(0.05)
            run.context.stop("the job was lost to another worker")
        waiting.join()
    assert called == []
    assert outcomes[0].verb is Verb.CANCELLED
