"""Jobs in this process's memory: the readable reference, and the model that other stores are compared with.

It keeps the whole law, fences and leases included, behind one lock, on a clock that a test can move.
``memory://`` is private to its scheduler; ``memory://name`` is one store for the whole process.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlsplit

from msgspec.structs import replace

from goscheds.clock import Clock, SystemClock
from goscheds.record import (
    LIVE,
    SETTLED,
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
    Row,
    State,
    Verb,
    WorkerInfo,
)
from goscheds.store import DUTY_LEASE, Capability

SETTLING = {Verb.DONE: State.DONE, Verb.DEAD: State.DEAD, Verb.CANCELLED: State.CANCELLED}


@dataclass(slots=True)
class _Job:
    record: Record
    serial: int  # the order of pushes, for paging
    pushed_at: int
    state: State = State.SCHEDULED
    changed_at: int = 0
    fence: int = 0
    worker: str = ""
    place: int = 0  # in its queue, while ready; in the order of promotion, while scheduled
    result: bytes = b""
    cancelling: bool = False

    def row(self) -> Row:
        return Row(
            self.record,
            self.state,
            self.fence,
            self.worker,
            self.pushed_at,
            self.changed_at,
            self.result,
            self.cancelling,
        )


@dataclass(slots=True)
class _Worker:
    expires_at: int
    info: bytes


class MemoryStore:
    """A namespace of jobs in memory. ``clock`` is the store's clock."""

    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._interrupted: set[str] = set()
        self.erase()

    def erase(self) -> None:
        """Delete everything."""
        with self._changed:
            self._jobs: dict[str, _Job] = {}
            self._counts: Counter[tuple[str, State]] = Counter()
            self._settled: dict[State, dict[str, None]] = {state: {} for state in SETTLED}
            self._ready: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)  # heaps
            self._scheduled: list[tuple[int, int, str]] = []  # a heap
            self._deadlines: list[tuple[int, int, str]] = []  # a heap: moment, fence, id
            self._holders: dict[str, str] = {}  # unique key -> id
            self._workers: dict[str, _Worker] = {}
            self._held: defaultdict[str, dict[str, None]] = defaultdict(dict)
            self._paused: set[str] = set()
            self._duty: tuple[str, int] = ("", 0)  # who holds it, until when
            self._serial = 0
            self._front = 0
            self._changed.notify_all()

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Wake whoever waits; the jobs stay as long as the object."""
        with self._changed:
            self._changed.notify_all()

    def interrupt(self, worker: str) -> None:
        """From now on nothing waits for this worker."""
        with self._changed:
            self._interrupted.add(worker)
            self._changed.notify_all()

    def now(self) -> int:
        """The clock's time."""
        return self._clock.now()

    # -- pushing ------------------------------------------------------------------------------------------------

    def push(self, jobs: Sequence[Record]) -> list[str]:
        with self._changed:
            ids = [self._push(record) for record in jobs]
            self._changed.notify_all()
        return ids

    def _push(self, record: Record) -> str:
        if record.id in self._jobs:
            return record.id
        if record.unique_key and (holder := self._holders.get(record.unique_key)):
            return holder
        now = self.now()
        job = _Job(record, self._next(), now)
        self._jobs[record.id] = job
        self._enqueue(job, record.execute_at, record.delay)
        return record.id

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _enqueue(self, job: _Job, execute_at: int, delay: int) -> None:
        """Make a job ready or scheduled, due as Record counts it."""
        now = self.now()
        due = (execute_at or now) + delay
        job.record = replace(job.record, execute_at=due, delay=0)
        job.place = self._next()
        if due <= now:
            self._enter(job, State.READY)
        else:
            self._enter(job, State.SCHEDULED)
            heapq.heappush(self._scheduled, (due, job.place, job.record.id))

    def _enter(self, job: _Job, state: State) -> None:
        """Every change of state passes here, so that counts, unique keys and holders can't disagree with it."""
        id, queue = job.record.id, job.record.queue
        self._forget(job)
        if job.state is State.ACTIVE:
            self._held[job.worker].pop(id, None)
            job.worker = ""
            job.cancelling = False
        job.state, job.changed_at = state, self.now()
        self._counts[queue, state] += 1
        if state in SETTLED:
            self._settled[state][id] = None
        elif job.record.unique_key:
            self._holders[job.record.unique_key] = id
        if state is State.READY:
            heapq.heappush(self._ready[queue], (-job.record.priority, job.place, id))

    def _forget(self, job: _Job) -> None:
        """Take a job out of the books that its present state stands in."""
        key = job.record.queue, job.state
        if self._counts[key]:
            self._counts[key] -= 1
        if job.state in SETTLED:
            self._settled[job.state].pop(job.record.id, None)
        elif self._holders.get(job.record.unique_key) == job.record.id:
            del self._holders[job.record.unique_key]

    # -- claiming -----------------------------------------------------------------------------------------------

    def claim(self, queue: str, worker: str, limit: int, timeout: float) -> list[Claim]:
        until = self._until(timeout)
        with self._changed:
            while not (claims := self._claim_ready(queue, worker, limit)):
                if not self._wait(worker, until):
                    return []
        return claims

    def _claim_ready(self, queue: str, worker: str, limit: int) -> list[Claim]:
        if queue in self._paused or not self._alive(worker):
            return []
        claims: list[Claim] = []
        line = self._ready[queue]
        while line and len(claims) < limit:
            _, place, id = heapq.heappop(line)
            job = self._jobs.get(id)
            if job and job.state is State.READY and job.place == place:  # else it left the queue another way
                claims.append(self._take(job, worker))
        return claims

    def _take(self, job: _Job, worker: str, lost: Lost = Lost.NOT) -> Claim:
        now = self.now()
        cancelling = job.cancelling
        self._enter(job, State.ACTIVE)
        job.fence += 1
        job.worker, job.cancelling = worker, cancelling
        self._held[worker][job.record.id] = None
        if job.record.timeout and not lost:
            heapq.heappush(self._deadlines, (now + job.record.timeout, job.fence, job.record.id))
        return Claim(job.record, job.fence, job.changed_at, lost)

    def _alive(self, worker: str) -> bool:
        known = self._workers.get(worker)
        return known is not None and known.expires_at > self.now()

    def _until(self, timeout: float) -> float:
        return time.monotonic() + timeout

    def _wait(self, worker: str, until: float, due: int | None = None) -> bool:
        """Wait for a change, for ``due`` by the store's clock, or for ``until``; False when that has passed."""
        left = until - time.monotonic()
        if left <= 0 or worker in self._interrupted:
            return False
        micros = int(left * 1_000_000) + 1
        self._clock.wait(self._changed, micros if due is None else max(0, min(micros, due - self.now())))
        return True

    # -- settling -----------------------------------------------------------------------------------------------

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        with self._changed:
            accepted = [outcome.id for outcome in outcomes if self._settle(worker, outcome)]
            self._to_front([outcome.id for outcome in outcomes if outcome.verb is Verb.RELEASED])
            self._changed.notify_all()
        return accepted

    def _settle(self, worker: str, outcome: Outcome) -> bool:
        job = self._jobs.get(outcome.id)
        if job is None or job.fence != outcome.fence:
            return False
        if job.state is not State.ACTIVE:
            return True  # this fence has settled it: the answer was lost on the way
        if job.worker != worker:
            return False
        if outcome.meta:
            job.record = replace(job.record, meta=outcome.meta)
        self._apply(job, outcome)
        for record in outcome.jobs:
            self._push(record)
        return True

    def _apply(self, job: _Job, outcome: Outcome) -> None:
        state = SETTLING.get(outcome.verb) or (State.CANCELLED if job.cancelling else None)
        if state:
            job.result = outcome.result
            self._enter(job, state)
            if not outcome.keep:
                self._delete(job)
        elif outcome.verb is Verb.RETRY:
            self._enqueue(job, outcome.execute_at, outcome.delay)
        else:
            self._enter(job, State.READY)
            job.place = 0  # to be given its place at the front, with its batch

    def _to_front(self, ids: Sequence[str]) -> None:
        """Put released jobs before all others, in their order."""
        for id in reversed(ids):
            job = self._jobs.get(id)
            if job and job.state is State.READY and job.place == 0:
                self._front -= 1
                job.place = self._front
                heapq.heappush(self._ready[job.record.queue], (-job.record.priority, job.place, id))

    def _delete(self, job: _Job) -> None:
        self._forget(job)
        del self._jobs[job.record.id]

    # -- leases and duties --------------------------------------------------------------------------------------

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        with self._changed:
            lapsed = not self._alive(worker)
            self._workers[worker] = _Worker(self.now() + int(lease * 1_000_000), info)
            if lease == 0 and self._duty[0] == worker:
                self._duty = ("", 0)
            held = [self._jobs[id] for id in self._held[worker]]
            self._changed.notify_all()
        return Heartbeat(lapsed, tuple(job.record.id for job in held if job.cancelling))

    def recover(self, worker: str, limit: int) -> list[Claim]:
        with self._changed:
            if not self._alive(worker):
                return []
            claims = self._past_deadline(worker, limit)
            for lapsed in [id for id in self._workers if not self._alive(id)]:
                for id in list(islice(self._held[lapsed], limit - len(claims))):
                    claims.append(self._take(self._jobs[id], worker, Lost.LEASE))
                if not self._held[lapsed]:
                    del self._workers[lapsed], self._held[lapsed]
        return claims

    def _past_deadline(self, worker: str, limit: int) -> list[Claim]:
        claims: list[Claim] = []
        while self._deadlines and self._deadlines[0][0] <= self.now() and len(claims) < limit:
            _, fence, id = heapq.heappop(self._deadlines)
            job = self._jobs.get(id)
            if job and job.state is State.ACTIVE and job.fence == fence:
                claims.append(self._take(job, worker, Lost.DEADLINE))
        return claims

    def held(self, worker: str) -> list[Claim]:
        with self._changed:
            jobs = [self._jobs[id] for id in self._held[worker]]
            return [Claim(job.record, job.fence, job.changed_at) for job in jobs]

    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        until = self._until(timeout)
        with self._changed:
            while True:
                leading = self._lead(worker)
                if leading and (promoted := self._promote_due(limit)):
                    self._changed.notify_all()
                    return promoted
                due = self._next_due() if leading else self._duty[1]
                if not self._wait(worker, until, due):
                    return 0 if leading else None

    def _lead(self, worker: str) -> bool:
        holder, expires_at = self._duty
        if holder not in ("", worker) and expires_at > self.now():
            return False
        self._duty = (worker, self.now() + int(DUTY_LEASE * 1_000_000))
        return True

    def _promote_due(self, limit: int) -> int:
        promoted = 0
        while promoted < limit and (due := self._next_due()) is not None and due <= self.now():
            _, _, id = heapq.heappop(self._scheduled)
            job = self._jobs[id]
            job.place = self._next()
            self._enter(job, State.READY)
            promoted += 1
        return promoted

    def _next_due(self) -> int | None:
        """When the earliest scheduled job is due; entries of jobs that were moved since are dropped."""
        while self._scheduled:
            due, place, id = self._scheduled[0]
            job = self._jobs.get(id)
            if job and job.state is State.SCHEDULED and job.place == place:
                return due
            heapq.heappop(self._scheduled)
        return None

    # -- looking and moving -------------------------------------------------------------------------------------

    def find(self, query: Query) -> Page:
        with self._changed:
            if query.ids:
                jobs = [self._jobs[id] for id in dict.fromkeys(query.ids) if id in self._jobs]
                return Page(tuple(job.row() for job in jobs if _matches(job, query)))
            after = int(query.after or 0)
            found = (job for job in self._jobs.values() if job.serial > after and _matches(job, query))
            page = list(islice(found, query.limit + 1))
            more = len(page) > query.limit
            page = page[: query.limit]
            return Page(tuple(job.row() for job in page), str(page[-1].serial) if more else "")

    def counts(self) -> Counts:
        with self._changed:
            return Counts({key: count for key, count in self._counts.items() if count}, frozenset(self._paused))

    def move(self, moves: Sequence[Move]) -> list[State | None]:
        with self._changed:
            states = [self._move(move) for move in moves]
            self._changed.notify_all()
        return states

    def _move(self, move: Move) -> State | None:
        job = self._jobs.get(move.id)
        if job is None:
            return None
        waiting = job.state in (State.SCHEDULED, State.READY)
        if move.verb is MoveVerb.CANCEL:
            if waiting:
                self._enter(job, State.CANCELLED)
            job.cancelling = job.state is State.ACTIVE
        elif move.verb is MoveVerb.RESCHEDULE and waiting:
            self._enqueue(job, move.execute_at, move.delay)
        elif move.verb is MoveVerb.RETRY and job.state not in (State.READY, State.ACTIVE) and self._key_free(job):
            job.record = replace(job.record, meta=move.meta or job.record.meta)
            job.result = b""
            self._enqueue(job, 0, 0)
        return job.state

    def _key_free(self, job: _Job) -> bool:
        return self._holders.get(job.record.unique_key, job.record.id) == job.record.id

    def purge(self, state: State, before: int, limit: int, queue: str = "") -> int:
        with self._changed:
            if state in LIVE:
                return 0
            jobs = (self._jobs[id] for id in self._settled[state])
            doomed = (job for job in jobs if job.changed_at < before and queue in ("", job.record.queue))
            purged = list(islice(doomed, limit))
            for job in purged:
                self._delete(job)
            return len(purged)

    def pause(self, queue: str, paused: bool) -> None:
        with self._changed:
            (self._paused.add if paused else self._paused.discard)(queue)
            self._changed.notify_all()

    def workers(self) -> list[WorkerInfo]:
        with self._changed:
            return [
                WorkerInfo(id, worker.expires_at, worker.info, len(self._held[id]))
                for id, worker in self._workers.items()
                if self._alive(id) or self._held[id]
            ]


def _matches(job: _Job, query: Query) -> bool:
    return (
        (not query.states or job.state in query.states)
        and query.queue in ("", job.record.queue)
        and query.name in ("", job.record.name)
    )


_named: dict[tuple[str, str], MemoryStore] = {}
_naming = threading.Lock()


def connect(url: str, namespace: str) -> MemoryStore:
    """A private store for ``memory://``, the process's one of that name and namespace for ``memory://name``."""
    name = urlsplit(url).netloc
    if not name:
        return MemoryStore()
    with _naming:
        return _named.setdefault((name, namespace), MemoryStore())
