"""Putting something around every verb of a store: faults, a record of what was called, a stopwatch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from goscheds.record import Claim, Counts, Heartbeat, Move, Outcome, Page, Query, Record, State, WorkerInfo
from goscheds.scheduler import Scheduler
from goscheds.store import Capability, Pipelined, Store

T = TypeVar("T")


class Wrapped:
    """A store around another: the same capabilities, the same optional protocols, and ``around`` at every verb."""

    def __init__(self, store: Store) -> None:
        self.capabilities: frozenset[Capability] = store.capabilities
        self._store = store
        # As attributes, and not by __getattr__, which isinstance does not ask since Python 3.12.
        for name in dir(store):
            if not name.startswith("_") and not hasattr(self, name):
                setattr(self, name, getattr(store, name))
        if isinstance(store, Pipelined):
            self.settle_and_claim = partial(self._settle_and_claim, store)

    def around(self, verb: str, call: Callable[[], T]) -> T:  # noqa: ARG002 - for whoever overrides it
        """Do what ``verb`` does. Override it."""
        return call()

    def open(self) -> None:
        """Open the store inside."""
        self._store.open()

    def close(self) -> None:
        """Close the store inside."""
        self._store.close()

    def now(self) -> int:
        """The verb ``now``."""
        return self.around("now", self._store.now)

    def push(self, jobs: Sequence[Record]) -> list[str]:
        """The verb ``push``."""
        return self.around("push", partial(self._store.push, jobs))

    def claim(self, queue: str, worker: str, limit: int, timeout: float) -> list[Claim]:
        """The verb ``claim``."""
        return self.around("claim", partial(self._store.claim, queue, worker, limit, timeout))

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        """The verb ``settle``."""
        return self.around("settle", partial(self._store.settle, worker, outcomes))

    def _settle_and_claim(
        self, store: Pipelined, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int
    ) -> tuple[list[str], list[Claim]]:
        """The verb ``settle_and_claim``, of a store that has it."""
        return self.around("settle_and_claim", partial(store.settle_and_claim, worker, outcomes, queue, limit))

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        """The verb ``heartbeat``."""
        return self.around("heartbeat", partial(self._store.heartbeat, worker, lease, info))

    def recover(self, worker: str, limit: int) -> list[Claim]:
        """The verb ``recover``."""
        return self.around("recover", partial(self._store.recover, worker, limit))

    def held(self, worker: str) -> list[Claim]:
        """The verb ``held``."""
        return self.around("held", partial(self._store.held, worker))

    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        """The verb ``promote``."""
        return self.around("promote", partial(self._store.promote, worker, limit, timeout))

    def find(self, query: Query) -> Page:
        """The verb ``find``."""
        return self.around("find", partial(self._store.find, query))

    def counts(self) -> Counts:
        """The verb ``counts``."""
        return self.around("counts", self._store.counts)

    def move(self, moves: Sequence[Move]) -> list[State | None]:
        """The verb ``move``."""
        return self.around("move", partial(self._store.move, moves))

    def purge(self, state: State, before: int, limit: int, queue: str = "") -> int:
        """The verb ``purge``."""
        return self.around("purge", partial(self._store.purge, state, before, limit, queue))

    def pause(self, queue: str, paused: bool) -> None:
        """The verb ``pause``."""
        self.around("pause", partial(self._store.pause, queue, paused))

    def workers(self) -> list[WorkerInfo]:
        """The verb ``workers``."""
        return self.around("workers", self._store.workers)


class WrappedScheduler(Scheduler):
    """A scheduler, for producers and workers, that reaches its store through a wrapper."""

    def __init__(self, url: str, wrap: Callable[[Store], Store], namespace: str = "goscheds", **options: Any) -> None:
        super().__init__(url, namespace, **options)
        self._wrap = wrap
        self._inside: Store | None = None
        self._around: Store | None = None

    @property
    def store(self) -> Store:
        """The wrapper around the open store; around a new one where the process is a new one."""
        inside = super().store
        if self._around is None or self._inside is not inside:
            self._inside, self._around = inside, self._wrap(inside)
        return self._around
