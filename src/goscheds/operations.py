"""Looking at jobs and steering them from outside: the half of the scheduler that people and dashboards use."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from math import isnan
from typing import Any

from goscheds.clock import duration_micros, from_micros, to_micros
from goscheds.codec import Meta, describe, encode_meta
from goscheds.errors import (
    BadMoment,
    ConfigError,
    InvalidJob,
    JobFailed,
    JobNotFound,
    NotMoved,
    ResultNotKept,
    ResultTimeout,
)
from goscheds.job import JobInfo, check_text
from goscheds.outage import insist
from goscheds.record import SETTLED, Counts, Move, Query, State, WorkerInfo
from goscheds.store import Store
from goscheds.twins import awaitable

PAGE = 500
FIRST_LOOK, LAST_LOOK = 0.002, 0.1
"""Seconds between looks for a result: a quick job is seen quickly, and a slow one costs ten looks a second."""


class Operations(ABC):
    """The operators' verbs. Each has an awaitable twin with the prefix ``a``."""

    @property
    @abstractmethod
    def store(self) -> Store:
        """The open store."""

    def get(self, id: str) -> JobInfo:
        """A job as it stands. Raises JobNotFound."""
        _check_id(id)
        page = insist(lambda: self.store.find(Query(ids=(id,))), f"look for job {id!r}")
        if not page.rows:
            raise JobNotFound(f"There is no job {id!r} here: it was never pushed, or it was purged after it ended.")
        return describe(page.rows[0])

    def jobs(self, *, state: State | str | None = None, queue: str = "", name: str = "") -> Iterator[JobInfo]:
        """The jobs, read in pages as the iterator goes; each that stays as it is comes once."""
        for text, what in ((queue, "A queue's name"), (name, "A job's name")):
            if text:
                check_text(text, what)
        query = Query(states=(_state(state),) if state else (), queue=queue, name=name, limit=PAGE)
        while True:
            page = self.store.find(query)
            yield from map(describe, page.rows)
            if not page.next:
                return
            query = Query(states=query.states, queue=queue, name=name, after=page.next, limit=PAGE)

    def counts(self) -> Counts:
        """How many jobs stand where, by queue and state, and which queues are paused."""
        return self.store.counts()

    def result(self, id: str, timeout: timedelta | float | None = None) -> Any:
        """Wait for a job to end, and give what its handler returned, as JSON.

        ``timeout`` is a timedelta or seconds; None waits for ever. Raises ResultTimeout, JobFailed if it ended dead or
        cancelled, ResultNotKept if the value was not JSON or too large, JobNotFound.
        """
        until = _until(timeout)
        look = FIRST_LOOK
        while (info := self.get(id)).state not in SETTLED:
            time.sleep(_next_look(look, until, info))
            look = min(LAST_LOOK, look * 2)
        return _result(info)

    async def aresult(self, id: str, timeout: timedelta | float | None = None) -> Any:  # noqa: ASYNC109 - as `result`
        """``result`` for async code; it waits on the loop, and holds no thread meanwhile."""
        until = _until(timeout)
        look = FIRST_LOOK
        while (info := await self.aget(id)).state not in SETTLED:
            await asyncio.sleep(_next_look(look, until, info))
            look = min(LAST_LOOK, look * 2)
        return _result(info)

    def cancel(self, id: str) -> State:
        """Cancel a job; the state it is in afterwards. Raises JobNotFound.

        ``cancelled``: it never starts (again). ``active``: its handler is told by the next heartbeat, and it does not
        start again. Any other: it had ended.
        """
        return self._move(Move.cancel(id))

    def reschedule(self, id: str, at: datetime | timedelta) -> State:
        """Run a waiting job at another moment, or after a delay. Raises NotMoved if it is not waiting, JobNotFound."""
        if isinstance(at, timedelta):
            move = Move.reschedule(id, delay=duration_micros(at, "The delay"))
        else:
            move = Move.reschedule(id, execute_at=to_micros(at))
        state = self._move(move)
        if state not in (State.SCHEDULED, State.READY):
            raise NotMoved(f"Job {id!r} is {state}: only a waiting job can be rescheduled. `retry` runs an ended one.")
        return state

    def retry(self, id: str) -> State:
        """Run an ended or scheduled job now, with its attempts counted anew. Raises NotMoved, JobNotFound."""
        info = self.get(id)
        anew = Meta(error=info.error, trace=info.trace)  # what went wrong stays readable until a run says otherwise
        state = self._move(Move.retry(id, encode_meta(anew)))
        if state in SETTLED:
            raise NotMoved(f"Job {id!r} stays {state}: its unique key is held by another live job.")
        if state is State.ACTIVE:
            raise NotMoved(f"Job {id!r} is active: a worker is running it now.")
        return state

    def pause(self, queue: str) -> None:
        """Hand out nothing of a queue until ``resume``; pushing goes on, and running jobs end."""
        check_text(queue, "A queue's name")
        self.store.pause(queue, True)

    def resume(self, queue: str) -> None:
        """Hand out a paused queue's jobs again."""
        check_text(queue, "A queue's name")
        self.store.pause(queue, False)

    def purge(self, state: State | str, *, older_than: timedelta = timedelta(0), queue: str = "") -> int:
        """Delete jobs that came into an ended ``state`` longer ago than told; how many. NotMoved for a live one."""
        state = _state(state)
        if state not in SETTLED:
            raise NotMoved(f"Only done, dead and cancelled jobs can be purged, not {state} ones: cancel those first.")
        if queue:
            check_text(queue, "A queue's name")
        before = self.store.now() - duration_micros(older_than, "older_than")
        total = 0
        while purged := self.store.purge(state, before, PAGE, queue):
            total += purged
        return total

    def workers(self) -> list[WorkerInfo]:
        """The workers, with the jobs that each holds."""
        return self.store.workers()

    def now(self) -> datetime:
        """The store's clock."""
        return from_micros(self.store.now())

    def _move(self, move: Move) -> State:
        _check_id(move.id)
        state = insist(lambda: self.store.move([move])[0], f"{move.verb} job {move.id!r}")
        if state is None:
            raise JobNotFound(f"There is no job {move.id!r} here to {move.verb}: never pushed, or purged since.")
        return state

    aget = awaitable(get)
    acounts = awaitable(counts)
    acancel = awaitable(cancel)
    areschedule = awaitable(reschedule)
    aretry = awaitable(retry)
    apause = awaitable(pause)
    aresume = awaitable(resume)
    apurge = awaitable(purge)
    aworkers = awaitable(workers)
    anow = awaitable(now)

    async def ajobs(self, **filters: Any) -> list[JobInfo]:
        """``jobs`` for async code, as a list."""
        return await asyncio.to_thread(lambda: list(self.jobs(**filters)))


def _check_id(id: str) -> None:
    """What no store can carry is nobody's id, and drivers differ in what they say of it. Raises JobNotFound."""
    try:
        check_text(id, "A job's id")
    except InvalidJob as error:
        raise JobNotFound(f"There is no job {id!r:.80} here: {error}") from error


def _until(timeout: timedelta | float | None) -> float:
    if timeout is None:
        return float("inf")
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if isnan(seconds):  # it would never be over
        raise BadMoment("timeout is not a number.")
    return time.monotonic() + seconds


def _state(name: str) -> State:
    try:
        return State(name)
    except ValueError as error:
        raise ConfigError(f"{name!r:.80} is no state; there are {', '.join(State)}.") from error


def _next_look(look: float, until: float, info: JobInfo) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise ResultTimeout(f"Job {info.id!r} ({info.job.name}) is still {info.state}.{_why(info)}")
    return min(look, left)


def _result(info: JobInfo) -> Any:
    if info.state is not State.DONE:
        raise JobFailed(f"Job {info.id!r} ({info.job.name}) ended {info.state}.{_why(info)}")
    if info.error and info.result is None:
        raise ResultNotKept(f"Job {info.id!r} ({info.job.name}) is done, but {info.error}")
    return info.result


def _why(info: JobInfo) -> str:
    return f" Last error: {info.error}" if info.error else ""


def queue_counts(counts: Counts) -> Mapping[str, Mapping[State, int]]:
    """Counts by queue, for tables."""
    queues: dict[str, dict[State, int]] = {queue: {} for queue in counts.paused}
    for (queue, state), jobs in counts.jobs.items():
        queues.setdefault(queue, {})[state] = jobs
    return queues
