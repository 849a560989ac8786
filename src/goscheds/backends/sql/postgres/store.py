"""The Postgres store: its transactions, and the verbs that it does in whole batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from random import random
from typing import Any, TypeVar

import psycopg
from msgspec.structs import asdict, astuple

from goscheds.backends.sql.bell import DUTIES, HEARING, STANDBY, Bell
from goscheds.backends.sql.pool import Pool
from goscheds.backends.sql.postgres.line import Lines
from goscheds.backends.sql.postgres.listener import Listener
from goscheds.backends.sql.postgres.server import CLASHES, Connection, connect, sound, within
from goscheds.backends.sql.postgres.trouble import mapped
from goscheds.backends.sql.rows import COLUMNS, TARGETS, Values, to_claims
from goscheds.backends.sql.statements import load
from goscheds.backends.sql.store import SECOND, Run, SqlStore
from goscheds.record import DONE, Claim, Heartbeat, Outcome, Record
from goscheds.store import DUTY_LEASE

# Seconds in which a heartbeat is answered, at least; a quarter of the lease if that is longer. And how often a push
# folds the tally, for each of its queues, should there be no worker whose duty it is.
PULSE, FOLDING = 0.25, 1 / 1000

# Microseconds before a job is due when who has the duties wakes a thread here that waits for its queue and claims it,
# by the server's clock; and seconds in which that is done. If nobody waits, the job is promoted after another
# pause, 0.2 ms early: who waits oversleeps and is on the way to the server for so long at the least.
EARLY, SLACK, PAUSE = 800, 0.005, 0.0006

# The lease of the duties, and the time between two looks, so that claims need not look themselves: microseconds. And
# seconds in which `promote` waits upon what `recover` has seen, and looks no further: a due job may be as much late.
LEASE, LOOK, FRESH = int(DUTY_LEASE * SECOND), int(0.8 * HEARING * SECOND), 0.002

T = TypeVar("T")
Both = tuple[list[str], list[Claim]]


class PostgresStore(SqlStore[Run]):
    """A namespace of jobs in the database at ``url``."""

    dialect = "postgres"
    abreast = 2  # batches that a lane settles at a time: what one brings is run while the other is away
    parameter = r"%(\1)b"  # binary: psycopg writes the text of arrays by regular expressions, five times slower
    sql = load(dialect, COLUMNS, parameter)

    def __init__(self, url: str, namespace: str, *, wakeups: bool, pgbouncer: bool | None) -> None:
        self._url, self._lines = url, Lines()
        channel = f"goscheds.{namespace}"[:63]  # if that cuts two names alike, they wake each other, and no harm done
        self._channel = channel if wakeups else ""
        connected = partial(connect, url, pgbouncer=pgbouncer)
        bell = Listener(connected, namespace, channel, self.sql) if wakeups and not pgbouncer else Bell()
        # What `recover` saw of the duties, who has them, and until when that is fresh.
        self._seen: tuple[tuple[dict[str, int], list[Values]], str, float] = ({}, []), "", 0.0
        self._due: dict[str, int] = {}  # by queue: a job that will be due at once, for who waits there
        super().__init__(namespace, Pool(connected, sound), bell)

    def _directly(self, work: Callable[[Run], T], context: Callable[[Connection], Any] = nullcontext) -> T:
        """Work that meets another transaction is done again."""
        attempts = 5
        with mapped(self._url):
            while True:
                attempts -= 1
                with self._pool.connection() as connection:
                    try:
                        with context(connection):
                            return work(partial(self._run, connection))
                    except CLASHES:
                        if not attempts:
                            raise
                    except psycopg.errors.ReadOnlySqlTransaction:
                        connection.close()  # it leads to what was the primary, and a new one looks for it
                        raise

    def _atomically(self, work: Callable[[Run], T]) -> T:
        return self._directly(work, Connection.transaction)

    def _singly(self, work: Callable[[Run], T]) -> T:
        return self._directly(lambda run: work(partial(self._boldly, run)))  # a whole batch is one statement here

    def _boldly(self, run: Run, statement: str, /, **parameters: object) -> list[Values]:
        """Push as if no job were there yet, unless one is, or may be for its key's sake."""
        if statement is self.sql.push and parameters["unique_key"] == [""]:
            with suppress(psycopg.errors.UniqueViolation):
                return run(self.sql.push_new, **parameters)
        return run(statement, **parameters)

    def _run(self, connection: Connection, statement: str, /, **parameters: object) -> list[Values]:
        return connection.run(statement, {"ns": self._ns, "channel": self._channel, **parameters})

    open = within(math.inf)(SqlStore.open)  # an upgrade may take its time, and others wait for it
    erase = within(math.inf)(SqlStore.erase)

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        with within(max(PULSE, lease / 4)):  # a connection that is half open must not cost the lease
            if lease == 0:
                return super().heartbeat(worker, lease, info)
            ((lapsed, cancel),) = self._query(self.sql.heartbeat, worker=worker, lease=int(lease * SECOND), info=info)
            return Heartbeat(lapsed, tuple(cancel))

    def _astray(self, worker: str) -> bool:
        heard, ((*outlook, astray),) = self._look(self.sql.astray, worker=worker)
        self._seen = (heard, [tuple(outlook)]), outlook[0], time.monotonic() + FRESH
        return bool(astray)

    def _look(self, statement: str, **asked: object) -> tuple[dict[str, int], list[Values]]:
        """Look on behalf of all who wait; how often it had rung for the duties before, and the rows."""
        heard, at = {topic: self._bell.heard(topic) for topic in (DUTIES, STANDBY)}, time.monotonic()
        found = self._query(statement, queues=[*{*self._bell.waiting}], lease=LEASE, **asked)
        self._bell.ring(*found[0][5])
        self._bell.looked = at
        return heard, found

    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        until, answer, over = time.monotonic() + timeout, None, False
        seen, holder, fresh = self._seen
        known = seen if timeout and holder == worker and time.monotonic() < fresh else None
        with self._waiting():
            while not over:
                heard, found = known or self._look(self.sql.promote, worker=worker, limit=limit)
                (holder, expiry, due, now, queue, _), *moved = found
                self._bell.ring(*(promoted := {queue: count for queue, count, *_ in moved if count}))
                answer, known = sum(promoted.values()) if holder == worker else None, None
                topic, pause = (STANDBY, expiry - now) if answer is None else (DUTIES, due - EARLY - now)
                rest, wake = min(pause, LOOK) / SECOND, time.monotonic() + pause / SECOND
                over = bool(promoted) or not self._bell.wait(worker, topic, heard[topic], until, rest)
                if not over and answer == 0 and time.monotonic() >= wake:
                    self._due[queue], slack = due, SLACK if queue in self._bell.waiting else PAUSE
                    self._bell.ring(queue)
                    over = not self._bell.wait(worker, topic, heard[topic], until, slack)
        return answer

    def settle_and_claim(self, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int) -> Both:
        """What is done, and says no more than its result, goes with the claim; the rest is settled before.

        Not so where there are follow-up jobs: one may have an id or a key that another outcome of the batch frees.
        """
        other = {one.id: one for one in outcomes if one.verb is not DONE or one.meta}
        done = [one for one in outcomes if one.id not in other]
        if not done or len({one.id for one in outcomes}) < len(outcomes) or any(one.jobs for one in outcomes):
            return self.settle(worker, outcomes), self.claim(queue, worker, limit, 0)
        accepted = {*self.settle(worker, [*other.values()])}
        rows, claims = self._take("finish", queue, worker=worker, limit=limit, **_columns(done))
        accepted.update(row[0] for row in rows if row[1] is None)
        # What is left was settled before, is stale, or was changed meanwhile.
        accepted.update(self.settle(worker, [one for one in done if one.id not in accepted]))
        return [one.id for one in outcomes if one.id in accepted], claims

    def _claim(self, queue: str, worker: str, limit: int) -> list[Claim]:
        claims = list[Claim]()
        if due := self._due.pop(queue, 0):
            claims = to_claims(self._query(self.sql.claim_due, queue=queue, worker=worker, due=due))
            self._bell.ring(DUTIES)
        return claims or self._take("claim", queue, worker=worker, limit=limit)[1]

    def _take(self, verb: str, queue: str, /, **parameters: object) -> tuple[list[Values], list[Claim]]:
        """What a statement found, and what it claimed, or else what is claimed by a look from the line's beginning."""
        parts = self._lines.parts(queue)
        found = self._query(getattr(self.sql, verb + "_along" * bool(parts)), queue=queue, **parts, **parameters)
        claimed = [row for row in found if row[1] is not None]
        self._lines.note(queue, parts, claimed)
        if parts and not claimed:
            claimed = self._query(self.sql.claim, queue=queue, **parameters)
            self._lines.note(queue, {}, claimed)
        return found, to_claims(claimed)

    def work(self) -> dict[str, int]:
        """What the server has done so far, for benchmarks. It counts a transaction up to a second late."""
        return dict(zip(("transactions", "WAL bytes", "dead tuples"), self._query(self.sql.work)[0], strict=True))

    def _upgrade(self, run: Run) -> int:
        run(self.sql.lock_schema)
        return super()._upgrade(run)

    def _push(self, run: Run, jobs: Sequence[Record]) -> list[str]:
        if random() < FOLDING * len({job.queue for job in jobs}):  # noqa: S311 - no secret
            run(self.sql.fold)
        if not any(job.unique_key for job in jobs):
            if len(jobs) == 1:
                later = jobs[0].execute_at or jobs[0].delay
                run(self.sql.push_later if later else self.sql.push_one, **asdict(jobs[0]))
            elif jobs:
                run(self.sql.push, **_arrays(jobs))
            return [job.id for job in jobs]
        if len({job.id for job in jobs}) < len(jobs):  # what becomes of the second depends on the key of the first
            return self._push(run, jobs[: len(jobs) // 2]) + self._push(run, jobs[len(jobs) // 2 :])
        run(self.sql.push, **_arrays(jobs))
        named: dict[str, str] = dict(run(self.sql.holders, **_columns(jobs)))
        again = iter(self._push(run, [job for job in jobs if not named[job.id]]))  # the key's holder is gone
        return [named[job.id] or next(again) for job in jobs]

    def _settle(self, run: Run, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        # Of two outcomes of one claim the first.
        batch = [*{(one.id, one.fence): one for one in reversed(outcomes)}.values()][::-1]
        target = [TARGETS[one.verb] for one in batch]
        found = run(self.sql.settle, worker=worker, target=target, **_columns(batch))
        standing = {(id, fence): fresh for id, fence, fresh in found}
        self._push(run, [job for one in batch if standing.get((one.id, one.fence)) for job in one.jobs])
        return [one.id for one in outcomes if (one.id, one.fence) in standing]

    def _line_up(self, run: Run, ids: Sequence[str]) -> range:
        run(self.sql.lock, ids=ids)
        return range(len(ids))  # the places themselves are drawn by the statements

    def _tell(self, run: Run, told: Mapping[tuple[str, int], int]) -> None:
        run(self.sql.tell, queue=[name for name, _ in told], state=[at for _, at in told], jobs=[*told.values()])

    def _announce(self, run: Run, topics: set[str]) -> None:
        run(self.sql.announce, topics=list(topics))


def _arrays(jobs: Sequence[Record]) -> dict[str, list[object]]:
    """What ``push`` takes: of a value that all jobs have one is sent."""
    columns = _columns(jobs).items()
    return {name: column[:1] if column.count(column[0]) == len(column) else column for name, column in columns}


def _columns(values: Sequence[Record | Outcome]) -> dict[str, list[object]]:
    return dict(zip(values[0].__struct_fields__, map(list, zip(*map(astuple, values), strict=True)), strict=True))
