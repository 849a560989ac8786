"""A seat: one place for a worker, whoever sits there, whoever comes next and whoever still leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from goscheds.supervisor.child import Child

HEALTHY = 30.0
"""Seconds of service after which a child's death is no longer put down to those before it."""
FIRST, LONGEST = 0.5, 30.0
"""Seconds to wait before the second restart in a row, and at most; the first is at once."""
jitter = Random()  # noqa: S311 - it spreads load, and guards nothing


class Seat:
    """Keeps one worker at work."""

    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.worn = ""  # why whoever sits here is to be replaced
        self.child: Child | None = None
        self.heir: Child | None = None
        self.leaving: Child | None = None
        self.free_at = 0.0  # monotonic seconds; when somebody may sit down again
        self._number = number
        self._command = command
        self._failures = 0

    def __iter__(self) -> Iterator[Child]:
        """Its processes."""
        return iter([child for child in (self.child, self.heir, self.leaving) if child])

    def _spawn(self) -> Child:
        return Child(f"Child {self._number}", self._command)

    def fill(self, now: float) -> Child | None:
        """Start a worker, if the seat is empty and it is time."""
        if self.child or now < self.free_at:
            return None
        self.worn = ""
        self.child = self._spawn()
        return self.child

    def renew(self, now: float) -> Child | None:
        """Start the heir of a worn worker, which serves on until the heir does."""
        if not self.worn or self.heir or not (self.child and self.child.serving) or now < self.free_at:
            return None
        self.heir = self._spawn()
        return self.heir

    def hand_over(self, by: float) -> Child | None:
        """Let a worn worker leave, now that its heir serves; who leaves."""
        if not (self.heir and self.heir.serving and self.child):
            return None
        self.child, self.heir, self.leaving, self.worn = self.heir, None, self.child, ""
        self.leaving.drain(by)
        return self.leaving

    def vacate(self, child: Child, now: float) -> None:
        """A process has ended; whoever was asked to go costs no delay."""
        if child is self.leaving:
            self.leaving = None
            return
        served = child.vitals is not None and now - child.started > HEALTHY
        self._failures = 1 if served else self._failures + 1
        self.free_at = now + backoff(self._failures) * jitter.uniform(0.5, 1)
        if child is self.heir:
            self.heir = None
        else:
            self.child, self.heir, self.worn = self.heir, None, ""


def backoff(failures: int) -> float:
    """Seconds to wait after so many failures in a row: a death by chance is made good at once."""
    return min(LONGEST, FIRST * 2.0 ** min(failures - 2, 16)) if failures > 1 else 0.0
