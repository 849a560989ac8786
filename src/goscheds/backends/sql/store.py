"""The verbs of a store in a SQL database. A dialect adds its connections, its wake-up channel, push and settle."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from goscheds.backends.sql.bell import DUTIES, STANDBY, Bell
from goscheds.backends.sql.looking import Looking
from goscheds.backends.sql.pool import Pool
from goscheds.backends.sql.rows import CODES, STATES, Values, to_claims
from goscheds.backends.sql.statements import script
from goscheds.errors import SchemaTooNew, StoreError
from goscheds.record import SETTLED, Claim, Heartbeat, Lost, Move, MoveVerb, Outcome, Record, State, Verb
from goscheds.store import Capability

VERSION = 1  # of the schema that this code reads and writes
SECOND = 1_000_000  # microseconds

T = TypeVar("T")


class Run(Protocol):
    """Executes a statement and gives its rows; the namespace's number is among the parameters already."""

    def __call__(self, statement: str, /, **parameters: object) -> list[Values]:
        """Execute it."""


R = TypeVar("R", bound=Run)


class SqlStore(Looking, ABC, Generic[R]):
    """A namespace of jobs in a SQL database."""

    capabilities = frozenset({Capability.PROCESSES, Capability.DURABLE, Capability.POLLING})

    dialect: str

    def __init__(self, namespace: str, pool: Pool[Any], bell: Bell) -> None:
        self._namespace = namespace
        self._ns = 0
        self._pool = pool
        self._bell = bell

    @abstractmethod
    def _directly(self, work: Callable[[R], T]) -> T:
        """Do some work, each statement of which stands for itself."""

    @abstractmethod
    def _atomically(self, work: Callable[[R], T]) -> T:
        """Do some work in one transaction."""

    def _singly(self, work: Callable[[R], T]) -> T:
        """Do some work in one transaction, which is a single statement where the database takes a batch at once."""
        return self._atomically(work)

    @abstractmethod
    def _push(self, run: R, jobs: Sequence[Record]) -> list[str]: ...

    @abstractmethod
    def _settle(self, run: R, worker: str, outcomes: Sequence[Outcome]) -> list[str]: ...

    @abstractmethod
    def promote(self, worker: str, limit: int, timeout: float) -> int | None: ...

    @abstractmethod
    def _line_up(self, run: R, ids: Sequence[str]) -> range:
        """Before jobs change one by one: lock them in one order for all, and draw a place in line for each."""

    def _tell(self, run: R, told: Mapping[tuple[str, int], int]) -> None:
        """Tell the tally, where there is one, by how many jobs a queue has more in a state."""

    def _announce(self, run: R, topics: set[str]) -> None:
        """Ring the bells of other processes when the transaction is committed, where they are not rung afterwards."""

    def open(self) -> None:
        self._pool.open()
        self._bell.open()
        try:
            self._ns = self._atomically(self._upgrade)
        except BaseException:
            self.close()
            raise

    def _upgrade(self, run: R) -> int:
        """Bring the schema up to date, alone in the store; the number of the namespace."""
        found, oldest = run(self.sql.schema)[0] if run(self.sql.installed) else (0, 0)
        if oldest > VERSION:
            raise SchemaTooNew(
                f"The {self.dialect} store has schema version {found}, written by a later goscheds, for those who know "
                f"version {oldest}; this one knows {VERSION}. Nothing was changed. Upgrade goscheds here."
            )
        for version in range(found + 1, VERSION + 1):
            for statement in script(self.dialect, version):
                run(statement)
        known = run(self.sql.namespace, name=self._namespace) or run(self.sql.add_namespace, name=self._namespace)
        return int(known[0][0])

    def close(self) -> None:
        self._bell.close()
        self._pool.close()

    def interrupt(self, worker: str) -> None:
        """From now on nothing waits for this worker."""
        self._bell.interrupt(worker)

    def erase(self) -> None:
        """Delete everything of the namespace."""
        self._atomically(lambda run: [run(statement) for statement in self.sql.erase.split(";")])

    def now(self) -> int:
        return int(self._query(self.sql.now)[0][0])

    def push(self, jobs: Sequence[Record]) -> list[str]:
        do = self._atomically if len(jobs) > 1 and any(job.unique_key for job in jobs) else self._singly
        ids = do(lambda run: self._push(run, jobs)) if jobs else []
        self._bell.ring(*{job.queue for job in jobs}, *{DUTIES for job in jobs if job.execute_at or job.delay})
        return ids

    def claim(self, queue: str, worker: str, limit: int, timeout: float) -> list[Claim]:
        until, claims = time.monotonic() + timeout, list[Claim]()
        with self._waiting():
            heard = self._bell.heard(queue)
            while not (claims := self._claim(queue, worker, limit)) and self._bell.wait(worker, queue, heard, until):
                heard = self._bell.heard(queue)
        return claims

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Of a call that waits, and looks in between: when the store is closed meanwhile it ends, and found nothing."""
        opened = not self._bell.closed
        try:
            yield
        except StoreError:
            if not (opened and self._bell.closed):
                raise

    @abstractmethod
    def _claim(self, queue: str, worker: str, limit: int) -> list[Claim]:
        """Claim what there is, without waiting."""

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        do = self._atomically if any(outcome.jobs for outcome in outcomes) else self._singly
        accepted = do(lambda run: self._settle(run, worker, outcomes)) if outcomes else []
        self._ring_for(outcomes)
        return accepted

    def _ring_for(self, outcomes: Sequence[Outcome]) -> None:
        if any(outcome.jobs or outcome.verb in (Verb.RETRY, Verb.RELEASED) for outcome in outcomes):
            self._bell.ring_all()

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        def work(run: R) -> Heartbeat:
            lapsed = not run(self.sql.unlapsed, worker=worker)
            run(self.sql.beat, worker=worker, lease=int(lease * SECOND), info=info)
            if lease == 0:
                run(self.sql.resign, worker=worker)
                self._announce(run, {DUTIES})
            return Heartbeat(lapsed, tuple(id for (id,) in run(self.sql.cancelling, worker=worker)))

        beat = self._atomically(work)
        if lease == 0:
            self._bell.ring(DUTIES, STANDBY)
        return beat

    def recover(self, worker: str, limit: int) -> list[Claim]:
        def work(run: R) -> list[Claim]:
            if not run(self.sql.alive, worker=worker):
                return []
            claims = to_claims(run(self.sql.overdue, worker=worker, limit=limit), Lost.DEADLINE)
            for (holder,) in run(self.sql.lapsed):
                left = limit - len(claims)
                if left and run(self.sql.condemn, holder=holder):
                    claims += to_claims(run(self.sql.orphans, worker=worker, holder=holder, limit=left), Lost.LEASE)
            run(self.sql.bury)
            return claims

        return self._atomically(work) if self._astray(worker) else []

    def _astray(self, worker: str) -> bool:
        return bool(self._query(self.sql.astray, worker=worker))

    def held(self, worker: str) -> list[Claim]:
        return to_claims(self._query(self.sql.held, worker=worker))

    def move(self, moves: Sequence[Move]) -> list[State | None]:
        def work(run: R) -> tuple[list[State | None], set[str]]:
            places = self._line_up(run, [move.id for move in moves])
            moved = [self._move(run, move, place) for move, place in zip(moves, places, strict=True)]
            told = Counter((queue, state) for queue, _, state in moved)
            told.subtract((queue, was) for queue, was, _ in moved)
            self._tell(run, told)
            topics = {queue if state else DUTIES for queue, _, state in moved if state in (0, 1)}
            self._announce(run, topics)
            return [None if state < 0 else STATES[state] for _, _, state in moved], topics

        states, topics = self._atomically(work)
        self._bell.ring(*topics)
        return states

    def _move(self, run: R, move: Move, place: int) -> tuple[str, int, int]:
        """The job's queue, and its state before and afterwards; -1 if there is no such job."""
        ((was, queue),) = run(self.sql.state, id=move.id) or [(-1, "")]
        if move.verb is MoveVerb.CANCEL:
            moved = run(self.sql.cancel, id=move.id)
        elif move.verb is MoveVerb.RESCHEDULE:
            moved = run(self.sql.reschedule, id=move.id, execute_at=move.execute_at, delay=move.delay, place=place)
        else:
            moved = run(self.sql.retry, id=move.id, meta=move.meta, place=place)
        return queue, was, moved[0][0] if moved else was

    def purge(self, state: State, before: int, limit: int, queue: str = "") -> int:
        def work(run: R) -> int:
            gone = run(self.sql.purge, state=CODES[state], before=before, limit=limit, queue=queue)
            self._tell(run, {(queue, CODES[state]): -jobs for (queue,), jobs in Counter(gone).items()})
            return len(gone)

        return self._atomically(work) if state in SETTLED else 0

    def pause(self, queue: str, paused: bool) -> None:
        def work(run: R) -> None:
            run(self.sql.pause if paused else self.sql.resume, queue=queue)
            self._announce(run, {queue})

        self._atomically(work)
        self._bell.ring(queue)

    def _query(self, statement: str, **parameters: object) -> list[Values]:
        return self._directly(lambda run: run(statement, **parameters))
