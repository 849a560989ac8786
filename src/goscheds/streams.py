"""A lane of async handlers: one thread claims, one loop runs thousands of them, one thread settles what is done."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence

from goscheds.batch import MAX_BATCH
from goscheds.execution import Execution, Run
from goscheds.holdings import Holdings
from goscheds.loop import LoopThread
from goscheds.outage import Outage
from goscheds.record import Outcome

LAST = 2.0
"""Seconds for the last settle."""


class AsyncLane:
    """Up to ``slots`` jobs at a time on the event loop; a sync handler that turns up runs in a thread."""

    def __init__(
        self,
        queue: str,
        slots: int,
        holdings: Holdings,
        execution: Execution,
        loop: LoopThread,
        stopping: threading.Event,
        block: float,
    ) -> None:
        self._queue = queue
        self._free = slots
        self._slots = slots
        self._holdings = holdings
        self._execution = execution
        self._loop = loop
        self._stopping = stopping
        self._block = block
        self._outcomes: deque[Outcome] = deque()
        self._freed = threading.Condition()
        self._ended = threading.Event()
        self._closed = threading.Event()
        self._tasks: dict[Run, asyncio.Task[None]] = {}  # the loop itself would let them be collected
        self._claiming = threading.Thread(target=self._claim, name=f"goscheds-{queue}-claim", daemon=True)
        self._settling = threading.Thread(target=self._settle, name=f"goscheds-{queue}-settle", daemon=True)

    def start(self) -> None:
        """Begin to claim."""
        self._claiming.start()
        self._settling.start()

    def join(self, seconds: float) -> bool:
        """Wait up to so many seconds for what runs; whether all of it ended."""
        until = time.monotonic() + seconds
        self._claiming.join(seconds)
        with self._freed:
            idle = self._freed.wait_for(lambda: self._free == self._slots, max(0.0, until - time.monotonic()))
        return idle and not self._claiming.is_alive()

    def close(self) -> None:
        """Settle what has ended, and no more."""
        self._closed.set()
        self._ended.set()
        self._settling.join(LAST)

    def _claim(self) -> None:
        outage = Outage(f"Queue {self._queue!r}", self._stopping)
        while not self._stopping.is_set():
            with outage:
                limit = self._wait_free()
                if limit and not self._stopping.is_set():
                    self._begin(self._holdings.claim(self._queue, limit, self._block))

    def _begin(self, runs: Sequence[Run]) -> None:
        if self._stopping.is_set():
            self._holdings.release(runs)
        elif runs:
            with self._freed:
                self._free -= len(runs)
            self._loop.call(self._spawn, runs)

    def _wait_free(self) -> int:
        with self._freed:
            self._freed.wait_for(lambda: self._free > 0, self._block)
            return min(MAX_BATCH, self._free)

    def _spawn(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._tasks[run] = asyncio.get_running_loop().create_task(self._run(run))

    async def _run(self, run: Run) -> None:
        try:
            outcome = await self._execution.arun(run)
        finally:
            del self._tasks[run]
        if self._holdings.finish(run):
            self._outcomes.append(outcome)
            if not self._ended.is_set():  # to set it takes its lock each time, and that is 1 µs a job
                self._ended.set()
        else:
            self._release(1)

    def _settle(self) -> None:
        """Settle whatever ended while the last settle was on its way: batches grow with the load, and none waits."""
        outage = Outage(f"Queue {self._queue!r}, settling", self._closed)
        while not self._closed.is_set() or self._outcomes:
            self._ended.wait()
            self._ended.clear()
            outcomes = [self._outcomes.popleft() for _ in range(min(MAX_BATCH, len(self._outcomes)))]
            if self._outcomes or self._closed.is_set():
                self._ended.set()
            if outcomes:
                with outage:
                    self._holdings.settle(outcomes)
                self._release(len(outcomes))

    def _release(self, slots: int) -> None:
        with self._freed:
            self._free += slots
            self._freed.notify_all()
