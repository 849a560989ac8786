"""Everything that a worker does from outside, done again on a store whose calls fail by chance."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import test_worker
from kit import Tampered, scheduled
from test_worker import *  # noqa: F403 - every test of it, with the fixture below in the place of its own

from goscheds import Scheduler
from goscheds.faulty import Fate, Faulty, by_chance
from goscheds.record import Heartbeat
from goscheds.store import Store

OURS = {"now", "find", "counts", "workers", "move", "purge", "pause"}
"""What the tests themselves ask for."""

ITS_OWN_TROUBLE = "it takes the store away itself, and counts what came of it"
COUNTS = "it counts claims or runs, of which a lost answer makes more"
APART = {
    "test_a_job_that_fails_runs_again_until_it_works": COUNTS,
    "test_a_lapse_that_nobody_used_costs_nothing": COUNTS,
    "test_higher_priorities_run_first_and_the_rest_in_their_order": "a claim whose answer was lost is given back later",
    "test_a_job_that_keeps_killing_its_workers_ends_dead_with_that_reason": "a crash whose news is lost is not counted",
    "test_plugins_are_told_the_life_of_a_job": COUNTS,
    "test_a_lost_job_is_told_to_its_handler_refused_and_run_by_another": ITS_OWN_TROUBLE,
    "test_the_duties_move_over_when_their_holder_stops_doing_them": ITS_OWN_TROUBLE,
    "test_a_store_that_goes_and_comes_back_costs_nothing": ITS_OWN_TROUBLE,
}
"""Tests that mean a store without trouble, and why."""


class Trying(Faulty):
    """A worker's calls fail by chance, but for its first heartbeat, without which it does not begin, and its last."""

    def __init__(self, store: Store, seed: int) -> None:
        chance = by_chance(seed, refused=0.05, lost=0.05)
        super().__init__(store, lambda verb: Fate.FINE if verb in OURS else chance(verb))
        self._inside = store
        self._known: set[str] = set()

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        """Beat."""
        if worker in self._known and lease:
            return super().heartbeat(worker, lease, info)
        self._known.add(worker)
        return self._inside.heartbeat(worker, lease, info)


@pytest.fixture(params=[int(os.environ.get("GOSCHEDS_CHAOS_SEED", "1"))])
def scheduler(store: Tampered, request: pytest.FixtureRequest) -> Iterator[Scheduler]:
    if reason := APART.get(request.function.__name__):
        pytest.skip(reason)
    with scheduled(Trying(store, request.param)) as scheduler:
        yield scheduler


def test_every_test_of_a_worker_is_here():
    tests = {name for name in vars(test_worker) if name.startswith("test_")}
    assert tests <= globals().keys()
    assert APART.keys() <= tests
