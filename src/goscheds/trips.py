"""The slots of a lane on their way to the store: those who wait for a place go together, as databases commit in groups.

A trip carries the more the longer the way is, so a far store is no slower for it; and claims of one queue don't stand
in each other's way. On Postgres each steps over what the others have locked, and locks what they have just committed:
with eight of them at a time a no-op job took the server 40 µs, with two 29.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from goscheds.execution import Run
from goscheds.record import Outcome

AWAY = 2
"""Trips at a time: what one brings is run while the other is away."""
MOST = 400
"""Claims that a trip asks for, at most: a server that does one thing at a time does nothing else meanwhile."""

Carry = Callable[[list[Outcome], int], Sequence[Run]]
"""Settles outcomes, and claims up to so many jobs."""


class Load:
    """What a slot has for the store, and gets from it."""

    def __init__(self, outcomes: list[Outcome], lock: threading.Lock) -> None:
        self.outcomes = outcomes
        self.runs: list[Run] = []
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
        return [load, *(self._waiting.popleft() for _ in range(min(most - 1, len(self._waiting))))]

    def _call(self) -> None:
        """Have the first of those who wait go, if there is a place."""
        if self._waiting and self._away < AWAY:
            self._waiting[0].changed.notify()
