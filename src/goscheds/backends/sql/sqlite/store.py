"""The SQLite store: its transactions, and the verbs that it does row by row."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

from goscheds.backends.sql.bell import DUTIES, STANDBY
from goscheds.backends.sql.pool import Pool
from goscheds.backends.sql.rows import COLUMNS, TARGETS, Values, to_claims
from goscheds.backends.sql.sqlite.clock import NOW
from goscheds.backends.sql.sqlite.file import BUSY, FOREIGN, Session, connect, ours
from goscheds.backends.sql.sqlite.pipes import Pipes
from goscheds.backends.sql.statements import load
from goscheds.backends.sql.store import SECOND, SqlStore
from goscheds.errors import StoreUnavailable
from goscheds.record import Claim, Outcome, Record, State, Verb
from goscheds.store import DUTY_LEASE

# Once, as each look at a member takes Python 0.1 µs.
DONE, RETRY, RELEASED = Verb.DONE, Verb.RETRY, Verb.RELEASED

LINE = ("", -1)  # where the tally has the last place in line
T = TypeVar("T")
Both = tuple[list[str], list[Claim]]


class SqliteStore(SqlStore[Session]):
    """A namespace of jobs in the file at ``path``."""

    dialect = "sqlite"
    taken = COLUMNS["claim"].replace("fence, changed_at", "{fence}, {now}")
    sql = load(dialect, {**COLUMNS, "taken": taken, "now": NOW})

    def __init__(self, path: Path, namespace: str, synchronous: str, *, wakeups: bool) -> None:
        self._path = path
        self._writing = threading.Lock()
        pool = Pool(lambda: connect(path, synchronous), lambda connection: not connection.in_transaction)
        super().__init__(namespace, pool, Pipes(path, namespace, listening=wakeups))

    def _directly(self, work: Callable[[Session], T]) -> T:
        try:
            with self._pool.connection() as connection:
                return work(Session(connection, self._ns))
        except FOREIGN as error:
            raise ours(error, self._path) from error

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

    def settle_and_claim(self, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int) -> Both:
        def work(run: Session) -> tuple[Both, bool]:
            accepted = self._settle(run, worker, outcomes) if outcomes else []
            line = run(self.sql.line, queue=queue, worker=worker, limit=limit + 1)
            if claims := to_claims(line[:limit]):
                run(self.sql.take, queue=queue, worker=worker, limit=len(claims), now=claims[0].claimed_at)
                run(self.sql.tell_taken, queue=queue, jobs=len(claims))
            return (accepted, claims), len(line) > limit

        both, more = self._atomically(work)
        self._ring_for(outcomes)
        if more:  # a ring is for any number of jobs: who takes some and leaves others wakes the next to do so
            self._bell.ring(queue)
        return both

    def _ring_for(self, outcomes: Sequence[Outcome]) -> None:
        back = [outcome.id for outcome in outcomes if outcome.verb is RETRY or outcome.verb is RELEASED]
        topics = {job.queue for outcome in outcomes for job in outcome.jobs}
        topics |= {queue for id in back for _, queue in self._query(self.sql.state, id=id)}
        if topics:
            self._bell.ring(*topics, DUTIES)

    def _push(self, run: Session, jobs: Sequence[Record]) -> list[str]:
        ((last, now),) = run(self.sql.last)
        rows = [_row(run.ns, job, place, now) for place, job in enumerate(jobs, last + 1)]
        ids, fresh = [job.id for job in jobs], rows
        if run.many(self.sql.push, rows) < len(jobs):
            found = [run(self.sql.holder, id=row[1], unique_key=row[9], place=row[11])[0] for row in rows]
            ids, fresh = [id for id, _ in found], [row for row, (_, stored) in zip(rows, found, strict=True) if stored]
        self._tell(run, {**Counter(map(_where, fresh)), LINE: len(jobs)})
        return ids

    def _settle(self, run: Session, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        """The whole batch at once; without what is stale in it or was settled before, should there be any."""
        elsewhere = [(outcome.id,) for outcome in outcomes if outcome.verb is not DONE or not outcome.keep]
        run.many(self.sql.weigh, elsewhere, -1, run.ns)
        steps = self._steps(run, outcomes).items()
        if sum(run.many(step, rows, run.ns, run.ns, worker) for step, rows in steps) < len(outcomes):
            run("ROLLBACK")
            run("BEGIN IMMEDIATE")
            asked = [(one, {"id": one.id, "fence": one.fence, "worker": worker}) for one in outcomes]
            fresh = {one.id: one for one, key in reversed(asked) if run(self.sql.holds, **key)}
            self._settle(run, worker, [*fresh.values()][::-1])
            return [one.id for one, key in asked if fresh.get(one.id) is one or run(self.sql.settled, **key)]
        run.many(self.sql.weigh, elsewhere, 1, run.ns)
        if jobs := [job for outcome in outcomes for job in outcome.jobs]:
            self._push(run, jobs)
        return [outcome.id for outcome in outcomes]

    def _steps(self, run: Session, outcomes: Sequence[Outcome]) -> Mapping[str, Sequence[Values]]:
        """Statements, and the rows of outcomes for each."""
        if any(outcome.verb is RETRY or outcome.verb is RELEASED for outcome in outcomes):
            places, ((now,),) = self._line_up(run, outcomes), run(self.sql.now)
        steps = defaultdict[str, list[Values]](list)
        for nth, outcome in enumerate(outcomes):
            key, told = (outcome.id, outcome.fence), (outcome.meta or None, outcome.result)
            aim: Values = (TARGETS[outcome.verb], None, None)
            if outcome.verb is RELEASED:
                # The first that was released goes before the others, and all of them before those of earlier batches.
                aim = (1, None, nth - places[-1])
            elif outcome.verb is RETRY:
                due = (outcome.execute_at or now) + outcome.delay
                aim = (int(due <= now), due, places[nth])
            if not outcome.keep:
                steps[self.sql.forget].append(key)
            elif outcome.verb is DONE and told == (None, b""):
                steps[self.sql.finish].append(key)
            else:
                steps[self.sql.settle].append((*key, *aim, *told))
        return steps

    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        until, lease, promoted = time.monotonic() + timeout, int(DUTY_LEASE * SECOND), None
        with self._waiting():
            promoted = self._promote(worker, limit)
            while not promoted:
                heard = {topic: self._bell.heard(topic) for topic in (DUTIES, STANDBY)}
                ((holder, expires_at, due, now),) = self._query(self.sql.outlook)
                topic, wake = (DUTIES, min(expires_at - lease // 2, due)) if holder == worker else (STANDBY, expires_at)
                if wake > now and not self._bell.wait(worker, topic, heard[topic], until, (wake - now) / SECOND):
                    break
                if wake <= now or self._bell.heard(topic) == heard[topic]:  # or it was rung, for what may be due later
                    promoted = self._promote(worker, limit)
        return promoted

    def _promote(self, worker: str, limit: int) -> int | None:
        promoted = self._atomically(lambda run: self._promote_due(run, worker, limit))
        self._bell.ring(*(promoted or ()))
        return None if promoted is None else sum(promoted.values())

    def _promote_due(self, run: Session, worker: str, limit: int) -> dict[str, int] | None:
        """Take or keep the duties and make due jobs ready; how many in each queue, None if another has the duties."""
        if not run(self.sql.lead, worker=worker, lease=int(DUTY_LEASE * SECOND)):
            return None
        promoted = Counter(queue for (queue,) in run(self.sql.promote, limit=limit))
        told = {(queue, state): [-jobs, jobs][state] for queue, jobs in promoted.items() for state in (0, 1)}
        self._tell(run, {**told, LINE: promoted.total()})
        return promoted

    def purge(self, state: State, before: int, limit: int, queue: str = "") -> int:
        purged = super().purge(state, before, limit, queue)
        if purged < limit:  # once in a round of the duties
            self._atomically(lambda run: run(self.sql.tidy))
        return purged

    def _line_up(self, run: Session, ids: Sequence[object]) -> range:
        ((last, _),) = run(self.sql.last)
        self._tell(run, {LINE: len(ids)})
        return range(last + 1, last + len(ids) + 1)

    def _tell(self, run: Session, told: Mapping[tuple[str, int], int]) -> None:
        run.many(self.sql.tell, [(run.ns, *where, jobs) for where, jobs in told.items() if jobs])


_where = itemgetter(3, 10)  # a row's queue and state


def _row(ns: int, job: Record, place: int, now: int) -> Values:
    """The parameters of `push`."""
    due = (job.execute_at or now) + job.delay
    about = (job.id, job.name, job.queue, job.payload, job.meta, due, job.priority, job.timeout, job.unique_key)
    return (ns, *about, int(due <= now), place, now, now)
