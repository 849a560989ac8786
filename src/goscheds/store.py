"""The store boundary: what a store must do, method by method, law by law.

A store keeps rows; the core keeps reasons. Retry, backoff, attempts, poison, retention and serialisation are decided in
the core; a store compares a few columns, carries opaque bytes, and is atomic. ``goscheds.backends.memory`` is the
readable reference, and ``goscheds.contract`` the law as tests.

Threads and processes: every method may be called from any thread, and any number of processes may use one namespace of
one store at once. Errors: a store that does not answer raises ``StoreUnavailable``, one that answers with an error
raises ``StoreError``, each with the driver's error as its cause (F1). Every verb may be repeated when its answer was
lost, and changes nothing further the second time (S3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

from goscheds.record import Claim, Counts, Heartbeat, Move, Outcome, Page, Query, Record, State, WorkerInfo

DUTY_LEASE = 2.0
"""Seconds for which the holder of the duties keeps them without calling ``promote`` again."""

MAX_BLOCK = 30.0
"""Seconds; the longest ``timeout`` that ``claim`` and ``promote`` are called with."""


class Capability(StrEnum):
    """What a store is able to do beyond the law. The contract suite asks for these, never for a store's name."""

    PROCESSES = "processes"  # other processes that open the same URL see the same jobs
    DURABLE = "durable"  # what was pushed survives a restart of the store
    POLLING = "polling"  # the URL option ``wakeups=off`` makes it correct, if late, without its wake-up channel


class Store(Protocol):
    """Where jobs live. One object is one namespace of one store (P5)."""

    capabilities: frozenset[Capability]

    def open(self) -> None:
        """Connect; create the schema or upgrade an older one. Repeating it is harmless.

        F3: many processes may open, and upgrade, one store at once. A schema newer than the code raises
        ``SchemaTooNew`` and is left alone. F2: after an outage the same open store works again by itself.
        """

    def close(self) -> None:
        """Let go of connections and threads. Calls that are blocked return; the store may be opened again."""

    def now(self) -> int:
        """The store's clock, microseconds since the epoch. T1: the only clock that says what is due."""

    def push(self, jobs: Sequence[Record]) -> list[str]:
        """Store a batch of new jobs; the ids in order.

        P1: once it returns, the jobs survive the death of every process. P2: all of them land, or none.
        P3: an id that the store has already (or that stands twice in the batch) is not stored again; which of two
        different jobs of one id it is, nobody may rely upon. P4: every byte and character comes back as it was. U1: a
        job whose unique key a live job holds is not stored, and the holder's id stands in its place, also within the
        batch; under any race there is at most one live holder.
        C2: jobs due at once join the end of their queue in the order of the batch. T3: ``promote`` is woken when one
        of them is now the earliest scheduled; C4: ``claim`` is woken when one is ready.
        """

    def claim(self, queue: str, worker: str, limit: int, timeout: float) -> list[Claim]:
        """Take up to ``limit`` ready jobs of ``queue`` for ``worker``, waiting up to ``timeout`` seconds for the first.

        C1: a job has one holder at a time; each claim stamps a fence one higher than the last, never reused.
        C2: higher priority first, then the order in which jobs became ready. C3: the cost does not depend on how many
        jobs are waiting, scheduled or done. C4: waiting is done by blocking, not by asking again and again; a push
        wakes it; with the wake-up lost it finds the job within about a second. C5: a paused queue gives nothing, and
        loses nothing. L2: a worker without a good lease is given nothing. With no job it returns ``[]``, after
        ``timeout``. T1: no job is claimed before its ``execute_at`` by this store's clock.
        """

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        """Report claimed jobs' outcomes; the ids accepted, in order.

        S1: only the current fence may settle, and only by the worker that holds it: anything else is left out of the
        answer, changes nothing, and enqueues nothing. S2: outcomes of any mix, each atomic with its follow-up
        ``jobs``, which are pushed as ``push`` does it. S3: repeating the call changes nothing further; an outcome
        whose fence still stands on the job (settled by it, and not claimed since) is answered as accepted again.
        X2: RETRY and RELEASED of a job whose cancellation was asked for become CANCELLED. U2: a settled job's unique
        key is free at once. RELEASED joins the front of the queue in the order of the batch; a RETRY that is due at
        once joins the end; a later one becomes scheduled.
        """

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        """Good for another ``lease`` seconds: register the worker, or renew everything that it holds, at O(1).

        L1: a worker that heartbeats keeps its jobs however long they run. L3: ``lapsed`` says that its lease had run
        out, so that it asks ``held`` what it still has. X2: ``cancel`` names the jobs it holds that are to stop.
        A lease of 0 ends the worker: its jobs may be recovered at once, and it gives up the duties if it has them.
        """

    def recover(self, worker: str, limit: int) -> list[Claim]:
        """Claim up to ``limit`` orphans for ``worker``, with ``lost`` saying why each was taken from its holder.

        L2: orphans are the active jobs of workers whose lease ran out, whatever instant of a claim they died at; a
        job that such a worker took but had not finished claiming goes back to the front of its queue instead.
        L4: and the active jobs past their timeout, even of workers that heartbeat. L6: the caller holds them like any
        claim (fence and lease; no deadline), so a death in between loses nothing. A caller without a good lease is
        given nothing.
        """

    def held(self, worker: str) -> list[Claim]:
        """Every claim that the store thinks ``worker`` holds, in no order.

        L7: including those whose answer was lost on the way. A claim that was begun and not finished is finished.
        """

    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        """Hold the duties, and make up to ``limit`` due jobs ready, waiting up to ``timeout`` seconds for the first.

        One worker holds the duties at a time, for ``DUTY_LEASE`` seconds after its last call. Returns None, after
        ``timeout``, while another holds them; else how many jobs became ready, 0 if none was due in time.
        T1: nothing becomes ready before its ``execute_at``. T3: with no traffic at all it wakes when the earliest job
        is due, and a push of an earlier one wakes it. C2: due jobs join the end of their queues, earliest first.
        """

    def find(self, query: Query) -> Page:
        """Jobs to look at, in an order of the store's own.

        K1: every job is in exactly one state, and counts equal the lists. Paging sees each job that stays as it is
        once. ``ids`` may name up to 1,000; unknown ones are left out, and the answer is one page.
        """

    def counts(self) -> Counts:
        """How many jobs stand where, and which queues are paused. K1: equal to what ``find`` lists."""

    def move(self, moves: Sequence[Move]) -> list[State | None]:
        """Cancel, reschedule or retry jobs from outside; the state each is in afterwards, None if there is no such job.

        X1: once the answer is ``cancelled``, the job never starts. X3: cancel against claim has exactly one winner.
        U1: a RETRY whose unique key another live job holds leaves the job as it is.
        """

    def purge(self, state: State, before: int, limit: int, queue: str = "") -> int:
        """Delete up to ``limit`` jobs that came into ``state`` before the moment ``before``; how many it was.

        K2: it takes what it was asked for, and nothing live: a live state deletes nothing. ``queue`` narrows.
        """

    def pause(self, queue: str, paused: bool) -> None:
        """Pause or resume a queue, for every worker. C5: once it returns, a paused queue hands out nothing."""

    def workers(self) -> list[WorkerInfo]:
        """The workers with a lease, and those whose lease ran out with jobs still to be taken back."""


@runtime_checkable
class Interruptible(Protocol):
    """A store whose waiting calls can be cut short; of others the core waits out short timeouts."""

    def interrupt(self, worker: str) -> None:
        """From now on, ``claim`` and ``promote`` do not wait for this worker; those that do return soon."""


@runtime_checkable
class Pipelined(Protocol):
    """A store that settles and claims in one round trip; for others the core does one after the other.

    One for which many calls at a time are more work says how many a queue's slots may make in a worker, as ``abreast``.
    """

    def settle_and_claim(
        self, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int
    ) -> tuple[list[str], list[Claim]]:
        """``settle(worker, outcomes)`` and then ``claim(queue, worker, limit, 0)``, which sees what was settled.

        The laws of both bind it (S1 to S3, C1 to C5, L2, L4, L7), and it never waits. They may be two steps: whoever
        loses the answer repeats the settle by ``settle`` (S3), and asks ``held`` what was claimed.
        """


@runtime_checkable
class Erasable(Protocol):
    """A store that can forget a whole namespace; for tests, trials and demonstrations."""

    def erase(self) -> None:
        """Delete everything of this namespace, live jobs included."""


StoreFactory = Callable[[str, str], Store]
"""Makes a store that is not open yet from a URL and a namespace. It imports its driver, and raises ConfigError."""
