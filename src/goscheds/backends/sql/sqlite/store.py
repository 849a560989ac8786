"""The SQLite store: its transactions, and the verbs that it does row by row."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from goscheds.backends.sql.bell import DUTIES, Bell
from goscheds.backends.sql.pool import Pool
from goscheds.backends.sql.rows import COLUMNS, TARGETS, Values, to_claims
from goscheds.backends.sql.sqlite.clock import NOW
from goscheds.backends.sql.sqlite.file import BUSY, Session, connect, mapped
from goscheds.backends.sql.sqlite.watcher import Watcher
from goscheds.backends.sql.statements import load
from goscheds.backends.sql.store import SECOND, SqlStore
from goscheds.errors import StoreUnavailable
from goscheds.record import Claim, Outcome, Record, Verb
from goscheds.store import DUTY_LEASE

# Once, as each look at a member takes Python 0.1 µs.
DONE, RETRY, RELEASED = Verb.DONE, Verb.RETRY, Verb.RELEASED

T = TypeVar("T")


class SqliteStore(SqlStore[Session]):
    """A namespace of jobs in the file at ``path``."""

    dialect = "sqlite"
    parameter = r":\1"
    sql = load(dialect, {**COLUMNS, "now": NOW}, parameter)

    def __init__(self, path: Path, namespace: str, synchronous: str, *, wakeups: bool) -> None:
        self._path = path
        self._writing = threading.Lock()
        pool = Pool(lambda: connect(path, synchronous), lambda connection: not connection.in_transaction)
        super().__init__(namespace, pool, Watcher(path, self._last_place) if wakeups else Bell())

    def _directly(self, work: Callable[[Session], T]) -> T:
        with mapped(self._path), self._pool.connection() as connection:
            return work(Session(connection, self._ns))

    def _atomically(self, work: Callable[[Session], T]) -> T:
        def transaction(session: Session) -> T:
            session("BEGIN IMMEDIATE")  # with the file's write lock, so that it is not turned away half-way
            result = work(session)
            session("COMMIT")
            return result

        with self._writer():
            return self._directly(transaction)

    @contextmanager
    def _writer(self) -> Iterator[None]:
        """One writer of this process at a time: SQLite's own lock is polled, and knows no turns."""
        if not self._writing.acquire(timeout=BUSY):
            raise StoreUnavailable(f"{self._path}: other threads of this process kept it busy for {BUSY:.0f} seconds.")
        try:
            yield
        finally:
            self._writing.release()

    def _claim(self, queue: str, worker: str, limit: int) -> list[Claim]:
        if not self._query(self.sql.ready, queue=queue):
            return []  # so that an idle worker never takes the write lock
        with self._writer():
            return super()._claim(queue, worker, limit)

    def settle_and_claim(
        self, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int
    ) -> tuple[list[str], list[Claim]]:
        def work(run: Session) -> tuple[list[str], list[Claim]]:
            accepted = self._settle(run, worker, outcomes) if outcomes else []
            return accepted, to_claims(run(self.sql.claim, queue=queue, worker=worker, limit=limit))

        both = self._atomically(work)
        self._ring_for(outcomes)
        return both

    def _push(self, run: Session, jobs: Sequence[Record]) -> list[str]:
        if not jobs:
            return []
        last, now = self._draw(run, len(jobs))
        placed = list(enumerate(jobs, last - len(jobs) + 1))
        if run.many(self.sql.push, [_row(run.ns, job, place, now) for place, job in placed]) == len(jobs):
            return [job.id for job in jobs]
        asked = self.sql.holder
        return [str(run(asked, id=job.id, unique_key=job.unique_key, place=place)[0][0]) for place, job in placed]

    def _settle(self, run: Session, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        """The whole batch at once; or, if some of it is stale or was settled before, one by one."""
        steps = self._steps(run, worker, outcomes)
        done = (self.sql.settle, self.sql.forget, self.sql.give_back)
        if len(outcomes) == sum(run.many(one, [row for step, row in steps if step is one]) for one in done):
            self._push(run, [job for outcome in outcomes for job in outcome.jobs])
            return [outcome.id for outcome in outcomes]
        run("ROLLBACK")
        run("BEGIN IMMEDIATE")
        steps = self._steps(run, worker, outcomes)
        found = [(outcome, run.many(one, [row])) for outcome, (one, row) in zip(outcomes, steps, strict=True)]
        self._push(run, [job for outcome, fresh in found if fresh for job in outcome.jobs])
        return [
            outcome.id for outcome, fresh in found if fresh or run(self.sql.settled, id=outcome.id, fence=outcome.fence)
        ]

    def _steps(self, run: Session, worker: str, outcomes: Sequence[Outcome]) -> list[tuple[str, Values]]:
        """The statement for each outcome, and its parameters."""
        if any(outcome.verb is RETRY or outcome.verb is RELEASED for outcome in outcomes):
            last, now = self._draw(run, len(outcomes))
        else:
            last, now = 0, run(self.sql.now)[0][0]
        steps: list[tuple[str, Values]] = []
        for nth, outcome in enumerate(outcomes):
            key = (run.ns, outcome.id, outcome.fence, worker)
            told = (outcome.meta or None, now, outcome.result)
            if not outcome.keep:
                steps.append((self.sql.forget, key))
            elif outcome.verb is RELEASED:
                # The first that was released goes before the others, and all of them before those of earlier batches.
                steps.append((self.sql.give_back, (1, None, nth - last, *told, *key)))
            elif outcome.verb is RETRY:
                due = (outcome.execute_at or now) + outcome.delay
                steps.append((self.sql.give_back, (int(due <= now), due, last - len(outcomes) + nth + 1, *told, *key)))
            else:
                steps.append((self.sql.settle, (3 if outcome.verb is DONE else TARGETS[outcome.verb], *told, *key)))
        return steps

    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        until, promoted = time.monotonic() + timeout, None
        with self._waiting():
            promoted = self._promote(worker, limit)
            while not promoted and self._await_duty(worker, until):
                promoted = self._promote(worker, limit)
        return promoted

    def _promote(self, worker: str, limit: int) -> int | None:
        promoted = self._atomically(lambda run: self._promote_due(run, worker, limit))
        self._bell.ring(*(promoted or ()))
        return None if promoted is None else sum(promoted.values())

    def _await_duty(self, worker: str, until: float) -> bool:
        """Wait until a job is due or the duties are free or to be kept; False when the time is up before."""
        while True:
            heard = self._bell.heard(DUTIES)
            ((holder, expires_at, due, now),) = self._query(self.sql.outlook)
            wake = min(expires_at - int(DUTY_LEASE * SECOND / 2), due) if holder == worker else expires_at
            if wake <= now:
                return True
            if not self._bell.wait(worker, DUTIES, heard, until, (wake - now) / SECOND):
                return False
            if self._bell.heard(DUTIES) == heard:
                return True

    def _promote_due(self, run: Session, worker: str, limit: int) -> dict[str, int] | None:
        """Take or keep the duties and make due jobs ready; how many in each queue, None if another has the duties."""
        if not run(self.sql.lead, worker=worker, lease=int(DUTY_LEASE * SECOND)):
            return None
        if not run(self.sql.due):
            return {}  # without a draw, which would wake every other process
        last, _ = self._draw(run, limit)
        return Counter(queue for (queue,) in run(self.sql.promote, limit=limit, place=last))

    def _line_up(self, run: Session, ids: Sequence[str]) -> range:
        last, _ = self._draw(run, len(ids))
        return range(last - len(ids) + 1, last + 1)

    def _draw(self, run: Session, count: int) -> tuple[int, int]:
        """The last of so many places in line, and the time."""
        ((last, now),) = run(self.sql.reserve, count=count)
        return last, now

    def _last_place(self, connection: sqlite3.Connection) -> int:
        ((last,),) = Session(connection, self._ns)(self.sql.last)
        return int(last)

    def _announce(self, run: Session, topics: set[str]) -> None:
        """A place that is drawn is what the watchers of other processes ring for."""
        if topics:
            self._draw(run, 1)


def _row(ns: int, job: Record, place: int, now: int) -> Values:
    """The parameters of `push`."""
    due = (job.execute_at or now) + job.delay
    about = (job.id, job.name, job.queue, job.payload, job.meta, due, job.priority, job.timeout, job.unique_key)
    return (ns, *about, int(due <= now), place, now, now)
