"""The slots of a lane on their way to the store: a few at a time, and those who wait long go together with the next.

Databases commit in groups likewise. So claims of one queue don't stand in each other's way: on Postgres each steps over
what the others have locked, and locks what they have just committed, and with eight of them at a time a no-op job took
the server 40 µs, with two 29. Only a store that asks for it (``abreast``) gets so few: of Redis two at a time took four
fifths of what eight take, of SQLite seven eighths, of a store 20 ms away two thirds.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from goscheds.execution import Run
from goscheds.record import Outcome

MOST = 400
"""Claims that a trip asks for, at most: a server that does one thing at a time does nothing else meanwhile."""
FULL, LATE = 100, 0.005
"""Outcomes that go together in any case; and seconds, from when on more do. A full batch gains nothing by company, and
several threads that come home at once only take turns at the interpreter."""

HUNG = 1.0
"""Seconds after which nobody waits for a trip: its connection may be dead, and that takes 5 to 20 s to show. Two such
connections of ten stood a whole lane still until then."""

Carry = Callable[[list[Outcome], int], Sequence[Run]]
"""Settles outcomes, and claims up to so many jobs."""


class Load:
    """What a slot has for the store, and gets from it."""

    def __init__(self, outcomes: list[Outcome], lock: threading.Lock) -> None:
        self.outcomes = outcomes
        self.runs: list[Run] = []
        self.since = time.monotonic()
        self.error: BaseException | None = None
        self.brought = False
        self.left = False  # its slot waits no longer
        self.changed = threading.Condition(lock)  # brought, or it may be the one to go


class Trips:
    """Takes outcomes to the store and brings claims back, for several slots at once."""

    def __init__(self, carry: Carry, abreast: int) -> None:
        self._carry = carry
        self._abreast = abreast  # trips at a time
        self._lock = threading.Lock()
        self._waiting: deque[Load] = deque()
        self._away: list[float] = []  # since when, monotonic seconds; the last to go at the end

    def go(self, outcomes: list[Outcome], limit: int) -> list[Run]:
        """Settle outcomes and claim up to so many jobs, as others may have to do it for the caller. Raises StoreError.

        A slot that was taken along by a trip that hangs leaves it its outcomes, and gets no claims.
        """
        load = Load(outcomes, self._lock)
        with self._lock:
            self._waiting.append(load)
            while load in self._waiting and (seconds := self._full()) > 0:
                load.changed.wait(seconds)
            if load not in self._waiting:  # another slot took it along
                load.left = not load.changed.wait_for(lambda: load.brought, HUNG)
                if load.error:
                    raise load.error
                return load.runs
            loads = self._board(load, max(1, MOST // limit))
            began = time.monotonic()
            self._away.append(began)
            self._call()  # two may have come home before anybody looked
        runs: Sequence[Run] = ()
        try:
            runs = self._carry([outcome for one in loads for outcome in one.outcomes], limit * len(loads))
        except BaseException as error:
            load.error = error
            raise
        finally:
            with self._lock:
                self._away.remove(began)
                self._share(runs, [one for one in loads if not one.left], load.error)
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

    @staticmethod
    def _share(runs: Sequence[Run], loads: list[Load], error: BaseException | None) -> None:
        """Hand out what was brought, in the order of the line, as all begin together."""
        for nth, load in enumerate(loads):
            load.runs = [*runs[nth :: len(loads)]]
            load.error = error
            load.brought = True
            load.changed.notify()

    def _full(self) -> float:
        """Seconds until there is a place, if no trip ends."""
        if len(self._away) < self._abreast:
            return 0.0
        return self._away[-self._abreast] + HUNG - time.monotonic()

    def _call(self) -> None:
        """Have the first of those who wait go, if there is a place."""
        if self._waiting and self._full() <= 0:
            self._waiting[0].changed.notify()
