"""A lane of async handlers: one loop runs thousands of them, three threads move claims in and outcomes out.

Jobs pass between threads by the batch. While one of the three waits in the store for jobs, and another is on its way
there, the third looks for what is to be done: what ended is settled soon, whatever becomes of the others. Claims run
ahead of the slots only while jobs are short, as the batches of sync lanes do, and the watch gives back what has not
begun in time.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from goscheds.batch import MAX_BATCH, Backlog, Pace
from goscheds.execution import Execution, Run
from goscheds.holdings import Holdings
from goscheds.loop import LoopThread
from goscheds.outage import Outage
from goscheds.record import Outcome
from goscheds.watch import Watch

MOVING = 2
"""Pumps on their way to the store at a time; a third is for waiting there."""
LINGER = 0.002
"""Seconds that an outcome, or a free slot, waits for more of its kind while something runs."""
LAST = 2.0
"""Seconds for the last settle."""


begin: Callable[..., asyncio.Task[None]] = asyncio.Task
if sys.version_info >= (3, 12):
    begin = partial(asyncio.Task, eager_start=True)
"""A handler that never waits takes no turn of the loop: 1 µs less. Python 3.11 can't."""


class Ended(Struct, frozen=True, gc=False):
    """What became of a run, and how long after it was taken in, seconds."""

    outcome: Outcome
    seconds: float


class Errand(NamedTuple):
    """What a pump is to do: settle, claim, or both in one."""

    ended: list[Ended]
    want: int

    @property
    def waits(self) -> bool:
        """Whether it waits in the store for jobs."""
        return self.want > 0 and not self.ended


class AsyncLane:
    """Up to ``slots`` jobs at a time on the event loop; a sync handler that turns up runs in a thread."""

    def __init__(
        self,
        queue: str,
        slots: int,
        holdings: Holdings,
        execution: Execution,
        loop: LoopThread,
        watch: Watch,
        block: float,
    ) -> None:
        self._queue = queue
        self._slots = slots
        self._holdings = holdings
        self._execution = execution
        self._loop = loop
        self._watch = watch
        self._block = block
        self._pace = Pace()
        self._claiming = Outage(f"Queue {queue!r}", watch.stopping)
        self._settling = Outage(f"Queue {queue!r}, settling", watch.stopping)
        self._backlog = Backlog(self._pace.slow)
        self._running = 0  # changed by the loop's thread alone
        self._beginning = False  # the loop's thread is at it
        self._called = False  # and will be again
        self._tasks: dict[Run, asyncio.Task[None]] = {}  # the loop itself would let them be collected
        self._ended: deque[Ended] = deque()
        self._errands = 0  # pumps that are on one
        self._wanted = 0  # claims on their way
        self._waits = False  # whether a pump waits in the store
        self._closed = False
        self._turn = threading.Lock()  # one pump at a time looks for an errand
        self._changed = threading.Condition()
        self._pumps = [
            threading.Thread(target=self._pump, name=f"goscheds-{queue}-pump-{number}", daemon=True)
            for number in range(MOVING + 1)
        ]

    def start(self) -> None:
        """Begin to claim."""
        self._call()  # nothing yet, but the loop is there when the watch first looks
        for pump in self._pumps:
            pump.start()

    def join(self, seconds: float) -> bool:
        """Wait up to so many seconds for what runs; whether all of it ended, and is settled."""
        with self._changed:
            self._changed.notify_all()
            return self._changed.wait_for(self._over, seconds)

    def _over(self) -> bool:
        return not (self._in_hand() or self._ended or self._errands)

    def close(self) -> None:
        """Settle what has ended, and no more."""
        until = time.monotonic() + LAST
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for pump in self._pumps:
            pump.join(max(0.0, until - time.monotonic()))

    def _in_hand(self) -> int:
        """Claims on their way, waiting and running."""
        return self._wanted + len(self._backlog) + self._running

    def _room(self) -> int:
        """How many to claim: for the free slots, and beyond them up to two batches of jobs that are short."""
        if self._waits or self._watch.stopping.is_set():
            return 0
        hands = max(self._slots, 2 * self._pace.limit - 1)
        return max(0, min(MAX_BATCH, hands - self._in_hand()))

    def _left_over(self) -> bool:
        """Whether claims wait that will not begin, as the lane stops."""
        return self._watch.stopping.is_set() and len(self._backlog) > 0

    def _due(self) -> bool:
        """Whether there is anything to do, and not too many are at it."""
        if self._errands - self._waits >= MOVING:
            return False
        return bool(self._ended) or self._closed or self._left_over() or self._room() > 0

    def _pressing(self) -> bool:
        """Whether it is to be done at once: a batch is full, or nothing runs that would fill it."""
        return (
            len(self._ended) >= MAX_BATCH
            or not (self._running or self._backlog)
            or self._closed
            or self._watch.stopping.is_set()
        )

    def _pump(self) -> None:
        while errand := self._next_errand():
            runs: list[Run] = []
            with self._claiming if errand.want else self._settling:
                runs = self._do(errand)
            self._take_in(runs, errand)

    def _next_errand(self) -> Errand | None:
        """Wait for something to do; None once the lane is closed and all is settled."""
        with self._turn, self._changed:
            while True:
                self._changed.wait_for(self._due)
                self._changed.wait_for(self._pressing, LINGER)
                if self._closed and not self._ended:
                    return None
                if self._due():
                    break
            ended = [self._ended.popleft() for _ in range(min(MAX_BATCH, len(self._ended)))]
            errand = Errand(ended, self._room())
            self._errands += 1
            self._wanted += errand.want
            self._waits = self._waits or errand.waits
            return errand

    def _do(self, errand: Errand) -> list[Run]:
        """Settle and claim; what was claimed."""
        if self._left_over():
            self._holdings.release(self._backlog.take_waiting())
        if errand.waits:
            return self._holdings.claim(self._queue, errand.want, self._block)
        if errand.ended:
            longest = max(one.seconds for one in errand.ended)
            self._pace.learn(len(errand.ended), longest, longest)
        outcomes = [one.outcome for one in errand.ended]
        if errand.want:
            return self._holdings.settle_and_claim(outcomes, self._queue, errand.want)
        self._holdings.settle(outcomes)
        return []

    def _take_in(self, runs: list[Run], errand: Errand) -> None:
        """Let the loop begin what was claimed, unless the lane stops."""
        stopping = self._watch.stopping.is_set()
        if stopping:
            with self._settling:
                self._holdings.release(runs)
        with self._changed:
            self._errands -= 1
            self._wanted -= errand.want
            self._waits = self._waits and not errand.waits
            if runs and not stopping:
                self._backlog.add(runs)
            self._changed.notify_all()
        if runs and not stopping:
            self._watch.mind(self._backlog)
            self._call()

    def _call(self) -> None:
        """Let the loop begin what waits, once."""
        if not self._called:
            self._called = True
            self._loop.call(self._begin)

    def _begin(self) -> None:
        """Begin as many as there are slots for; on the loop. A job that ends at once calls it again, from within."""
        if self._beginning:
            return
        self._beginning, self._called = True, False
        try:
            for _ in range(MAX_BATCH):
                if self._running >= self._slots or self._watch.stopping.is_set():
                    return
                self._running += 1  # first, so that nobody ever sees one less in hand than there are
                run = self._backlog.next()
                if run is None:
                    self._running -= 1
                    self._rest()
                    return
                self._start(run)
        finally:
            self._beginning = False
        self._call()  # others have a turn

    def _rest(self) -> None:
        """Nothing waits for a slot."""
        self._watch.forget(self._backlog)
        if self._backlog:  # they came in between
            self._watch.mind(self._backlog)

    def _start(self, run: Run) -> None:
        """Begin one, in a context of its own: what a handler sets there is not the next one's."""
        own = contextvars.Context()
        task = begin(self._run(run), loop=asyncio.get_running_loop(), name=run.claim.record.id, context=own)
        if not task.done():
            self._tasks[run] = task

    async def _run(self, run: Run) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._execution.arun(run)
        finally:
            self._tasks.pop(run, None)
            reports = False  # or somebody else said how it ended, and nothing but its slot is news
            if outcome is not None and self._holdings.finish(run):
                self._ended.append(Ended(outcome, time.monotonic() - run.taken))
                reports = True
            self._running -= 1
            self._begin()
            if not reports or not self._running or len(self._ended) in (1, MAX_BATCH):
                with self._changed:
                    self._changed.notify_all()
