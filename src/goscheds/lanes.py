"""A lane is a queue's slots in a worker. Each slot is a thread that claims a batch, runs it, settles it, claims again.

No job passes from thread to thread on its way. A batch is larger than one only while jobs are short; when one turns out
slow, the rest of its batch is given back, and what is done of it is settled, by the worker's watch.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol, TypeVar

from goscheds.errors import StoreError
from goscheds.execution import Execution, Run
from goscheds.holdings import Holdings
from goscheds.outage import Outage
from goscheds.record import Outcome
from goscheds.watch import Watch

T = TypeVar("T")
MAX_BATCH = 100
SHORT, LONG = 0.010, 0.025
"""Seconds that a batch may take: it doubles below the first, and halves above the second."""


class Lane(Protocol):
    """A queue's slots."""

    def start(self) -> None:
        """Begin to claim."""

    def join(self, until: float) -> bool:
        """Wait for what runs, until a monotonic moment; whether all of it ended."""


class Batch:
    """Claims that one thread runs one after the other, which the watch may take from it."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.began = time.monotonic()
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


def _drain(items: deque[T]) -> list[T]:
    return [items.popleft() for _ in range(len(items))]


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


def apart(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """A job that crashed a worker before runs alone in its batch: which to run, and which to give back."""
    if runs and runs[0].meta.crashes:
        return runs[:1], runs[1:]
    return [run for run in runs if not run.meta.crashes], [run for run in runs if run.meta.crashes]


class ThreadLane:
    """A lane of sync handlers; an async one that turns up holds its slot while it runs on the loop."""

    def __init__(
        self, queue: str, slots: int, holdings: Holdings, execution: Execution, watch: Watch, block: float
    ) -> None:
        self._queue = queue
        self._slots = slots
        self._holdings = holdings
        self._execution = execution
        self._watch = watch
        self._block = block
        self._pace = Pace()
        self._outage = Outage(f"Queue {queue!r}", watch.stopping)
        self._idle = threading.Lock()  # one slot at a time waits in the store; the others wait for their turn
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to claim."""
        for slot in range(self._slots):
            thread = threading.Thread(target=self._serve, name=f"goscheds-{self._queue}-{slot}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def join(self, until: float) -> bool:
        """Wait for what runs, until a monotonic moment; whether all of it ended."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _serve(self) -> None:
        while not self._watch.stopping.is_set():
            try:
                runs = self._claim()
            except StoreError as error:
                self._outage.endure(error)
                continue
            self._outage.over()
            begin, back = apart(runs)
            if back:
                self._holdings.release(back)
            if begin:
                self._run(Batch(begin), len(begin))

    def _claim(self) -> list[Run]:
        if runs := self._holdings.claim(self._queue, self._pace.limit, 0):
            return runs
        with self._idle:
            while not self._watch.stopping.is_set():
                if runs := self._holdings.claim(self._queue, 1, self._block):
                    return runs
        return []

    def _run(self, batch: Batch, size: int) -> None:
        with self._watch.over(batch, size):
            while run := batch.next():
                if self._watch.stopping.is_set() and size > 1:
                    self._holdings.release([run, *batch.take_waiting()])
                    break
                outcome = self._execution.run(run)
                if self._holdings.finish(run):
                    batch.add(outcome)
        self._pace.learn(size, time.monotonic() - batch.began)
        self._holdings.settle(batch.take_outcomes())
