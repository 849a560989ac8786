"""Beats that come at the last moment, against a duty holder that looks all the time: who loses its job is told so."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from goscheds.contract.bench import hire, job
from goscheds.plugins import open_store
from goscheds.record import Outcome
from goscheds.store import Erasable, Store

LEASE = 0.03
SECONDS = 4.0


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    kind = request.param
    url = f"sqlite:///{tmp_path}/jobs.db" if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
    store = open_store(url, f"race-{uuid4().hex[:8]}")
    store.open()
    yield store
    if isinstance(store, Erasable):
        store.erase()
    store.close()


class Taker(threading.Thread):
    """Recovers all the time, and gives back what it gets; when each of its calls that got something began."""

    def __init__(self, store: Store) -> None:
        super().__init__(daemon=True)
        self._store = store
        self._worker = hire(store)
        self.began: list[float] = []
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.is_set():
            began = time.monotonic()
            if claims := self._store.recover(self._worker, 10):
                self.began.append(began)
                self._store.settle(self._worker, [Outcome.released(claim) for claim in claims])


@pytest.mark.slow
def test_l1_who_loses_a_job_hears_that_the_lease_had_lapsed(store: Store):
    random = Random(1)  # noqa: S311 - for a test
    store.push([job("one")])
    store.heartbeat("w", 60, b"")
    taker = Taker(store)
    taker.start()
    beats: list[tuple[float, bool]] = []  # when each ended, and whether it said that the lease had lapsed
    taken = rounds = 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        time.sleep(LEASE * random.uniform(0.7, 1.0))
        lapsed = store.heartbeat("w", LEASE, b"").lapsed
        beats.append((time.monotonic(), lapsed))
        while taken < len(taker.began) and taker.began[taken] < beats[-1][0]:
            # The call returned before this look, but perhaps not before this beat: the next one must know.
            time.sleep(LEASE / 3)
            beats.append((time.monotonic(), store.heartbeat("w", LEASE, b"").lapsed))
            assert any(lapsed for ended, lapsed in beats if ended > taker.began[taken])
            taken += 1
        rounds += bool(store.claim("default", "w", 1, 0))
    taker.stop.set()
    taker.join()
    assert rounds
