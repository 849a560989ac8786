"""Jobs that stand in a store before anything is measured: waiting, scheduled, and done."""

from __future__ import annotations

from collections.abc import Iterator

from goscheds.job import new_id
from goscheds.record import Claim, Outcome, Record
from goscheds.store import Store

ELSEWHERE = "goscheds.bench.elsewhere"
"""A queue that no worker serves."""
BATCH = 1_000
YEAR = 365 * 24 * 3600 * 1_000_000
"""Microseconds."""
SPREAD = 1_000_000
"""Microseconds between two scheduled jobs: no two are due at once, as in a calendar."""
LEASE = 3600.0
"""Seconds."""


def waiting(store: Store, pattern: Record, count: int) -> None:
    """Ready jobs like ``pattern``, in a queue that nobody serves."""
    for batch in _batches(count):
        store.push([_like(pattern) for _ in batch])


def scheduled(store: Store, pattern: Record, count: int) -> None:
    """Jobs that are due from in a year on, a second after each other."""
    for batch in _batches(count):
        store.push([_like(pattern, YEAR + n * SPREAD) for n in batch])


def done(store: Store, pattern: Record, count: int) -> None:
    """Jobs that ran, in their own way: pushed, claimed and settled."""
    worker = new_id()
    for batch in _batches(count):
        store.heartbeat(worker, LEASE, b"")
        store.push([_like(pattern) for _ in batch])
        for claims in _claimed(store, worker):
            store.settle(worker, [Outcome.done(claim) for claim in claims])
    store.heartbeat(worker, 0, b"")


def _claimed(store: Store, worker: str) -> Iterator[list[Claim]]:
    while claims := store.claim(ELSEWHERE, worker, BATCH, 0):
        yield claims


def _like(pattern: Record, delay: int = 0) -> Record:
    return Record(new_id(), pattern.name, ELSEWHERE, pattern.payload, pattern.meta, delay=delay)


def _batches(count: int) -> Iterator[range]:
    for first in range(0, count, BATCH):
        yield range(first, min(first + BATCH, count))
