"""The slots of a lane on their way to the store: two at a time, and those who wait long go together with the next.

So a trip carries the more the longer the way is, as databases commit in groups, and a far store is no slower for it;
and claims of one queue don't stand in each other's way. On Postgres each steps over what the others have locked, and
locks what they have just committed: with eight of them at a time a no-op job took the server 40 µs, with two 29.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from goscheds.execution import Run
from goscheds.record import Outcome

AWAY = 2
"""Trips at a time: what one brings is run while the other is away."""
MOST = 400
"""Claims that a trip asks for, at most: a server that does one thing at a time does nothing else meanwhile."""
FULL, LATE = 100, 0.005
"""Outcomes that go together in any case; and seconds, from when on more do. A full batch gains nothing by company, and
several threads that come home at once only take turns at the interpreter: SQLite and Redis are too near for it."""

Carry = Callable[[list[Outcome], int], Sequence[Run]]
"""Settles outcomes, and claims up to so many jobs."""


class Load:
    """What a slot has for the store, and gets from it."""

    def __init__(self, outcomes: list[Outcome], lock: threading.Lock) -> None:
        self.outcomes = outcomes
        self.runs: list[Run] = []
        self.since = time.monotonic()
        self.brought = False
        self.changed = threading.Condition(lock)  # brought, or it may be the one to go


class Trips:
    """Takes outcomes to the store and brings claims back, for several slots at once."""

    def __init__(self, carry: Carry) -> None:
        self._carry = carry
        self._lock = threading.Lock()
        self._waiting: deque[Load] = deque()
        self._away = 0

    def go(self, outcomes: list[Outcome], limit: int) -> list[Run]:
        """Settle outcomes and claim up to so many jobs, as others may have to do it for the caller. Raises StoreError.

        Only who went learns of an error; the others get no claims, and learn of it when they look for some.
        """
        load = Load(outcomes, self._lock)
        with self._lock:
            self._waiting.append(load)
            while load in self._waiting and self._away >= AWAY:
                load.changed.wait()
            if load not in self._waiting:  # another slot took it along
                load.changed.wait_for(lambda: load.brought)
                return load.runs
            loads = self._board(load, max(1, MOST // limit))
            self._away += 1
            self._call()  # two may have come home before anybody looked
        try:
            runs = self._carry([outcome for one in loads for outcome in one.outcomes], limit * len(loads))
            for nth, one in enumerate(loads):
                one.runs = [*runs[nth :: len(loads)]]  # in the order of the line, as all begin together
        finally:
            with self._lock:
                self._away -= 1
                for one in loads:
                    one.brought = True
                    one.changed.notify()
                self._call()
        return load.runs

    def _board(self, load: Load, most: int) -> list[Load]:
        """The caller's load, and of the others that wait the first."""
        self._waiting.remove(load)
        loads, size, late = [load], len(load.outcomes), time.monotonic() - LATE
        while self._waiting and len(loads) < most:
            size += len(self._waiting[0].outcomes)
            if size > FULL and self._waiting[0].since > late:
                break
            loads.append(self._waiting.popleft())
        return loads

    def _call(self) -> None:
        """Have the first of those who wait go, if there is a place."""
        if self._waiting and self._away < AWAY:
            self._waiting[0].changed.notify()
