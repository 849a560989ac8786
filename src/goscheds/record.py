"""The frozen values that cross the store boundary.

A store keeps these columns and carries two opaque byte strings; what the bytes mean is the core's business. All moments
are integers, microseconds since the epoch by the *store's* clock; all durations are integers, microseconds. Zero means
"now", "none" or "no limit", as each field says, so that no column is ever null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct


class State(StrEnum):
    """Where a job stands. It is in exactly one of these at every instant (K1)."""

    SCHEDULED = "scheduled"
    READY = "ready"
    ACTIVE = "active"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


LIVE = frozenset({State.SCHEDULED, State.READY, State.ACTIVE})
SETTLED = frozenset({State.DONE, State.DEAD, State.CANCELLED})


class Record(Struct, frozen=True, gc=False):
    """A job as it is pushed.

    Due at ``(execute_at or now) + delay``; both zero means ready at once. A store keeps the sum as ``execute_at`` and
    gives records back with ``delay`` zero. Names, queues, ids and unique keys are text without control characters, at
    most 255 characters, checked by the core.
    """

    id: str
    name: str
    queue: str
    payload: bytes = b""  # written once: arguments and policy
    meta: bytes = b""  # the core's running account of the job; outcomes replace it
    execute_at: int = 0
    delay: int = 0
    priority: int = 0  # -100 … 100; higher first
    timeout: int = 0  # how long a claim may be held; 0 = no limit
    unique_key: str = ""  # "" = none


class Lost(StrEnum):
    """Why ``recover`` took a claim away from its holder; ``NOT`` for a claim that was not taken away."""

    NOT = ""
    LEASE = "lease"  # its worker stopped its heartbeat
    DEADLINE = "deadline"  # it was held longer than its timeout


class Claim(Struct, frozen=True, gc=False):
    """A job in the hands of a worker, good under ``fence`` alone."""

    record: Record
    fence: int
    claimed_at: int
    lost: Lost = Lost.NOT
    flaw: str = ""  # why what is stored is no job of goscheds': it ends dead with this reason, unrun, its bytes kept


class Verb(StrEnum):
    """What an outcome does with its job."""

    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"
    CANCELLED = "cancelled"
    RELEASED = "released"


DONE = Verb.DONE  # in Python 3.11 a member takes 0.1 µs to find, as long as half of what an outcome does


class Outcome(Struct, frozen=True, gc=False):
    """What became of a claim. Made by the named constructors alone, so that no invalid mix of fields is written."""

    id: str
    fence: int
    verb: Verb
    meta: bytes = b""  # b"" keeps what is stored
    execute_at: int = 0  # for RETRY, as in Record
    delay: int = 0
    result: bytes = b""  # for DONE
    keep: bool = True  # False: the settled job is deleted instead of kept
    jobs: tuple[Record, ...] = ()  # pushed with the outcome, or not at all

    @classmethod
    def done(
        cls, claim: Claim, meta: bytes = b"", result: bytes = b"", *, keep: bool = True, jobs: Sequence[Record] = ()
    ) -> Outcome:
        """The handler returned."""
        return cls(claim.record.id, claim.fence, DONE, meta, 0, 0, result, keep, tuple(jobs) if jobs else ())

    @classmethod
    def retry(cls, claim: Claim, meta: bytes = b"", *, delay: int = 0, execute_at: int = 0) -> Outcome:
        """Run it again, due as ``Record`` counts it; at the end of its queue when that is at once."""
        return cls(claim.record.id, claim.fence, Verb.RETRY, meta, execute_at=execute_at, delay=delay)

    @classmethod
    def dead(cls, claim: Claim, meta: bytes = b"", *, keep: bool = True, jobs: Sequence[Record] = ()) -> Outcome:
        """Given up, kept for a person to look at."""
        return cls(claim.record.id, claim.fence, Verb.DEAD, meta, keep=keep, jobs=tuple(jobs))

    @classmethod
    def cancelled(cls, claim: Claim, meta: bytes = b"", *, keep: bool = True) -> Outcome:
        """Stopped because somebody asked for it."""
        return cls(claim.record.id, claim.fence, Verb.CANCELLED, meta, keep=keep)

    @classmethod
    def released(cls, claim: Claim, meta: bytes = b"") -> Outcome:
        """Given back unrun: ready again at the front of its queue."""
        return cls(claim.record.id, claim.fence, Verb.RELEASED, meta)


class Heartbeat(Struct, frozen=True, gc=False):
    """The answer to a heartbeat."""

    lapsed: bool  # the worker had no good lease when it called: on its first call, and whenever it came too late
    cancel: tuple[str, ...] = ()  # ids it holds whose cancellation was asked for


class MoveVerb(StrEnum):
    """What a person may do to a job from outside."""

    CANCEL = "cancel"
    RESCHEDULE = "reschedule"
    RETRY = "retry"


class Move(Struct, frozen=True, gc=False):
    """A transition asked for from outside, by a person or a producer."""

    id: str
    verb: MoveVerb
    execute_at: int = 0  # for RESCHEDULE, as in Record
    delay: int = 0
    meta: bytes = b""  # b"" keeps what is stored

    @classmethod
    def cancel(cls, id: str) -> Move:
        """Scheduled or ready: cancelled, and never starts. Active: its holder is told by its next heartbeat."""
        return cls(id, MoveVerb.CANCEL)

    @classmethod
    def reschedule(cls, id: str, *, execute_at: int = 0, delay: int = 0) -> Move:
        """Scheduled or ready: due at another moment. Any other state: unchanged."""
        return cls(id, MoveVerb.RESCHEDULE, execute_at=execute_at, delay=delay)

    @classmethod
    def retry(cls, id: str, meta: bytes = b"") -> Move:
        """Done, dead, cancelled or scheduled: ready now, at the end of its queue. Any other state: unchanged."""
        return cls(id, MoveVerb.RETRY, meta=meta)


class Row(Struct, frozen=True, gc=False):
    """A job as it stands in the store, for looking at."""

    record: Record
    state: State
    fence: int  # 0 = never claimed
    worker: str  # the holder of an active job; "" otherwise
    pushed_at: int
    changed_at: int  # when it came into its state
    result: bytes = b""
    cancelling: bool = False  # active, and its cancellation was asked for


class Query(Struct, frozen=True, gc=False):
    """Which jobs to look at. Every field narrows; empty ones don't."""

    ids: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    queue: str = ""
    name: str = ""
    after: str = ""  # the ``next`` of the page before
    limit: int = 100


class Page(Struct, frozen=True, gc=False):
    """Some of the jobs asked for."""

    rows: tuple[Row, ...]
    next: str = ""  # "" = that was the last page


class Counts(Struct, frozen=True, gc=False):
    """How many jobs stand where. Pairs with no job are left out."""

    jobs: Mapping[tuple[str, State], int]  # by queue and state
    paused: frozenset[str] = frozenset()


class WorkerInfo(Struct, frozen=True, gc=False):
    """A worker as the store sees it, for looking at."""

    id: str
    expires_at: int  # when its lease runs out; past = lost, its jobs not all taken back yet
    info: bytes  # what it said of itself at its last heartbeat
    held: int  # how many jobs it holds
