"""A worker's parts at work, from its first heartbeat to its last: made anew each time it runs, under a new id."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from queue import Empty, SimpleQueue
from types import FrameType

import msgspec

from goscheds.duties import RECOVERED, Duties
from goscheds.execution import Execution
from goscheds.handlers import Registry
from goscheds.heart import Heart
from goscheds.holdings import Holdings
from goscheds.lanes import Lane, ThreadLane
from goscheds.loop import LoopThread
from goscheds.outage import insist
from goscheds.record import Outcome
from goscheds.store import Interruptible, Store
from goscheds.streams import AsyncLane
from goscheds.verdict import Keep
from goscheds.vitals import Vitals, resident
from goscheds.watch import Watch

log = logging.getLogger("goscheds")
LEASE = 10.0
"""Seconds after a worker's last sign of life until its jobs are taken back, by default."""
BLOCK_INTERRUPTIBLE, BLOCK = 20.0, 1.0
"""Seconds that an idle claim waits in the store: longer where ``stop`` can cut it short."""
PATIENCE = 0.05
"""Seconds between looks for the end of the grace period."""
ROUND = 2.0
"""Seconds, at most, for the round of duties that is being done."""


class Crew:
    """The threads of one running worker: its heart, its watch, its duties, and a lane for each queue."""

    def __init__(
        self, store: Store, handlers: Registry, queues: Mapping[str, int], keep: Keep, lease: float = LEASE
    ) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._store = store
        self._queues = queues
        self._loop = LoopThread()
        self._execution = Execution(handlers, keep, self.id, self._loop)
        self._holdings = Holdings(store, self.id, self._execution, self._loop)
        self._heart = Heart(self._holdings, lease, self._info)
        self._watch = Watch(self._holdings, self._execution)
        self._duties = Duties(self._holdings, self._execution, keep, lease)
        self._started = time.time()
        self._handlers = handlers
        self._lease = lease
        self._lanes: list[Lane] = []
        self._hurried = False
        self._drained = 0

    def _info(self) -> bytes:
        """What others see of this worker."""
        about = {"host": socket.gethostname(), "pid": os.getpid(), "queues": self._queues, "started": self._started}
        return msgspec.json.encode(about)

    def _lane(self, queue: str, slots: int) -> Lane:
        block = BLOCK_INTERRUPTIBLE if isinstance(self._store, Interruptible) else BLOCK
        if self._handlers.asynchronous(queue):
            return AsyncLane(queue, slots, self._holdings, self._execution, self._loop, self._watch, block)
        return ThreadLane(queue, slots, self._holdings, self._execution, self._watch, block)

    def start(self, registered: Callable[[], object] = lambda: None) -> None:
        """Begin to work; ``registered`` is called before the first claim. StoreError if the store can't be reached."""
        self._heart.start()
        registered()
        self._watch.start()
        self._duties.start()
        self._lanes = [self._lane(queue, slots) for queue, slots in self._queues.items()]
        for lane in self._lanes:
            lane.start()

    def vitals(self) -> Vitals:
        """How it does, once it is registered."""
        polled = time.monotonic() - (self._holdings.leased_until - self._lease)
        stopping, worn = self._watch.stopping.is_set(), self._watch.worn
        lag, settled = self._watch.lag.longest, self._holdings.settled
        return Vitals(self.id, os.getpid(), self._lease, polled, settled, resident(), stopping, worn, lag)

    def free(self, worker: str) -> int:
        """Take the jobs of another worker back, whose process is known to have ended; how many. Raises StoreError."""
        held = sum(info.held for info in self._store.workers() if info.id == worker)
        self._store.heartbeat(worker, 0, b"")
        while self._duties.recover() == RECOVERED:
            pass
        return held

    def hurry(self) -> None:
        """Let ``close`` wait no longer."""
        self._hurried = True

    def close(self, grace: float) -> None:
        """Claim nothing more, wait for what runs, give back the rest, end the lease."""
        self._watch.stopping.set()
        self._duties.stop()
        self._interrupt()
        until = time.monotonic() + grace
        while not all(lane.join(PATIENCE) for lane in self._lanes):
            if self._hurried or time.monotonic() > until:
                break
        self._duties.join(0 if self._hurried else ROUND)
        self._end()

    def _interrupt(self) -> None:
        if isinstance(self._store, Interruptible):
            try:
                self._store.interrupt(self.id)
            except Exception as error:  # noqa: BLE001 - whatever a store raises, the worker ends
                log.warning("Worker %s could not interrupt its claims: %s They end by themselves.", self.id, error)

    def _end(self) -> None:
        self._give_back()
        for lane in self._lanes:
            lane.close()
        self._watch.close()
        self._heart.close()
        self._loop.close()

    def _give_back(self) -> None:
        """What did not end within the grace period goes back without counting an attempt."""
        left = [run for run in self._holdings.unfinished() if self._holdings.finish(run)]
        if left:
            log.warning("Worker %s: %d job(s) did not end in time and are given back.", self.id, len(left))
        for run in left:
            self._holdings.stop(run, "the worker stops")
        self._holdings.closing.set()
        self._holdings.settle([Outcome.released(run.claim) for run in left])

    def drain(self) -> int:
        """Run jobs in this thread until none is ready or due; how many runs it were. Raises StoreError."""
        self._heart.start()
        self._watch.start()
        try:
            while insist(self._drain_once, "drain", self._lease):
                pass
            return self._drained
        finally:
            self._end()

    def _drain_once(self) -> bool:
        """One pass over duties and queues; whether there was anything to do."""
        if self._holdings.doubt.is_set():
            self._holdings.reconcile()
        busy = self._duties.round(0) + self._duties.recover() > 0
        for queue in self._queues:
            while runs := self._holdings.claim(queue, 1, 0):
                busy = True
                self._drained += 1
                outcome = self._execution.run(runs[0])
                if self._holdings.finish(runs[0]):
                    self._holdings.settle([outcome])
        return busy or bool(self._store.held(self.id))  # after a lost answer: what is on its way back is not drained


Beside = Callable[[Crew], AbstractContextManager[object]]
"""Looks at a crew from beside, from before its first claim until it has ended."""


class Shift:
    """A crew's work from a start to a stop, by call or by signal; then perhaps another, with a new crew."""

    def __init__(self, muster: Callable[[], Crew]) -> None:
        self._muster = muster
        # Python runs a signal's handler between any two steps of the main thread, and an Event that is set while the
        # same thread is about to wait for it is a deadlock; SimpleQueue.put is documented as safe there.
        self._stops: SimpleQueue[None] = SimpleQueue()
        self._stopping = False
        self._crew: Crew | None = None

    def stop(self) -> None:
        """Let ``work`` end."""
        self._stops.put(None)

    def work(self, grace: float, beside: Beside = nullcontext) -> None:
        """Work, and block, until ``stop``, SIGTERM or SIGINT; a second signal leaves at once. Raises StoreError."""
        self._crew = crew = self._muster()
        with _signals(self._signalled), ExitStack() as stack:
            crew.start(lambda: stack.enter_context(beside(crew)))
            self._await_stop()
            log.info("Worker %s stops: up to %g s for what runs.", crew.id, grace)
            crew.close(grace)
        self._stops, self._stopping = SimpleQueue(), False
        log.info("Worker %s has stopped.", crew.id)

    def _await_stop(self) -> None:
        while not self._stopping:
            with suppress(Empty):
                self._stops.get(timeout=0.5)  # in pieces, so that a signal is heard on every platform
                self._stopping = True

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping and self._crew:
            log.warning("A second signal, %s: leaving at once.", signal.Signals(number).name)
            self._crew.hurry()
        self._stopping = True
        self._stops.put(None)


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle SIGTERM and SIGINT; outside the main thread Python can't, and ``stop`` is the way to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
