"""One job's run, as a list of verbs: claim → bind → call → judge; whoever claimed it settles, in batches."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from math import inf
from random import Random
from typing import Any

from msgspec import Struct

from goscheds.codec import (
    NEW,
    BrokenRecord,
    LaterRecord,
    Meta,
    Payload,
    decode_job,
    decode_meta,
    decode_payload,
    to_json,
)
from goscheds.context import Context
from goscheds.errors import BadArguments, ConfigError, InvalidJob, JobCancelled
from goscheds.handlers import Registry
from goscheds.isolation import TRIES, Isolation
from goscheds.job import Job, check_text, label
from goscheds.loop import LoopThread, in_thread
from goscheds.plugins import plugins
from goscheds.record import Claim, Lost, Outcome, Record, Verb
from goscheds.retry import DEFAULT_RETRY, Retry
from goscheds.verdict import Crashed, End, Hopeless, Keep, Raised, Returned, Stopped, TimedOut, Unknown, judge

log = logging.getLogger("goscheds")
PUT_OFF = Unknown("It crashed its workers and is to run alone, and others ran on beside it")
NOTHING = Returned()
MAX_RESULT = 262_144
"""Bytes of a handler's return value as JSON; a larger one is not kept."""


class Run(Struct, eq=False):
    """A claim on its way through a worker."""

    claim: Claim
    context: Context
    key: tuple[str, int]  # what a claim is known by: the job's id, and the fence
    meta: Meta = NEW
    payload: Payload | None = None
    taken: float = 0.0  # when its lane took it in, monotonic seconds
    limit: float = 0.0  # seconds that it may take; 0 = no limit
    deadline: float = inf  # monotonic seconds
    asynchronous: bool = False  # its handler is a coroutine function
    task: asyncio.Task[None] | None = None
    finished: bool = False  # its outcome is made; whoever makes it first is the one
    parted: bool = False  # from its slot: its handler returned, or a spare slot took the place of one that hangs

    @property
    def retry(self) -> Retry:
        """Its policy."""
        return (self.payload and self.payload.retry) or DEFAULT_RETRY

    @property
    def on_its_last_chance(self) -> bool:
        """Whether one more crash would be its death."""
        return self.meta.crashes > 0 and self.retry.poisonous(self.meta.crashes + 1)

    @property
    def patience(self) -> float:
        """Seconds that it may wait for its turn: its time runs in the store already."""
        return self.limit / 4 or inf


class Loading(Struct, frozen=True, gc=False):
    """Reads a job for whoever asks: few handlers do. As a partial it was one more thing for the collector to visit."""

    record: Record

    def __call__(self) -> Job:
        """The job."""
        return decode_job(self.record)


class Execution:
    """Runs claimed jobs with the registered handlers, and says what became of them."""

    def __init__(self, handlers: Registry, keep: Keep, worker: str, loop: LoopThread) -> None:
        self._handlers = handlers
        self._keep = keep
        self._worker = worker
        self.loop = loop
        self._random = Random()  # noqa: S311 - it spreads retries, and guards nothing
        self._isolation = Isolation()

    def prepare(self, claim: Claim) -> Run:
        """A claim, with its account read."""
        record, fence = claim.record, claim.fence
        meta = decode_meta(record.meta)
        context = Context(Loading(record), meta.attempts + 1, fence, self._worker, record.id)
        return Run(claim, context, (record.id, fence), meta)

    def run(self, run: Run) -> Outcome:
        """Run a job here; an async handler on the loop, waiting for it."""
        call = self._bind(run)
        if not callable(call):
            return self.judge(run, call)
        if run.on_its_last_chance:
            with self._isolation.alone() as quiet:
                return self.judge(run, self._call(call, run) if self._may_begin(run, quiet) else PUT_OFF)
        if not self._isolation.enters(run):
            self._isolation.enter(run, run.patience)
        try:
            return self.judge(run, self._call(call, run))
        finally:
            self._isolation.leave(run)

    async def arun(self, run: Run) -> Outcome:
        """Run a job on the loop; a sync handler in a thread."""
        call = self._bind(run)
        if not callable(call):
            return self.judge(run, call)
        if run.on_its_last_chance:
            async with self._isolation.aalone() as quiet:
                return self.judge(run, await self._acall(call, run) if self._may_begin(run, quiet) else PUT_OFF)
        if not self._isolation.enters(run):
            await self._isolation.aenter(run, run.patience)
        try:
            return self.judge(run, await self._acall(call, run))
        finally:
            self._isolation.leave(run)

    async def _acall(self, call: Callable[[], Any], run: Run) -> End:
        if not run.asynchronous:
            return await in_thread(self._call, call, run)
        self._begin(run)
        return await self._await(call, run)

    def _may_begin(self, run: Run, quiet: bool | None) -> bool:
        """Whether a job on its last chance runs now: alone; or, if that has not come about for long, among others."""
        if quiet:
            log.warning(
                "Job %s crashed %d workers: it runs alone in this one.", label(run.claim.record), run.meta.crashes
            )
        return quiet is not None and (quiet or run.meta.misses >= TRIES)

    def judge(self, run: Run, end: End) -> Outcome:
        """What becomes of a run that ended like this, said in the log where it went wrong."""
        try:
            outcome = judge(run.claim, run.meta, run.retry, end, self._keep, self._random)
        except Exception as error:  # noqa: BLE001 - RunAgain at what is no moment, GiveUp for what is no text
            end = Raised(error)
            outcome = judge(run.claim, run.meta, run.retry, end, self._keep, self._random)
        if not isinstance(end, Returned) or end.note:
            self._report(run, end, outcome)
        return outcome

    def _bind(self, run: Run) -> Callable[[], Any] | End:  # noqa: PLR0911 - one return for each reason
        """The handler's call, ready to be made, or why it can't be."""
        if run.context.cancelled:  # before it began
            return Stopped()
        if run.claim.flaw:
            return Hopeless(run.claim.flaw)
        binding = self._handlers.get(run.claim.record.name)
        try:
            run.payload = decode_payload(run.claim.record)
            if binding is None:
                check_text(run.claim.record.name, "The job's name")  # or nobody will ever have such a handler
                return Unknown(f"No handler named {run.claim.record.name!r} on worker {self._worker}")
            call = binding.prepare(run.payload.args, run.context)
            run.limit, run.asynchronous = run.payload.timeout / 1_000_000, binding.is_async
        except (LaterRecord, ConfigError) as error:
            return Unknown(str(error))
        except (InvalidJob, BrokenRecord) as error:
            return Hopeless(str(error))
        except Exception as error:  # noqa: BLE001 - a model that checks its fields may raise whatever it likes
            return Raised(error)
        return call

    def _begin(self, run: Run) -> None:
        if run.limit:
            # An async attempt is ended by its own loop at the timeout; this is for one that won't end.
            margin = 1.0 if run.asynchronous else 0.0
            run.deadline = time.monotonic() + run.limit + margin
        if plugins.listens("goscheds_job_started"):
            record = run.claim.record
            plugins.notify(
                "goscheds_job_started", id=record.id, name=record.name, queue=record.queue, fence=run.claim.fence
            )

    def _call(self, call: Callable[[], Any], run: Run) -> End:
        if run.context.cancelled:  # while it waited for its turn
            return Stopped()
        self._begin(run)
        try:
            value = copy_context().run(call)  # what a handler sets there is not the next one's, nor the caller's
            if value is not None and inspect.iscoroutine(value):
                return self.loop.run(self._named(value, run))
        except JobCancelled as error:
            return _stopped(run, error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises is its own failure
            return Raised(error)
        except BaseException as error:
            if threading.current_thread() is threading.main_thread():
                raise  # Ctrl-C while the caller drains: meant for the caller
            return Raised(error)
        return NOTHING if value is None else self._returned(value)

    async def _named(self, coroutine: Any, run: Run) -> End:
        """Of a lane of threads: a task that is named by its job, as those of async lanes are."""
        if task := asyncio.current_task():
            task.set_name(run.claim.record.id)
        return await self._await(lambda: coroutine, run)

    async def _await(self, call: Callable[[], Any], run: Run) -> End:
        """An async handler, to its end, its timeout, or its cancellation."""
        run.task = asyncio.current_task()
        limit = asyncio.timeout(run.limit) if run.limit else None  # one without an end costs 5 µs a job
        try:
            coroutine = call()
            if run.context.cancelled:  # while it was on its way to the loop
                coroutine.close()
                return Stopped()
            value = await (_within(limit, coroutine) if limit else coroutine)
        except (asyncio.CancelledError, JobCancelled) as error:
            return _stopped(run, error)
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is its own failure
            return TimedOut() if limit and limit.expired() else Raised(error)
        return NOTHING if value is None else self._returned(value)

    def _returned(self, value: Any) -> Returned:
        try:
            result = to_json(value, "its return value")
        except BadArguments as error:
            return Returned(note=f"its return value was not kept: {error}")
        if len(result) > MAX_RESULT:
            return Returned(
                note=f"its return value was not kept: {len(result):,} bytes as JSON, over {MAX_RESULT:,}. "
                "Store it elsewhere and return a reference."
            )
        return Returned(result)

    def _report(self, run: Run, end: End, outcome: Outcome) -> None:
        record = run.claim.record
        error = end.error if isinstance(end, Raised) else None
        log.log(
            logging.ERROR if outcome.verb is Verb.DEAD else logging.WARNING,
            "Job %s, attempt %d: %s → %s%s",
            label(record),
            run.meta.attempts + 1,
            decode_meta(outcome.meta).error or type(end).__name__.lower(),
            outcome.verb,
            f" in {outcome.delay / 1e6:.3g} s" if outcome.delay else "",
            exc_info=error if outcome.verb is Verb.DEAD else None,
        )


async def _within(limit: asyncio.Timeout, coroutine: Any) -> Any:
    async with limit:
        return await coroutine


def _stopped(run: Run, error: BaseException) -> End:
    """A handler that stopped was told to, or did it of its own."""
    return Stopped() if run.context.cancelled else Raised(error)


def crashed(run: Run, last_chances: int) -> End:
    """How a run ended whose claim was taken back, among so many that were on their last chance."""
    if run.claim.flaw:
        return Hopeless(run.claim.flaw)
    if run.claim.lost is Lost.DEADLINE:
        return TimedOut()
    return Crashed(charged=not run.on_its_last_chance or last_chances == 1)
