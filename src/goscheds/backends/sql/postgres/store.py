"""The Postgres store: its transactions, and the verbs that it does in whole batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import psycopg

from goscheds.backends.sql.bell import Bell
from goscheds.backends.sql.pool import Pool
from goscheds.backends.sql.postgres.listener import Listener
from goscheds.backends.sql.postgres.server import CLASHES, PROMPT, connect, sound, within, writing
from goscheds.backends.sql.postgres.trouble import mapped
from goscheds.backends.sql.rows import COLUMNS, TARGETS, Values
from goscheds.backends.sql.statements import load
from goscheds.backends.sql.store import SECOND, Run, SqlStore
from goscheds.record import Claim, Heartbeat, Outcome, Record
from goscheds.store import DUTY_LEASE

PULSE = 0.25  # seconds in which a heartbeat is answered, at least; a quarter of the lease if that is longer
ATTEMPTS = 5  # at a transaction that met another one

TOKENS = {
    **COLUMNS,
    "now": "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    "hold": "FOR NO KEY UPDATE",
    "lock": "FOR NO KEY UPDATE SKIP LOCKED",
    "place": "nextval('goscheds_seq')",
    "blank": "''::bytea",
    "chosen": "= ANY (ARRAY(SELECT id FROM chosen))",
    "earliest": "(SELECT execute_at FROM goscheds_jobs WHERE ns = :ns AND state = 0 ORDER BY execute_at LIMIT 1)",
}

T = TypeVar("T")


class PostgresStore(SqlStore[Run]):
    """A namespace of jobs in the database at ``url``."""

    dialect = "postgres"
    parameter = r"%(\1)b"  # binary: psycopg writes the text of arrays by regular expressions, five times slower
    sql = load(dialect, TOKENS, parameter)

    def __init__(self, url: str, namespace: str, *, wakeups: bool, pgbouncer: bool | None) -> None:
        self._url = url
        channel = f"goscheds.{namespace}"[:63]  # if that cuts two names alike, they wake each other, and no harm done
        self._channel = channel if wakeups else ""
        connected = partial(connect, url, pgbouncer=pgbouncer)
        bell = Listener(connected, channel) if wakeups and not pgbouncer else Bell()
        super().__init__(namespace, Pool(connected, sound), bell)

    def _directly(self, work: Callable[[Run], T]) -> T:
        return self._again(lambda connection: work(partial(self._run, connection)))

    def _atomically(self, work: Callable[[Run], T]) -> T:
        def transaction(connection: psycopg.Connection) -> T:
            with connection.transaction():
                return work(partial(self._run, connection))

        return self._again(transaction)

    _singly = _directly  # a whole batch is one statement here

    def _again(self, work: Callable[[psycopg.Connection], T], attempts: int = ATTEMPTS) -> T:
        """Work that meets another transaction is done again."""
        with mapped(self._url):
            while True:
                attempts -= 1
                try:
                    with self._pool.connection() as connection, writing(connection):
                        return work(connection)
                except CLASHES:
                    if not attempts:
                        raise

    def _run(self, connection: psycopg.Connection, statement: str, /, **parameters: object) -> list[Values]:
        known = {"ns": self._ns, "channel": self._channel, **parameters}
        cursor = connection.execute(statement, known, binary=True)
        return cursor.fetchall() if cursor.description else []

    def open(self) -> None:
        with within(math.inf):  # an upgrade may take its time, and others wait for it
            super().open()

    def erase(self) -> None:
        with within(math.inf):
            super().erase()

    @within(PROMPT)
    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        return super().settle(worker, outcomes)

    @within(PROMPT)
    def recover(self, worker: str, limit: int) -> list[Claim]:
        return super().recover(worker, limit)

    @within(PROMPT)
    def held(self, worker: str) -> list[Claim]:
        return super().held(worker)

    @within(PROMPT)
    def claim(self, queue: str, worker: str, limit: int, timeout: float) -> list[Claim]:
        return super().claim(queue, worker, limit, timeout)

    @within(PROMPT)
    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        return super().promote(worker, limit, timeout)

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        with within(max(PULSE, lease / 4)):  # a connection that is half open must not cost the lease
            return super().heartbeat(worker, lease, info)

    def work(self) -> dict[str, int]:
        """What the server has done so far, for benchmarks. It counts a transaction up to a second late."""
        return dict(zip(("transactions", "WAL bytes", "dead tuples"), self._query(self.sql.work)[0], strict=True))

    def _upgrade(self, run: Run) -> int:
        run(self.sql.lock_schema)
        run(self.sql.hurry)
        return super()._upgrade(run)

    def _push(self, run: Run, jobs: Sequence[Record]) -> list[str]:
        first: dict[str, Record] = {}
        again = [job for job in jobs if first.setdefault(job.id, job) is not job]
        named = self._push_once(run, [*first.values()])
        later = iter(self._push(run, again) if again else ())
        return [named[job.id] if job is first[job.id] else next(later) for job in jobs]

    def _push_once(self, run: Run, jobs: Sequence[Record]) -> dict[str, str]:
        """Push jobs of different ids; which job stands for each. Again, if the holder of a key is gone when asked."""
        if not jobs:
            return {}
        run(self.sql.push, **_columns(jobs, Record.__struct_fields__))
        if not any(job.unique_key for job in jobs):
            return {job.id: job.id for job in jobs}
        named: dict[str, str] = dict(run(self.sql.holders, **_columns(jobs, ("id", "unique_key"))))
        return named | self._push_once(run, [job for job in jobs if not named[job.id]])

    def _settle(self, run: Run, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        batch: dict[tuple[str, int], Outcome] = {}
        for outcome in outcomes:
            batch.setdefault((outcome.id, outcome.fence), outcome)
        standing = run(
            self.sql.settle,
            worker=worker,
            target=[TARGETS[outcome.verb] for outcome in batch.values()],
            **_columns([*batch.values()], ("id", "fence", "meta", "execute_at", "delay", "result", "keep")),
        )
        fresh = {(id, fence): fresh for id, fence, fresh in standing if fence}
        followers = [job for key, outcome in batch.items() if fresh.get(key) for job in outcome.jobs]
        self._push(run, followers)
        return [outcome.id for outcome in outcomes if (outcome.id, outcome.fence) in fresh]

    def _promote_due(self, run: Run, worker: str, limit: int) -> dict[str, int] | None:
        rows = run(self.sql.promote, worker=worker, lease=int(DUTY_LEASE * SECOND), limit=limit)
        return {queue: count for queue, count in rows if count} if rows else None

    def _line_up(self, run: Run, ids: Sequence[str]) -> range:
        run(self.sql.lock, ids=ids)
        return range(len(ids))  # the places themselves are drawn by the statements

    def _announce(self, run: Run, topics: set[str]) -> None:
        if topics:
            run(self.sql.announce, topics=list(topics))


def _columns(values: Sequence[Record | Outcome], names: Sequence[str]) -> dict[str, list[object]]:
    return {name: [getattr(value, name) for value in values] for name in names}
