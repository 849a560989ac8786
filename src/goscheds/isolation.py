"""A job that crashed its workers, and would be dead the next time, runs with no other beside it in its process.

Nobody outlives a worker who knows which of its jobs it died of, so that each is charged a crash. On its last chance a
job runs alone: then its death is its own, and its neighbours lose time and nothing else. Other processes are not held
up by that, and this one for no longer than ``LONGEST``. Where a dead worker held several jobs on their last chance, all
the same, none of them is charged.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import inf

QUIET = 1.0
"""Seconds in which what runs here must have ended, or the job that wants to be alone is put off."""
LONGEST = 60.0
"""Seconds for which a job that runs alone keeps others from beginning."""
GLANCE = 0.01
"""Seconds between looks on the event loop, which must not wait for a lock."""
TRIES = 5
"""How often a job is put off until it runs among others after all."""


class Isolation:
    """Who runs in this process, and whether somebody is to be alone there."""

    def __init__(self) -> None:
        self.closed_until = 0.0  # monotonic seconds; 0 while anybody may begin
        self._running: set[object] = set()
        self._turn = threading.Lock()  # to be alone
        self._changed = threading.Condition()

    def enter(self, run: object, patience: float = inf) -> None:
        """Begin among others; if somebody is alone, after that, or after so many seconds at most.

        A set's own steps are atomic: where nobody is alone, no job takes a lock for this.
        """
        while not self.enters(run):
            if not self._wait(patience):
                self._running.add(run)
                return

    async def aenter(self, run: object, patience: float = inf) -> None:
        """``enter`` on the event loop."""
        while not self.enters(run):
            until = min(self.closed_until, time.monotonic() + patience)
            if not await _glance(lambda: not self.closed_until, until):
                self._running.add(run)
                return

    def enters(self, run: object) -> bool:
        """Begin among others, if nobody is alone; whether it did."""
        self._running.add(run)
        if self.closed_until:
            self.leave(run)
            return False
        return True

    def leave(self, run: object) -> None:
        """End."""
        self._running.discard(run)
        if self.closed_until:
            with self._changed:
                self._changed.notify_all()

    def _wait(self, patience: float) -> bool:
        """Until nobody is alone any more; False when that took too long."""
        until = min(self.closed_until, time.monotonic() + patience)
        with self._changed:
            return self._changed.wait_for(lambda: not self.closed_until, max(0.0, until - time.monotonic()))

    @contextmanager
    def alone(self) -> Iterator[bool | None]:
        """Run alone, if nobody else does, and what runs here ends in time; whether it came about.

        Whoever has to wait for another to be alone must not: it would be held when that one's worker dies.
        """
        if not self._turn.acquire(blocking=False):
            yield None
            return
        try:
            with self._closed():
                with self._changed:
                    quiet = self._changed.wait_for(lambda: not self._running, QUIET)
                yield quiet
        finally:
            self._turn.release()

    @asynccontextmanager
    async def aalone(self) -> AsyncIterator[bool | None]:
        """``alone`` on the event loop."""
        if not self._turn.acquire(blocking=False):
            yield None
            return
        try:
            with self._closed():
                yield await _glance(lambda: not self._running, time.monotonic() + QUIET)
        finally:
            self._turn.release()

    @contextmanager
    def _closed(self) -> Iterator[None]:
        self.closed_until = time.monotonic() + LONGEST
        try:
            yield
        finally:
            self.closed_until = 0.0
            with self._changed:
                self._changed.notify_all()


async def _glance(probe: Callable[[], bool], until: float) -> bool:
    """Look now and then, until a monotonic moment; whether it came true."""
    while not (true := probe()) and time.monotonic() < until:  # noqa: ASYNC110 - what is awaited happens in threads
        await asyncio.sleep(GLANCE)
    return true
