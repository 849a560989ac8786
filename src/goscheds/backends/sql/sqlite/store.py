"""The SQLite store: its transactions, and the verbs that it does row by row."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from msgspec.structs import asdict

from goscheds.backends.sql.bell import Bell
from goscheds.backends.sql.pool import Pool
from goscheds.backends.sql.rows import COLUMNS, TARGETS, Values, to_claims
from goscheds.backends.sql.sqlite.file import BUSY, connect, mapped
from goscheds.backends.sql.sqlite.watcher import Watcher
from goscheds.backends.sql.statements import load
from goscheds.backends.sql.store import SECOND, Run, SqlStore
from goscheds.errors import StoreUnavailable
from goscheds.record import Claim, Outcome, Record, Verb
from goscheds.store import DUTY_LEASE

# SQL's own clock, so that a Python whose clock is set or frozen has no say in it. It steps in milliseconds and rounds
# down, so it is never early.
NOW = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000"
TOKENS = {
    **COLUMNS,
    "now": NOW,
    "hold": "",
    "lock": "",
    "place": ":place",
    "blank": "x''",
    "chosen": "IN (SELECT id FROM chosen)",
}

T = TypeVar("T")


class SqliteStore(SqlStore):
    """A namespace of jobs in the file at ``path``."""

    dialect = "sqlite"
    parameter = r":\1"
    sql = load(dialect, TOKENS, parameter)

    def __init__(self, path: Path, namespace: str, synchronous: str, *, wakeups: bool) -> None:
        self._path = path
        self._writing = threading.Lock()
        pool = Pool(lambda: connect(path, synchronous), lambda connection: not connection.in_transaction)
        super().__init__(namespace, pool, Watcher(path) if wakeups else Bell())

    def _directly(self, work: Callable[[Run], T]) -> T:
        with mapped(self._path), self._pool.connection() as connection:
            return work(partial(self._run, connection))

    def _atomically(self, work: Callable[[Run], T]) -> T:
        with mapped(self._path), self._writer(), self._pool.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            result = work(partial(self._run, connection))
            connection.execute("COMMIT")
            return result

    @contextmanager
    def _writer(self) -> Iterator[None]:
        """One writer of this process at a time: SQLite's own lock is polled, and knows no turns."""
        if not self._writing.acquire(timeout=BUSY):
            raise StoreUnavailable(f"{self._path}: other threads of this process kept it busy for {BUSY:.0f} seconds.")
        try:
            yield
        finally:
            self._writing.release()

    def _run(self, connection: sqlite3.Connection, statement: str, /, **parameters: object) -> list[Values]:
        parameters["ns"] = self._ns
        return connection.execute(statement, parameters).fetchall()

    def _claim(self, queue: str, worker: str, limit: int) -> list[Claim]:
        if not self._query(self.sql.ready, queue=queue):
            return []  # so that an idle worker never takes the write lock
        return self._atomically(lambda run: to_claims(run(self.sql.claim, queue=queue, worker=worker, limit=limit)))

    def _push(self, run: Run, jobs: Sequence[Record]) -> list[str]:
        if not jobs:
            return []
        last, now = self._draw(run, len(jobs))
        places = range(last - len(jobs) + 1, last + 1)
        return [self._push_one(run, job, place, now) for job, place in zip(jobs, places, strict=True)]

    def _push_one(self, run: Run, job: Record, place: int, now: int) -> str:
        due = (job.execute_at or now) + job.delay
        if run(self.sql.push, **asdict(job), due=due, place=place, now=now):
            return job.id
        return str(run(self.sql.holder, id=job.id, unique_key=job.unique_key)[0][0])

    def _settle(self, run: Run, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        last, now = self._draw(run, len(outcomes))
        accepted = []
        for nth, outcome in enumerate(outcomes):
            # The first that was released goes before the others, and all of them before those of earlier batches.
            place = nth - last if outcome.verb is Verb.RELEASED else last - len(outcomes) + nth + 1
            if self._settle_one(run, worker, outcome, place, now):
                self._push(run, outcome.jobs)
                accepted.append(outcome.id)
            elif run(self.sql.settled, id=outcome.id, fence=outcome.fence):
                accepted.append(outcome.id)
        return accepted

    def _settle_one(self, run: Run, worker: str, outcome: Outcome, place: int, now: int) -> bool:
        if not outcome.keep:
            return bool(run(self.sql.forget, worker=worker, id=outcome.id, fence=outcome.fence))
        return bool(
            run(
                self.sql.settle,
                worker=worker,
                id=outcome.id,
                fence=outcome.fence,
                target=TARGETS[outcome.verb],
                due=(outcome.execute_at or now) + outcome.delay,
                now=now,
                place=place,
                meta=outcome.meta,
                result=outcome.result,
            )
        )

    def _promote_due(self, run: Run, worker: str, limit: int) -> dict[str, int] | None:
        if not run(self.sql.lead, worker=worker, lease=int(DUTY_LEASE * SECOND)):
            return None
        last, _ = self._draw(run, limit)
        return Counter(queue for (queue,) in run(self.sql.promote, limit=limit, place=last))

    def _line_up(self, run: Run, ids: Sequence[str]) -> range:
        last, _ = self._draw(run, len(ids))
        return range(last - len(ids) + 1, last + 1)

    def _draw(self, run: Run, count: int) -> tuple[int, int]:
        """The last of so many places in line, and the time."""
        ((last, now),) = run(self.sql.reserve, count=count)
        return last, now

    def _announce(self, run: Run, topics: set[str]) -> None:
        """Nothing to do: the commit itself is what other processes watch for."""
