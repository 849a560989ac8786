"""Jobs in this process's memory: the readable reference, and the model that other stores are compared with.

It keeps the whole law, fences and leases included, behind one lock, on a clock that a test can move.
``memory://`` is private to its scheduler; ``memory://name`` is one store for the whole process.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from msgspec.structs import replace

from goscheds.backends.memory.books import ACTIVE, READY, SCHEDULED, SETTLING, Books, Job
from goscheds.clock import Clock, SystemClock
from goscheds.record import (
    LIVE,
    Claim,
    Counts,
    Heartbeat,
    Lost,
    Move,
    MoveVerb,
    Outcome,
    Page,
    Query,
    Record,
    State,
    Verb,
    WorkerInfo,
)
from goscheds.store import DUTY_LEASE, Capability

RETRY, RELEASED = Verb.RETRY, Verb.RELEASED


@dataclass(slots=True)
class _Wait:
    """A call that waits: no longer than ``until``, and not past an interrupt or a close."""

    worker: str
    until: float  # monotonic seconds
    closings: int  # how often the store was closed when it began


class MemoryStore:
    """A namespace of jobs in memory. ``clock`` is the store's clock."""

    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._interrupted: set[str] = set()
        self._closings = 0
        self.erase()

    def erase(self) -> None:
        """Delete everything."""
        with self._changed:
            self._books = Books(self._clock)
            self._deadlines: list[tuple[int, int, str]] = []  # a heap: moment, fence, id
            self._workers: dict[str, tuple[int, bytes]] = {}  # until when its lease is good, what it said
            self._paused: set[str] = set()
            self._duty: tuple[str, int] = ("", 0)  # who holds it, until when
            self._changed.notify_all()

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Let go of whoever waits; the jobs stay as long as the object."""
        with self._changed:
            self._closings += 1
            self._changed.notify_all()

    def interrupt(self, worker: str) -> None:
        """From now on nothing waits for this worker."""
        with self._changed:
            self._interrupted.add(worker)
            self._changed.notify_all()

    def now(self) -> int:
        return self._clock.now()

    def push(self, jobs: Sequence[Record]) -> list[str]:
        with self._changed:
            ids = [self._push(record) for record in jobs]
            self._changed.notify_all()
        return ids

    def _push(self, record: Record) -> str:
        if record.id in self._books.jobs:
            return record.id
        if holder := self._books.holders.get(record.unique_key):
            return holder
        self._books.add(record)
        return record.id

    def claim(self, queue: str, worker: str, limit: int, timeout: float) -> list[Claim]:
        wait = _Wait(worker, time.monotonic() + timeout, self._closings)
        with self._changed:
            while not (claims := self._claim_ready(queue, worker, limit)):
                if not self._wait(wait):
                    return []
        return claims

    def _claim_ready(self, queue: str, worker: str, limit: int) -> list[Claim]:
        claims: list[Claim] = []
        if queue not in self._paused and self._alive(worker):
            while len(claims) < limit and (job := self._books.next_ready(queue)):
                claims.append(self._take(job, worker))
                if job.record.timeout:
                    deadline = job.changed_at + job.record.timeout
                    heapq.heappush(self._deadlines, (deadline, job.fence, job.record.id))
        return claims

    def _take(self, job: Job, worker: str, lost: Lost = Lost.NOT) -> Claim:
        self._books.take(job, worker)
        return Claim(job.record, job.fence, job.changed_at, lost)

    def _alive(self, worker: str) -> bool:
        expires_at, _ = self._workers.get(worker, (0, b""))
        return expires_at > self.now()

    def _wait(self, wait: _Wait, due: int | None = None) -> bool:
        """Wait for a change, for ``due`` by the store's clock, or for the call's end; False when that has come."""
        left = wait.until - time.monotonic()
        if left <= 0 or wait.worker in self._interrupted or wait.closings != self._closings:
            return False
        micros = int(left * 1_000_000) + 1
        self._clock.wait(self._changed, micros if due is None else max(0, min(micros, due - self.now())))
        return True

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        with self._changed:
            first = {(outcome.id, outcome.fence): outcome for outcome in reversed(outcomes)}  # of each claim: it stands
            accepted = [one.id for one in outcomes if self._settle(worker, first[one.id, one.fence])]
            released = {outcome.id for outcome in first.values() if outcome.verb is RELEASED}
            self._books.release([id for id in accepted if id in released and id in self._books.held[worker]])
            self._changed.notify_all()
        return accepted

    def settle_and_claim(
        self, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int
    ) -> tuple[list[str], list[Claim]]:
        with self._changed:
            return self.settle(worker, outcomes), self.claim(queue, worker, limit, 0)

    def _settle(self, worker: str, outcome: Outcome) -> bool:
        job = self._books.jobs.get(outcome.id)
        if job is None or not outcome.fence or job.fence != outcome.fence:
            return False
        if job.state is not ACTIVE:
            return True  # this fence has settled it: the answer was lost on the way
        if job.worker != worker:
            return False
        if outcome.meta:
            job.record = replace(job.record, meta=outcome.meta)
        self._apply(job, outcome)
        for record in outcome.jobs:
            self._push(record)
        return True

    def _apply(self, job: Job, outcome: Outcome) -> None:
        state = SETTLING.get(outcome.verb) or (State.CANCELLED if job.cancelling else None)
        if state:
            self._books.settle(job, state, outcome.result)
            if not outcome.keep:
                self._books.delete(job)
        elif outcome.verb is RETRY:
            self._books.enqueue(job, outcome.execute_at, outcome.delay)
        # else released: it goes to the front with its batch, in `settle`

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        with self._changed:
            lapsed = not self._alive(worker)
            self._workers[worker] = (self.now() + int(lease * 1_000_000), info)
            if lease == 0 and self._duty[0] == worker:
                self._duty = ("", 0)
            held = [self._books.jobs[id] for id in self._books.held[worker]]
            self._changed.notify_all()
        return Heartbeat(lapsed, tuple(job.record.id for job in held if job.cancelling))

    def recover(self, worker: str, limit: int) -> list[Claim]:
        with self._changed:
            if not self._alive(worker):
                return []
            claims = self._past_deadline(worker, limit)
            for lapsed in [id for id in self._workers if not self._alive(id)]:
                held = self._books.held[lapsed]
                for id in list(islice(held, limit - len(claims))):
                    claims.append(self._take(self._books.jobs[id], worker, Lost.LEASE))
                if not held:
                    del self._workers[lapsed], self._books.held[lapsed]
        return claims

    def _past_deadline(self, worker: str, limit: int) -> list[Claim]:
        claims: list[Claim] = []
        while self._deadlines and self._deadlines[0][0] <= self.now() and len(claims) < limit:
            _, fence, id = heapq.heappop(self._deadlines)
            job = self._books.jobs.get(id)
            if job and job.state is ACTIVE and job.fence == fence:
                claims.append(self._take(job, worker, Lost.DEADLINE))
        return claims

    def held(self, worker: str) -> list[Claim]:
        with self._changed:
            jobs = [self._books.jobs[id] for id in self._books.held[worker]]
            return [Claim(job.record, job.fence, job.changed_at) for job in jobs]

    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        wait = _Wait(worker, time.monotonic() + timeout, self._closings)
        with self._changed:
            while True:
                leading = self._lead(worker)
                if leading and (promoted := self._promote_due(limit)):
                    self._changed.notify_all()
                    return promoted
                due = self._books.due_at() if leading else self._duty[1]
                if not self._wait(wait, due):
                    return 0 if leading else None

    def _lead(self, worker: str) -> bool:
        holder, expires_at = self._duty
        if holder not in ("", worker) and expires_at > self.now():
            return False
        self._duty = (worker, self.now() + int(DUTY_LEASE * 1_000_000))
        return True

    def _promote_due(self, limit: int) -> int:
        promoted = 0
        while promoted < limit and (job := self._books.next_due()) and job.record.execute_at <= self.now():
            self._books.promote(job)
            promoted += 1
        return promoted

    def find(self, query: Query) -> Page:
        with self._changed:
            if query.ids:
                jobs = [self._books.jobs[id] for id in dict.fromkeys(query.ids) if id in self._books.jobs]
                return Page(tuple(job.row(job.state) for job in jobs if job.state and job.matches(query)))
            found = list(islice(self._books.after(int(query.after or 0), query), query.limit + 1))
            rows = tuple(row for _, row in found[: query.limit])
            return Page(rows, str(found[-2][0].serial) if len(found) > query.limit else "")

    def counts(self) -> Counts:
        with self._changed:
            return Counts({key: count for key, count in self._books.counts.items() if count}, frozenset(self._paused))

    def move(self, moves: Sequence[Move]) -> list[State | None]:
        with self._changed:
            states = [self._move(move) for move in moves]
            self._changed.notify_all()
        return states

    def _move(self, move: Move) -> State | None:
        job = self._books.jobs.get(move.id)
        if job is None:
            return None
        waiting = job.state in (SCHEDULED, READY)
        if move.verb is MoveVerb.CANCEL and waiting:
            self._books.settle(job, State.CANCELLED, b"")
        elif move.verb is MoveVerb.CANCEL:
            job.cancelling = job.state is ACTIVE
        elif move.verb is MoveVerb.RESCHEDULE and waiting:
            self._books.enqueue(job, move.execute_at, move.delay)
        elif move.verb is MoveVerb.RETRY and job.state not in (READY, ACTIVE) and self._books.key_free(job):
            job.record = replace(job.record, meta=move.meta or job.record.meta)
            self._books.enqueue(job, 0, 0)
        return job.state

    def purge(self, state: State, before: int, limit: int, queue: str = "") -> int:
        with self._changed:
            if state in LIVE:
                return 0
            jobs = (self._books.jobs[id] for id in self._books.settled[state])
            doomed = (job for job in jobs if job.changed_at < before and queue in ("", job.record.queue))
            purged = list(islice(doomed, limit))
            for job in purged:
                self._books.delete(job)
            return len(purged)

    def pause(self, queue: str, paused: bool) -> None:
        with self._changed:
            (self._paused.add if paused else self._paused.discard)(queue)
            self._changed.notify_all()

    def workers(self) -> list[WorkerInfo]:
        with self._changed:
            return [
                WorkerInfo(id, expires_at, info, len(self._books.held[id]))
                for id, (expires_at, info) in self._workers.items()
                if self._alive(id) or self._books.held[id]
            ]
