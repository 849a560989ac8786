"""A worker's parts at work, from its first heartbeat to its last: made anew each time it runs, under a new id."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from goscheds.duties import Duties
from goscheds.execution import Execution
from goscheds.handlers import Registry
from goscheds.heart import Heart
from goscheds.holdings import Holdings
from goscheds.lanes import Lane, ThreadLane
from goscheds.loop import LoopThread
from goscheds.record import State
from goscheds.scheduler import Scheduler
from goscheds.store import Interruptible
from goscheds.streams import AsyncLane
from goscheds.watch import Watch

BLOCK_INTERRUPTIBLE, BLOCK = 5.0, 1.0
"""Seconds that an idle claim waits in the store: longer where ``stop`` can cut it short."""
DRAINED = 20
"""Jobs that ``drain`` claims at once."""
PATIENCE = 0.05
"""Seconds between looks for the end of the grace period."""


class Crew:
    """The threads of one running worker: its heart, its watch, its duties, and a lane for each queue."""

    def __init__(
        self,
        scheduler: Scheduler,
        handlers: Registry,
        queues: Mapping[str, int],
        id: str,
        lease: float,
        info: bytes,
    ) -> None:
        self.id = id
        store = scheduler.store
        self._store = store
        self._queues = queues
        self._loop = LoopThread()
        self._execution = Execution(handlers, scheduler.keep, id, self._loop)
        self._holdings = Holdings(store, id, self._execution, self._loop)
        self._heart = Heart(self._holdings, lease, lambda: info)
        self._watch = Watch(self._holdings, self._execution)
        keep = {
            State.DONE: scheduler.keep_done,
            State.CANCELLED: scheduler.keep_done,
            State.DEAD: scheduler.keep_dead,
        }
        self._duties = Duties(self._holdings, self._execution, keep, lease)
        block = BLOCK_INTERRUPTIBLE if isinstance(store, Interruptible) else BLOCK
        self._lanes = [self._lane(handlers, queue, slots, block) for queue, slots in queues.items()]
        self._hurried = threading.Event()

    def _lane(self, handlers: Registry, queue: str, slots: int, block: float) -> Lane:
        if handlers.asynchronous(queue):
            stopping = self._watch.stopping
            return AsyncLane(queue, slots, self._holdings, self._execution, self._loop, stopping, block)
        return ThreadLane(queue, slots, self._holdings, self._execution, self._watch, block)

    def start(self) -> None:
        """Begin to work. Raises StoreError if the store can't be reached."""
        self._heart.start()
        self._watch.start()
        self._duties.start()
        for lane in self._lanes:
            lane.start()

    def hurry(self) -> None:
        """Let ``close`` wait no longer."""
        self._hurried.set()

    def close(self, grace: float) -> None:
        """Claim nothing more, wait for what runs, give back the rest, end the lease."""
        self._watch.stopping.set()
        self._duties.stop()
        if isinstance(self._store, Interruptible):
            self._store.interrupt(self.id)
        until = time.monotonic() + grace
        while not self._hurried.is_set() and time.monotonic() < until:
            ended = [lane.join(min(until, time.monotonic() + PATIENCE)) for lane in self._lanes]
            if all(ended):
                break
        self._duties.join(min(2.0, max(0.0, until - time.monotonic())))
        self._give_back()
        self._watch.close()
        self._heart.close()
        self._loop.close()

    def _give_back(self) -> None:
        """What did not end within the grace period goes back without counting an attempt."""
        left = self._holdings.unfinished()
        for run in left:
            self._holdings.stop(run, "the worker stops")
        self._holdings.closing.set()
        self._holdings.release(left)

    def drain(self) -> int:
        """Run jobs in this thread until none is ready or due; how many runs it were. Raises StoreError."""
        self._heart.start()
        self._watch.start()
        ran = 0
        try:
            while (round := self._drain_once()) is not None:
                ran += round
            return ran
        finally:
            self._give_back()
            self._watch.close()
            self._heart.close()
            self._loop.close()

    def _drain_once(self) -> int | None:
        """One pass over duties and queues; None when there was nothing to do."""
        moved = self._duties.round(0) + self._duties.recover()
        ran = 0
        for queue in self._queues:
            while runs := self._holdings.claim(queue, DRAINED, 0):
                for run in runs:
                    outcome = self._execution.run(run)
                    if self._holdings.finish(run):
                        self._holdings.settle([outcome])
                ran += len(runs)
        return ran if ran or moved else None
