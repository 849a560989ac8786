"""A batch of claims that one thread runs one after the other, and how large to make it."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import TypeVar

from goscheds.execution import Run
from goscheds.record import Outcome

T = TypeVar("T")
MAX_BATCH = 100
SHORT, LONG = 0.010, 0.025
"""Seconds that a batch may take: it doubles below the first, and halves above the second."""


class Batch:
    """Claims that one thread runs one after the other, which the watch may take from it.

    ``slow`` is called when it does.
    """

    def __init__(self, runs: Sequence[Run], slow: Callable[[], object] = lambda: None) -> None:
        self.began = time.monotonic()
        self.slow = slow
        self._waiting = deque(runs)
        self._outcomes: deque[Outcome] = deque()

    def next(self) -> Run | None:
        """The next claim to run."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

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
        self._waiting: deque[Run] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def began(self) -> float:
        """Since when the oldest waits, monotonic seconds."""
        try:
            return self._waiting[0].taken
        except IndexError:
            return inf

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
    """How many jobs to claim at once: as many as run in a hundredth of a second."""

    def __init__(self) -> None:
        self.limit = 1

    def learn(self, ran: int, seconds: float) -> None:
        """A batch of so many jobs took so long."""
        if seconds > LONG:
            self.limit = max(1, self.limit // 2)
        elif seconds < SHORT and ran >= self.limit:
            self.limit = min(MAX_BATCH, self.limit * 2)

    def slow(self) -> None:
        """A batch was broken up: one at a time, until they prove short again."""
        self.limit = 1


def apart(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """A job that crashed a worker before runs alone in its batch: which to run, and which to give back."""
    if runs and runs[0].meta.crashes:
        return runs[:1], runs[1:]
    return [run for run in runs if not run.meta.crashes], [run for run in runs if run.meta.crashes]
