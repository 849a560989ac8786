"""The worker: claims jobs and runs them, and does the duties, so that one process is a complete deployment."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any

import msgspec

from goscheds.clock import duration_micros
from goscheds.crew import Crew
from goscheds.errors import ConfigError
from goscheds.handlers import Explicit, Registry
from goscheds.scheduler import Scheduler, check_queue

log = logging.getLogger("goscheds")
SLOTS = 8
"""Jobs at a time in a queue that no number was given for."""
SHORTEST_LEASE = timedelta(seconds=1)


class Worker:
    """Runs the jobs of some queues.

    Args:
        scheduler: whose jobs; its handlers are known here.
        queues: how many jobs at a time, by queue. Left out, it is 8 for ``default`` and for every queue that a
            registered handler names, so that a forgotten option never leaves jobs lying. Empty: the duties alone.
        lease: how long after its last sign of life a worker's jobs are taken back. At least a second.
        grace: how long running jobs may go on after ``stop`` or SIGTERM before they are given back.

    Raises ConfigError.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        queues: Mapping[str, int] | None = None,
        *,
        lease: timedelta = timedelta(seconds=10),
        grace: timedelta = timedelta(seconds=30),
    ) -> None:
        if lease < SHORTEST_LEASE:
            raise ConfigError(f"lease is {lease}; under a second, a busy machine loses live workers' jobs.")
        for queue, slots in (queues or {}).items():
            check_queue(queue)
            if slots < 1:
                raise ConfigError(f"Queue {queue!r} is given {slots} slots; it needs 1 or more, or to be left out.")
        self._scheduler = scheduler
        self._queues = queues
        self._lease = lease.total_seconds()
        self._grace = duration_micros(grace, "grace") / 1_000_000
        self._own = Registry()
        self._stopping = threading.Event()
        self._crew: Crew | None = None

    def register_handler(self, name: str, function: Callable[..., Any], *, queue: str = "default") -> None:
        """Run jobs of ``name`` with ``function(job)``, sync or async. Raises ConfigError if the name is taken."""
        self._own.add(Explicit(name, function), check_queue(queue))

    @property
    def handlers(self) -> Registry:
        """The scheduler's handlers and this worker's own."""
        return self._scheduler.handlers.merged(self._own)

    @property
    def queues(self) -> dict[str, int]:
        """How many jobs at a time, by queue."""
        if self._queues is not None:
            return dict(self._queues)
        return dict.fromkeys(("default", *self.handlers.queues()), SLOTS)

    def run(self) -> None:
        """Work, and block, until ``stop`` or a signal: SIGTERM and SIGINT drain, a second one leaves at once.

        Raises StoreError if the store can't be reached at the start; later outages are waited out.
        """
        self._stopping.clear()
        crew = self._muster()
        self._warn_unserved()
        with _signals(self._signalled):
            crew.start()
            log.info("Worker %s serves %s at %s.", crew.id, _listed(self.queues), self._scheduler.url)
            while not self._stopping.wait(0.5):  # in pieces, so that a signal is heard on every platform
                pass
            log.info("Worker %s stops: up to %g s for what runs.", crew.id, self._grace)
            crew.close(self._grace)
            log.info("Worker %s has stopped.", crew.id)

    def stop(self) -> None:
        """Let ``run`` end: claim nothing more, finish what runs within the grace period, give the rest back."""
        self._stopping.set()

    def drain(self) -> int:
        """Run jobs in this thread until none is ready or due; how many. For scripts and tests. Raises StoreError."""
        crew = self._muster()
        return crew.drain()

    def _muster(self) -> Crew:
        worker = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        info = {"host": socket.gethostname(), "pid": os.getpid(), "queues": self.queues, "started": time.time()}
        self._crew = Crew(self._scheduler, self.handlers, self.queues, worker, self._lease, msgspec.json.encode(info))
        return self._crew

    def _warn_unserved(self) -> None:
        unserved = sorted(set(self.handlers.queues()) - set(self.queues)) if self.queues else []
        if unserved:
            log.warning("No slots here for %s, which handlers name: other workers must serve them.", _listed(unserved))

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if self._stopping.is_set() and self._crew:
            log.warning("A second %s: leaving at once.", signal.Signals(number).name)
            self._crew.hurry()
        self._stopping.set()


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle SIGTERM and SIGINT; outside the main thread Python can't, and ``Worker.stop`` is the way to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _listed(queues: object) -> str:
    if isinstance(queues, Mapping):
        return ", ".join(f"{queue} ({slots})" for queue, slots in queues.items()) or "the duties alone"
    return ", ".join(map(str, queues)) if isinstance(queues, list) else str(queues)
