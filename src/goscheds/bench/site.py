"""Where one measurement is taken: a fresh namespace, its producer, its workers, and its clock."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from goscheds.bench import stock
from goscheds.bench.hand import Notes, noop
from goscheds.bench.hands import Hand, Hands, ProcessHand, ThreadHand, gathered
from goscheds.bench.plan import BATCH, Plan, Style
from goscheds.clock import from_micros
from goscheds.errors import ConfigError
from goscheds.job import Job
from goscheds.scheduler import Scheduler
from goscheds.store import Capability, Erasable

LOOKS = 20
"""Readings of the store's clock, of which the quickest is the best."""


class Site:
    """A namespace to measure in."""

    def __init__(self, url: str, scheduler: Scheduler, style: Style, plan: Plan) -> None:
        self.url = url
        self.scheduler = scheduler
        self.plan = plan
        self.style = style
        self._notes: Notes = []
        self.task = noop(scheduler, style, self._notes)
        self._text = "x" * plan.payload

    @property
    def processes(self) -> bool:
        """Whether workers may run in processes of their own."""
        return Capability.PROCESSES in self.scheduler.store.capabilities

    def job(self, n: int, execute_at: int = 0) -> Job:
        """The job of a number, due now or at a moment of the store's, microseconds."""
        args = {"n": n, "text": self._text} if self._text else {"n": n}
        return Job(self.task.name, args, execute_at=from_micros(execute_at) if execute_at else None)

    def fill(self) -> None:
        """The history and the backlog of the plan. Where there is one, what is measured is measured beside it."""
        store, pattern = self.scheduler.store, self.scheduler.record(self.job(0))
        stock.done(store, pattern, self.plan.history)
        stock.waiting(store, pattern, self.plan.backlog // 2)
        stock.scheduled(store, pattern, self.plan.backlog - self.plan.backlog // 2)

    def push(self, count: int, execute_at: int = 0) -> None:
        """Push many jobs in batches, before a measurement."""
        for first in range(0, count, BATCH):
            self.scheduler.push_many(self.job(n, execute_at) for n in range(first, min(first + BATCH, count)))

    def hands(self, count: int) -> AbstractContextManager[Hands]:
        """So many workers, ready to begin."""
        return gathered(self._hire, count)

    def _hire(self) -> Hand:
        if self.processes:
            return ProcessHand(self.url, self.scheduler.namespace, self.style)
        return ThreadHand(self.scheduler, self._notes)

    @contextmanager
    def working(self, count: int) -> Iterator[Hands]:
        """So many workers that have run some jobs, and are idle now."""
        warm_up = 20 * count
        with self.hands(count) as hands:
            hands.begin()
            while len(self.scheduler.workers()) < count:
                time.sleep(0.01)
            for n in range(warm_up):
                self.scheduler.push(self.job(-1 - n))
                time.sleep(0.005)
            hands.wait(warm_up)
            yield hands

    def clock(self) -> tuple[int, int]:
        """What to add to the monotonic clock for the store's, and how far that may be off; nanoseconds.

        Where the store's clock agrees with this machine's as far as can be told, they are taken to be the same one.
        """
        readings = []
        for _ in range(LOOKS):
            before = time.monotonic_ns()
            now = self.scheduler.store.now() * 1_000
            after = time.monotonic_ns()
            readings.append((after - before, now - (before + after) // 2))
        taken, offset = min(readings)
        own = time.time_ns() - time.monotonic_ns()
        same = abs(own - offset) <= taken + 1_000_000  # a store may count in whole milliseconds
        return (own, 0) if same else (offset, taken // 2)


@contextmanager
def site(url: str, plan: Plan, style: Style = Style.SYNC) -> Iterator[Site]:
    """A fresh namespace, erased afterwards. Raises ConfigError for a store that can't erase one."""
    with Scheduler(url, f"bench-{secrets.token_hex(4)}") as scheduler:
        store = scheduler.store
        if not isinstance(store, Erasable):
            raise ConfigError(f"{scheduler.url} can't erase a namespace, and the benchmark would leave its jobs there.")
        try:
            place = Site(url, scheduler, style, plan)
            place.fill()
            yield place
        finally:
            store.erase()
