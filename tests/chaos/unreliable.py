"""What a worker keeps on a store that fails by chance; to be bound for each store."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from kit import until, working

from goscheds import Job, Retry, Scheduler, State
from goscheds.faulty import Fate, Faulty, by_chance
from goscheds.plugins import open_store
from goscheds.record import Outcome, Query, Verb
from goscheds.store import Erasable, Pipelined, Store
from goscheds.wrapping import Wrapped, WrappedScheduler

JOBS = 240
LEASE = timedelta(seconds=1)
ENOUGH = 40.0  # seconds, for what takes two where nothing goes wrong
ROUND = 3.0  # seconds in which a worker finds what it holds without knowing
HANDLERS = ("quick", "slow", "gentle")


class Ledger(Wrapped):
    """Knows what the store really accepted, whatever becomes of its answers."""

    def __init__(self, store: Store, ended: dict[str, set[int]]) -> None:
        super().__init__(store)
        self._ended = ended

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        accepted = super().settle(worker, outcomes)
        self._note(outcomes, accepted)
        return accepted

    def _settle_and_claim(self, store: Pipelined, worker: str, outcomes: Sequence[Outcome], *what: Any) -> Any:
        accepted, claims = super()._settle_and_claim(store, worker, outcomes, *what)
        self._note(outcomes, accepted)
        return accepted, claims

    def _note(self, outcomes: Sequence[Outcome], accepted: list[str]) -> None:
        for outcome in outcomes:
            if outcome.id in accepted and outcome.verb not in (Verb.RETRY, Verb.RELEASED):
                self._ended[outcome.id].add(outcome.fence)


class Site:
    """A store, its faulty clients, and what it saw."""

    def __init__(self, url: str, seed: int, chances: tuple[float, float]) -> None:
        self.url = url
        self.namespace = f"faulty-{uuid4().hex[:12]}"
        self.seed = seed
        self.chances = chances
        self.ended: dict[str, set[int]] = defaultdict(set)
        self.clients: list[Faulty] = []
        self.trouble = threading.Event()
        self.store = open_store(url, self.namespace)

    def scheduler(self) -> Scheduler:
        """A new client of the store, which fails by chance while there is trouble."""
        fates = by_chance(self.seed + len(self.clients), *self.chances)

        def wrap(store: Store) -> Store:
            troubled = Faulty(
                Ledger(store, self.ended), lambda verb: fates(verb) if self.trouble.is_set() else Fate.FINE
            )
            self.clients.append(troubled)
            return troubled

        scheduler = WrappedScheduler(self.url, wrap, self.namespace)
        assert scheduler.store is self.clients[-1]
        register(scheduler)
        return scheduler

    @contextmanager
    def worker(self, grace: timedelta = timedelta(seconds=5)) -> Iterator[None]:
        """A worker at work; it has begun, as it may refuse to begin without a store."""
        known = {worker.id for worker in self.store.workers()}
        with self.scheduler() as scheduler, working(scheduler, lease=LEASE, grace=grace):
            until(lambda: {worker.id for worker in self.store.workers()} - known, "the worker to begin")
            yield

    def all_done(self, ids: Sequence[str]) -> bool:
        """Whether every job is done."""
        rows = self.store.find(Query(ids=tuple(ids))).rows
        return [row.state for row in rows] == [State.DONE] * len(ids)

    def check(self, ids: Sequence[str]) -> None:
        """Every job ended under one fence, its last; and things did go wrong."""
        last = {row.record.id: {row.fence} for row in self.store.find(Query(ids=tuple(ids))).rows}
        assert self.ended == last
        assert last.keys() == set(ids)
        assert any(fate is not Fate.FINE for client in self.clients for _, fate in client.met), "nothing went wrong"


def register(scheduler: Scheduler) -> None:
    """Handlers of each kind."""

    @scheduler.job
    def quick(n: int) -> int:
        return n

    @scheduler.job
    def slow(n: int) -> None:
        time.sleep(0.02)

    @scheduler.job(queue="async")
    async def gentle(n: int) -> int:
        return n


class Unreliable:
    """Bind it, with a fixture ``store_url``."""

    pytestmark: ClassVar = [pytest.mark.slow, pytest.mark.timeout(120)]

    @pytest.fixture
    def seed(self) -> int:
        return int(os.environ.get("GOSCHEDS_CHAOS_SEED", "1"))

    @pytest.fixture(params=[(0.15, 0.0), (0.0, 0.15), (0.1, 0.1)], ids=["refused", "lost", "both"])
    def site(self, store_url: str, seed: int, request: pytest.FixtureRequest) -> Iterator[Site]:
        site = Site(store_url, seed, request.param)
        site.store.open()
        yield site
        if isinstance(site.store, Erasable):
            site.store.erase()
        site.store.close()

    def test_f2_every_job_ends_once_though_calls_fail(self, site: Site) -> None:
        with ExitStack() as at_work:
            for _ in range(2):
                at_work.enter_context(site.worker())
            producer = at_work.enter_context(site.scheduler())
            site.trouble.set()
            ids = push(producer)
            until(lambda: site.all_done(ids), "every job to be done", ENOUGH)
            site.trouble.clear()
            until(lambda: not any(worker.held for worker in site.store.workers()), "no stray is held", ROUND)
        site.check(ids)

    def test_l2_workers_that_stop_while_calls_fail_strand_nothing(self, site: Site) -> None:
        with site.scheduler() as producer, ExitStack() as at_work:
            ids = push(producer)
            for _ in range(3):
                with site.worker(grace=timedelta(0)):
                    site.trouble.set()
                    time.sleep(0.3)
                site.trouble.clear()
            at_work.enter_context(site.worker())
            until(lambda: site.all_done(ids), "every job to be done", ENOUGH)
        site.check(ids)


def push(producer: Scheduler) -> list[str]:
    """Jobs one by one, in batches, now and later."""
    kinds = [HANDLERS[n % 3] for n in range(JOBS)]
    jobs = [
        Job(kind, {"n": n}, queue="async" if kind == "gentle" else "default", retry=Retry(max_crashes=0))
        for n, kind in enumerate(kinds)
    ]
    single, later, batch = jobs[:40], jobs[40:80], jobs[80:]
    ids = [producer.push(job) for job in single]
    ids += [producer.push_in(timedelta(milliseconds=20 * n), job) for n, job in enumerate(later)]
    for at in range(0, len(batch), 40):
        ids += producer.push_many(batch[at : at + 40])
    return ids
