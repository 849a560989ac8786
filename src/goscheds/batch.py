"""A batch of claims that one thread runs one after the other, and how large to make it."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import sqrt
from typing import TypeVar

from goscheds.execution import Run
from goscheds.record import Outcome

T = TypeVar("T")
MAX_BATCH = 100
SHORT, LONG = 0.010, 0.025
"""Seconds that a batch may take: it doubles below the first, and halves above the second. A job above it is long."""
PATIENCE = 0.05
"""Seconds that claims wait in a worker, at most, before they are given back."""
RISK = 0.01
"""The share of jobs that may be claimed in one batch with a long one, and wait behind it."""


class Batch:
    """Claims that one thread runs one after the other, which the watch may take from it.

    ``slow`` is called when it does.
    """

    def __init__(self, runs: Sequence[Run], slow: Callable[[], object] = lambda: None) -> None:
        self.slow = slow
        self.broken = False  # what waited was given back, and the pace told
        self.began = self._since = time.monotonic()
        self._longest = 0.0
        self._waiting = deque(runs)
        self._outcomes: deque[Outcome] = deque()

    def next(self) -> Run | None:
        """The next claim to run, once the one before has ended."""
        now = time.monotonic()
        self._longest = max(self._longest, now - self._since)
        self._since = now
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    @property
    def longest(self) -> float:
        """Seconds that the longest of those took that have ended."""
        return self._longest

    def late(self, now: float) -> bool:
        """Whether what waits has waited too long: for the batch, or for the one that runs, which may be a long one."""
        return now - self._since > LONG or now - self.began > PATIENCE

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome until the batch is settled."""
        self._outcomes.append(outcome)

    def take_waiting(self) -> list[Run]:
        """The claims not begun, which the caller now has."""
        return _drain(self._waiting)

    def take_outcomes(self) -> list[Outcome]:
        """The outcomes not settled, which the caller now has."""
        return _drain(self._outcomes)


class Backlog:
    """Claims that a loop has not begun yet, the oldest first, which the watch may take from it."""

    def __init__(self, slow: Callable[[], object]) -> None:
        self.slow = slow
        self.broken = False
        self._waiting: deque[Run] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def late(self, now: float) -> bool:
        """Whether the oldest has waited too long."""
        try:
            return now - self._waiting[0].taken > PATIENCE
        except IndexError:
            return False

    def add(self, runs: Sequence[Run]) -> None:
        """Let claims wait."""
        now = time.monotonic()
        for run in runs:
            run.taken = now
        self._waiting.extend(runs)

    def next(self) -> Run | None:
        """The next claim to run."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def take_waiting(self) -> list[Run]:
        """The claims not begun, which the caller now has."""
        return _drain(self._waiting)

    def take_outcomes(self) -> list[Outcome]:
        """Outcomes don't stay here."""
        return []


def _drain(items: deque[T]) -> list[T]:
    """All of them, while another thread may be taking them as well."""
    taken: list[T] = []
    with contextlib.suppress(IndexError):
        while True:
            taken.append(items.popleft())
    return taken


class Pace:
    """How many jobs to claim at once: as many as run in a hundredth of a second.

    Where long jobs turn up among short ones, as many as keep it rare that one waits behind a long one. If each nth job
    is long, a batch of n / 100 puts half a hundredth of all jobs behind one.
    """

    def __init__(self) -> None:
        self.limit = 1
        self._apart = MAX_BATCH / RISK  # short jobs between two long ones, as a rule
        self._short = 0  # since the last long one

    def learn(self, ran: int, seconds: float, longest: float) -> None:
        """A batch of so many jobs took so long, and the longest of them so long."""
        if longest > LONG:
            self.slow()
            return
        self._short += ran
        if seconds > LONG:
            self.limit = max(1, self.limit // 2)
        elif seconds < SHORT and ran >= self.limit:
            rare = int(RISK * max(self._apart, self._short))
            self.limit = max(1, min(MAX_BATCH, self.limit * 2, rare))

    def slow(self) -> None:
        """A long job turned up, or others waited: one at a time, until they prove short again."""
        self.limit = 1
        if self._short:  # or the whole process stood still, and each slot says so
            self._apart = sqrt(self._apart * self._short)  # a queue that has changed is known by a few long ones
            self._short = 0


def apart(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """A job that crashed a worker before runs alone in its batch: which to run, and which to give back."""
    if runs and runs[0].meta.crashes:
        return runs[:1], runs[1:]
    return [run for run in runs if not run.meta.crashes], [run for run in runs if run.meta.crashes]
