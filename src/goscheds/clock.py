"""The only room that asks for the time, and the arithmetic of moments.

Stores count in integers, microseconds since the epoch: exact, the same in every store, and comparable in Lua, whose
numbers are doubles (2200-01-01 is 7.3e15, under 2**53 = 9.0e15).
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from goscheds.errors import BadMoment

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = -62_135_596_800_000_000  # year 1, where Python's datetime begins
LATEST = 7_258_118_400_000_000  # 2200-01-01T00:00:00Z
MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """An aware datetime as microseconds since the epoch. Raises BadMoment if it is naive or outside 1970 to 2200."""
    if not isinstance(moment, datetime):
        raise BadMoment(f"{moment!r:.80} is not a datetime.")
    if moment.utcoffset() is None:
        raise BadMoment(
            f"{moment!r} is a naive datetime: which moment it means depends on the machine that reads it. "
            "Give it a time zone, e.g. datetime(…, tzinfo=UTC) or datetime.now(UTC)."
        )
    micros = (moment - EPOCH) // MICROSECOND
    if not 0 <= micros <= LATEST:
        raise BadMoment(f"{moment!r} is outside the moments that every store can keep: 1970-01-01 to 2200-01-01 (UTC).")
    return micros


def from_micros(micros: int) -> datetime:
    """Microseconds since the epoch as an aware datetime in UTC; the nearest there is, of what no store can keep."""
    return EPOCH + timedelta(microseconds=min(max(micros, EARLIEST), LATEST))


def duration_micros(duration: timedelta, what: str) -> int:
    """A timedelta as microseconds. Raises BadMoment if it is negative or longer than 200 years."""
    if not isinstance(duration, timedelta):
        raise BadMoment(f"{what} is {duration!r:.80}; it must be a timedelta.")
    micros = duration // MICROSECOND
    if not 0 <= micros <= LATEST:
        raise BadMoment(f"{what} is {duration!r}; it must be between zero and 200 years.")
    return micros


class Clock(Protocol):
    """What the memory store tells the time by."""

    def now(self) -> int:
        """Microseconds since the epoch."""

    def wait(self, changed: threading.Condition, micros: int) -> None:
        """Wait, holding ``changed``, until it is notified or ``micros`` have passed by this clock."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000

    def wait(self, changed: threading.Condition, micros: int) -> None:
        """Wait in real time."""
        changed.wait(micros / 1_000_000)


class ManualClock:
    """A clock that moves when a test says so. Waiters wake at every ``advance``."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = to_micros(start) if start else SystemClock().now()
        self._waiting: set[threading.Condition] = set()
        self._lock = threading.Lock()

    def now(self) -> int:
        """Microseconds since the epoch."""
        return self._now

    def advance(self, duration: timedelta) -> None:
        """Move on by ``duration`` and wake whoever waits."""
        with self._lock:
            self._now += duration_micros(duration, "The step")
            waiting = list(self._waiting)
        for changed in waiting:
            with changed:
                changed.notify_all()

    def wait(self, changed: threading.Condition, micros: int) -> None:
        """Wait until notified or advanced; in real time no longer than ``micros``, so that no thread hangs for ever."""
        with self._lock:
            self._waiting.add(changed)
        changed.wait(micros / 1_000_000)
