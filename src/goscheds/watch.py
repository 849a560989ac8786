"""The worker's watch over what runs: attempts past their timeout, slow batches, claims in doubt, the loop's lag.

It looks every 50 ms while there is something to look at, every 10 while others wait in a batch, and sleeps otherwise.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from goscheds.batch import Backlog, Batch
from goscheds.execution import Execution, Run
from goscheds.holdings import Holdings
from goscheds.job import label
from goscheds.lag import Lag
from goscheds.outage import Outage
from goscheds.verdict import TimedOut

log = logging.getLogger("goscheds")
GLANCE, CLOSE_GLANCE = 0.05, 0.01
"""Seconds between looks; the second is for jobs that may wait behind a long one of their batch."""
LAST = 2.0
"""Seconds for the last look."""
DOUBT = 0.5
"""Seconds, at most, between tries to find out what the store thinks we hold."""


class Watch:
    """Looks after a worker's running jobs, in a thread of its own."""

    def __init__(self, holdings: Holdings, execution: Execution) -> None:
        self.stopping = threading.Event()
        self.worn = ""  # why the worker should be replaced
        self.spares: dict[str, Callable[[Run], bool]] = {}  # by queue: opens a slot in the place of one that hangs
        self._holdings = holdings
        self._execution = execution
        self.lag = Lag(execution.loop)
        self._stir = threading.Event()
        self._done = threading.Event()
        self._batches: set[Batch | Backlog] = set()
        self._thread = threading.Thread(target=self._look, name="goscheds-watch", daemon=True)
        holdings.stir = execution.loop.used = self._stir.set

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more. A look that hangs in the store is left behind."""
        self._done.set()
        self._stir.set()
        self._thread.join(LAST)

    @contextmanager
    def over(self, batch: Batch, size: int) -> Iterator[None]:
        """Watch a batch while it runs; a batch of one has nothing to give back."""
        if size == 1:
            yield
            return
        self.mind(batch)
        try:
            yield
        finally:
            self.forget(batch)

    def mind(self, batch: Batch | Backlog) -> None:
        """Watch a batch from now on."""
        self._batches.add(batch)
        if not self._stir.is_set():
            self._stir.set()

    def forget(self, batch: Batch | Backlog) -> None:
        """A batch has nothing left to give back."""
        self._batches.discard(batch)

    def _look(self) -> None:
        outage = Outage(f"Worker {self._holdings.worker}, its watch", self._done, DOUBT)
        while not self._done.is_set():
            self._stir.wait()
            self._stir.clear()
            with outage:
                self._look_once(time.monotonic())
            self._done.wait(CLOSE_GLANCE)
            if self._unhurried() and not self._batches:
                self._done.wait(GLANCE - CLOSE_GLANCE)
            if self._batches or self._unhurried():
                self._stir.set()

    def _unhurried(self) -> bool:
        """Whether there is something to look at now and then."""
        on_the_loop = self.lag.matters and len(self._holdings) > 0
        return bool(self._holdings.timed) or self._holdings.doubt.is_set() or on_the_loop

    def _look_once(self, now: float) -> None:
        self.lag.look(now)
        for batch in list(self._batches):
            if batch.late(now):
                if waiting := batch.take_waiting():
                    batch.broken = True
                    batch.slow()
                    self._holdings.release(waiting)
                self._holdings.settle(batch.take_outcomes())
        for run in self._holdings.overdue(now):
            self._end(run)
        if self._holdings.doubt.is_set():
            self._holdings.reconcile()

    def _end(self, run: Run) -> None:
        """A thread can't be killed: its attempt ends here without it, and what it still does counts for nothing."""
        if self._holdings.finish(run):  # first, or a handler that stops when told to would say how it ended
            self._holdings.stop(run, "the job's timeout is over")
            self._replace(run)
            self._holdings.settle([self._execution.judge(run, TimedOut())])

    def _replace(self, run: Run) -> None:
        record = run.claim.record
        spare = self.spares.get(record.queue)
        replaced = spare is not None and spare(run)
        then = "a spare slot takes its place" if replaced else "its slot is taken until it returns"
        log.warning("Job %s is past its timeout and still runs; %s.", label(record), then)
        if self.worn and not replaced:
            log.error("Worker %s should be replaced: %s.", self._holdings.worker, self.worn)
