"""A lane is a queue's slots in a worker. Each slot is a thread that claims a batch, runs it, settles it, claims again.

No job passes from thread to thread on its way. A batch is larger than one only while jobs are short; when one turns out
slow, the rest of its batch is given back, and what is done of it is settled, by the worker's watch.

A handler that hangs past its timeout keeps its thread, which can't be killed. A spare slot takes its place, up to as
many spares as there are slots; beyond that the worker is worn out, and says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from goscheds.batch import Batch, Pace, apart
from goscheds.execution import Execution, Run
from goscheds.holdings import Holdings
from goscheds.outage import Outage
from goscheds.record import Outcome
from goscheds.trips import Trips
from goscheds.watch import Watch


class Lane(Protocol):
    """A queue's slots."""

    def start(self) -> None:
        """Begin to claim."""

    def join(self, seconds: float) -> bool:
        """Wait up to so many seconds for what runs; whether all of it ended."""

    def close(self) -> None:
        """Settle what has ended, and no more."""


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
        self._trips = Trips(self._carry, getattr(holdings.store, "abreast", slots * 2))  # as many, and their spares
        self._outage = Outage(f"Queue {queue!r}", watch.stopping)
        self._idle = threading.Lock()  # one slot at a time waits in the store; the others wait for their turn
        self._threads: list[threading.Thread] = []
        self._spares = 0
        self._sparing = threading.Lock()

    def start(self) -> None:
        """Begin to claim."""
        self._watch.spares[self._queue] = self._spare
        for slot in range(self._slots):
            self._open(f"{slot}")

    def _open(self, slot: str) -> None:
        thread = threading.Thread(target=self._serve, name=f"goscheds-{self._queue}-{slot}", daemon=True)
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
        thread.start()

    def _spare(self, run: Run) -> bool:
        """Open a slot in the place of one whose handler hangs; whether the lane has as many as it should."""
        with self._sparing:
            if run.parted or self._watch.stopping.is_set():
                return True
            if self._spares == self._slots:
                self._watch.worn = f"{self._spares + 1} handlers of the queue {self._queue!r} hang past their timeout"
                return False
            run.parted = True
            self._spares += 1
        self._open(f"spare-{run.claim.record.id}")
        return True

    def _replaced(self, run: Run) -> bool:
        """Whether a spare slot has taken the place of the caller, whose handler returned at last."""
        with self._sparing:
            replaced, run.parted = run.parted, True
            self._spares -= replaced
        return replaced

    def join(self, seconds: float) -> bool:
        """Wait up to so many seconds for what runs; whether all of it ended."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Nothing is left to do: each slot settles what it ran."""

    def _serve(self) -> None:
        """Wait for a job, and from then on work, as long as there is more to do after each batch."""
        runs: list[Run] = []
        while runs or not self._watch.stopping.is_set():
            with self._outage:
                todo, runs = runs or self._wait(), []
                begin, back = apart(todo)
                if back:
                    self._holdings.release(back)
                batch = Batch(begin, self._pace.slow)
                if self._run(batch, len(begin)):
                    return
                runs = self._go_on(batch.take_outcomes())

    def _wait(self) -> list[Run]:
        with self._idle:
            while not self._watch.stopping.is_set():
                runs = self._holdings.claim(self._queue, 1, self._block)
                self._outage.over()
                if runs:
                    return runs
        return []

    def _go_on(self, outcomes: list[Outcome]) -> list[Run]:
        """Settle a batch, and claim the next one with it."""
        if self._watch.stopping.is_set():
            self._holdings.settle(outcomes)
            return []
        runs = self._trips.go(outcomes, self._pace.limit)
        self._outage.over()
        return runs

    def _carry(self, outcomes: list[Outcome], limit: int) -> Sequence[Run]:
        """Settle and claim for those who go together; the worker may have begun to stop while they waited."""
        if self._watch.stopping.is_set():
            self._holdings.settle(outcomes)
            return []
        return self._holdings.settle_and_claim(outcomes, self._queue, limit)

    def _run(self, batch: Batch, size: int) -> bool:
        """Run a batch; whether this slot has been replaced meanwhile, and its outcomes are settled."""
        replaced = False
        with self._watch.over(batch, size):
            while run := batch.next():
                if replaced or self._watch.stopping.is_set():
                    self._holdings.release([run, *batch.take_waiting()])
                    break
                outcome = self._execution.run(run)
                if self._holdings.finish(run):
                    batch.add(outcome)
                else:
                    replaced = self._replaced(run)
        if not batch.broken:
            self._pace.learn(size, time.monotonic() - batch.began, batch.longest)
        if replaced:
            self._holdings.settle(batch.take_outcomes())
        return replaced
