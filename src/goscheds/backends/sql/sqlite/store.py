"""The SQLite store: its transactions, and the verbs that it does row by row."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from goscheds.backends.sql.bell import DUTIES, STANDBY
from goscheds.backends.sql.pool import Pool
from goscheds.backends.sql.rows import COLUMNS, TARGETS, Values, to_claims
from goscheds.backends.sql.sqlite.clock import NOW
from goscheds.backends.sql.sqlite.file import BUSY, Session, connect, mapped
from goscheds.backends.sql.sqlite.pipes import Pipes
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
    taken = COLUMNS["claim"].replace("fence, changed_at", "{fence}, {now}")
    sql = load(dialect, {**COLUMNS, "taken": taken, "now": NOW}, parameter)

    def __init__(self, path: Path, namespace: str, synchronous: str, *, wakeups: bool) -> None:
        self._path = path
        self._writing = threading.Lock()
        pool = Pool(lambda: connect(path, synchronous), lambda connection: not connection.in_transaction)
        super().__init__(namespace, pool, Pipes(path, namespace, listening=wakeups))

    def _directly(self, work: Callable[[Session], T]) -> T:
        with mapped(self._path), self._pool.connection() as connection:
            return work(Session(connection, self._ns))

    def _atomically(self, work: Callable[[Session], T]) -> T:
        def transaction(session: Session) -> T:
            session("BEGIN IMMEDIATE")  # with the file's write lock, so that it is not turned away half-way
            result = work(session)
            session("COMMIT")
            return result

        # One writer of this process at a time: SQLite's own lock is polled, and knows no turns.
        if not self._writing.acquire(timeout=BUSY):
            raise StoreUnavailable(f"{self._path}: other threads of this process kept it busy for {BUSY:.0f} seconds.")
        try:
            return self._directly(transaction)
        finally:
            self._writing.release()

    def _claim(self, queue: str, worker: str, limit: int) -> list[Claim]:
        if not self._query(self.sql.ready, queue=queue):
            return []  # so that an idle worker never takes the write lock
        return self.settle_and_claim(worker, [], queue, limit)[1]

    def settle_and_claim(
        self, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int
    ) -> tuple[list[str], list[Claim]]:
        def work(run: Session) -> tuple[list[str], list[Claim], bool]:
            accepted = self._settle(run, worker, outcomes) if outcomes else []
            line = run(self.sql.line, queue=queue, worker=worker, limit=limit + 1)
            if claims := to_claims(line[:limit]):
                run(self.sql.take, queue=queue, worker=worker, limit=len(claims), now=claims[0].claimed_at)
            return accepted, claims, len(line) > limit

        accepted, claims, more = self._atomically(work)
        self._ring_for(outcomes)
        if more:  # a ring is for any number of jobs: who takes some and leaves others wakes the next to do so
            self._bell.ring(queue)
        return accepted, claims

    def _ring_for(self, outcomes: Sequence[Outcome]) -> None:
        back = [outcome.id for outcome in outcomes if outcome.verb is RETRY or outcome.verb is RELEASED]
        topics = {job.queue for outcome in outcomes for job in outcome.jobs}
        topics |= {queue for id in back for _, queue in self._query(self.sql.state, id=id)}
        if topics:
            self._bell.ring(*topics, DUTIES)

    def _push(self, run: Session, jobs: Sequence[Record]) -> list[str]:
        if not jobs:
            return []
        last, now = self._draw(run, len(jobs))
        placed = list(enumerate(jobs, last - len(jobs) + 1))
        if run.many(self.sql.push, [_row(run.ns, job, place, now) for place, job in placed]) == len(jobs):
            return [job.id for job in jobs]
        return [run(self.sql.holder, id=job.id, unique_key=job.unique_key, place=nth)[0][0] for nth, job in placed]

    def _settle(self, run: Session, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        """The whole batch at once; or, if some of it is stale or was settled before, one by one."""
        holder = (run.ns, run.ns, worker)
        alike: dict[str, list[Values]] = {}
        for step, row in self._steps(run, outcomes):
            alike.setdefault(step, []).append(row)
        if len(outcomes) == sum(run.many(step, rows, *holder) for step, rows in alike.items()):
            self._push(run, [job for outcome in outcomes for job in outcome.jobs])
            return [outcome.id for outcome in outcomes]
        run("ROLLBACK")
        run("BEGIN IMMEDIATE")
        freshly = [run.many(step, [row], *holder) for step, row in self._steps(run, outcomes)]
        found = list(zip(outcomes, freshly, strict=True))
        self._push(run, [job for outcome, fresh in found if fresh for job in outcome.jobs])
        return [
            outcome.id for outcome, fresh in found if fresh or run(self.sql.settled, id=outcome.id, fence=outcome.fence)
        ]

    def _steps(self, run: Session, outcomes: Sequence[Outcome]) -> list[tuple[str, Values]]:
        """The statement for each outcome, and its row."""
        last = now = 0
        if any(outcome.verb is RETRY or outcome.verb is RELEASED for outcome in outcomes):
            last, now = self._draw(run, len(outcomes))
        steps: list[tuple[str, Values]] = []
        for nth, outcome in enumerate(outcomes):
            key, told = (outcome.id, outcome.fence), (outcome.meta or None, outcome.result)
            aim: Values = (TARGETS[outcome.verb], None, None)
            if not outcome.keep or (outcome.verb is DONE and told == (None, b"")):
                steps.append((self.sql.finish if outcome.keep else self.sql.forget, key))
                continue
            if outcome.verb is RELEASED:
                # The first that was released goes before the others, and all of them before those of earlier batches.
                aim = (1, None, nth - last)
            elif outcome.verb is RETRY:
                due = (outcome.execute_at or now) + outcome.delay
                aim = (int(due <= now), due, last - len(outcomes) + nth + 1)
            steps.append((self.sql.settle, (*key, *aim, *told)))
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
            heard = {topic: self._bell.heard(topic) for topic in (DUTIES, STANDBY)}
            ((holder, expires_at, due, now),) = self._query(self.sql.outlook)
            topic, wake = STANDBY, expires_at
            if holder == worker:
                topic, wake = DUTIES, min(expires_at - int(DUTY_LEASE * SECOND / 2), due)
            if wake <= now:
                return True
            if not self._bell.wait(worker, topic, heard[topic], until, (wake - now) / SECOND):
                return False
            if self._bell.heard(topic) == heard[topic]:
                return True

    def _promote_due(self, run: Session, worker: str, limit: int) -> dict[str, int] | None:
        """Take or keep the duties and make due jobs ready; how many in each queue, None if another has the duties."""
        if not run(self.sql.lead, worker=worker, lease=int(DUTY_LEASE * SECOND)):
            return None
        if not run(self.sql.due):
            return {}  # most rounds
        last, _ = self._draw(run, limit)
        return Counter(queue for (queue,) in run(self.sql.promote, limit=limit, place=last))

    def _line_up(self, run: Session, ids: Sequence[str]) -> range:
        last, _ = self._draw(run, len(ids))
        return range(last - len(ids) + 1, last + 1)

    def _draw(self, run: Session, count: int) -> Values:
        """The last of so many places in line, and the time."""
        return run(self.sql.reserve, count=count)[0]

    def _announce(self, run: Session, topics: set[str]) -> None:
        """Pipes are rung once it is committed."""


def _row(ns: int, job: Record, place: int, now: int) -> Values:
    """The parameters of `push`."""
    due = (job.execute_at or now) + job.delay
    about = (job.id, job.name, job.queue, job.payload, job.meta, due, job.priority, job.timeout, job.unique_key)
    return (ns, *about, int(due <= now), place, now, now)
