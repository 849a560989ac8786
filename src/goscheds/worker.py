"""The worker: claims jobs and runs them, and does the duties, so that one process is a complete deployment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, Concatenate

from goscheds.clock import duration_micros
from goscheds.crew import LEASE, Beside, Crew, Shift
from goscheds.errors import ConfigError
from goscheds.handlers import Explicit, Registry
from goscheds.job import Job
from goscheds.scheduler import Scheduler, check_queue

log = logging.getLogger("goscheds")
Handler = Callable[[Job], Any] | Callable[Concatenate[Job, ...], Any]
"""Takes the job, and a Context where it asks for one. The first half is in the second, but mypy types lambdas by it."""
SLOTS, ASYNC_SLOTS = 8, 100
"""Jobs at a time in a queue that no number was given for."""
SHORTEST_LEASE = timedelta(seconds=1)


class Worker:
    """Runs the jobs of some queues.

    Args:
        scheduler: whose jobs; its handlers are known here.
        queues: how many jobs at a time, by queue. Left out, it is ``default`` and every queue that a registered
            handler names, so that a forgotten option never leaves jobs lying: 8 at a time, 100 where all of a queue's
            handlers are async. Empty: the duties alone.
        lease: how long after its last sign of life a worker's jobs are taken back. At least a second.
        grace: how long running jobs may go on after ``stop`` or SIGTERM before they are given back.

    Raises ConfigError.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        queues: Mapping[str, int] | None = None,
        *,
        lease: timedelta = timedelta(seconds=LEASE),
        grace: timedelta = timedelta(seconds=30),
    ) -> None:
        self._lease = duration_micros(lease, "lease") / 1_000_000
        self._grace = duration_micros(grace, "grace") / 1_000_000
        if lease < SHORTEST_LEASE:
            raise ConfigError(f"lease is {lease}; under a second, a busy machine loses live workers' jobs.")
        for queue, slots in (queues or {}).items():
            check_queue(queue)
            if type(slots) is not int or slots < 1:
                raise ConfigError(
                    f"Queue {queue!r} is given {slots!r:.80} slots; it needs 1 or more, or to be left out."
                )
        self._scheduler = scheduler
        self._queues = queues
        self._own = Registry()
        self._shift = Shift(self._muster)

    def register_handler(self, name: str, function: Handler, *, queue: str = "default") -> None:
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
        handlers = self.handlers
        return {
            queue: ASYNC_SLOTS if handlers.asynchronous(queue) else SLOTS
            for queue in ("default", *(queue for queue in handlers.queues() if queue != "default"))
        }

    def run(self, beside: Beside = nullcontext) -> None:
        """Work, and block, until ``stop`` or a signal: SIGTERM and SIGINT drain, a second one leaves at once.

        ``beside`` is for those who look at a worker while it works, as a supervisor does. Raises StoreError if the
        store can't be reached at the start; later outages are waited out.
        """
        self._warn_unserved()
        self._shift.work(self._grace, beside)

    def stop(self) -> None:
        """Let ``run`` end: claim nothing more, finish what runs within the grace period, give the rest back."""
        self._shift.stop()

    def drain(self) -> int:
        """Run jobs in this thread until none is ready or due; how many. For scripts and tests. Raises StoreError."""
        return self._muster().drain()

    def _muster(self) -> Crew:
        crew = Crew(self._scheduler.store, self.handlers, self.queues, self._scheduler.keep, self._lease)
        log.info("Worker %s serves %s at %s.", crew.id, self._serves(), self._scheduler.url)
        return crew

    def _serves(self) -> str:
        return ", ".join(f"{queue} ({slots})" for queue, slots in self.queues.items()) or "the duties alone"

    def _warn_unserved(self) -> None:
        unserved = sorted(set(self.handlers.queues()) - set(self.queues)) if self.queues else []
        if unserved:
            log.warning("No slots here for %s: other workers must serve them.", ", ".join(unserved))
