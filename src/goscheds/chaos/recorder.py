"""A store whose answers are written into a journal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from goscheds.chaos.journal import (
    Beat,
    Claimed,
    End,
    Hello,
    Journal,
    Leaving,
    Led,
    Offer,
    Pushed,
    Pushing,
    Settled,
    Settling,
    Taken,
    moment,
)
from goscheds.record import Claim, Heartbeat, Outcome, Record
from goscheds.store import Pipelined, Store
from goscheds.wrapping import Wrapped

LOOKS = 5
"""How often the store is asked for its time; the quickest answer counts."""


class Recorder(Wrapped):
    """Writes down what goes into the store, and what comes out."""

    def __init__(self, store: Store, journal: Journal) -> None:
        super().__init__(store)
        self._journal = journal
        self._calls = itertools.count(1)
        self._leads = False

    def greet(self) -> None:
        """Compare the store's clock with our own. Raises StoreError."""
        looks = []
        for _ in range(LOOKS):
            began = moment()
            now = self.now()
            ended = moment()
            looks.append((ended - began, now - (began + ended) // 2000))
        took, offset = min(looks)
        self._journal.write(Hello(moment(), offset, took // 2000 + 1))

    def push(self, jobs: Sequence[Record]) -> list[str]:
        """Push, on record."""
        call = next(self._calls)
        self._journal.write(Pushing(moment(), call, [Offer.of(job) for job in jobs]))
        ids = super().push(jobs)
        self._journal.write(Pushed(moment(), call, ids))
        return ids

    def claim(self, queue: str, worker: str, limit: int, timeout: float) -> list[Claim]:
        """Claim, on record."""
        began = moment()
        return self._taken("claim", worker, began, super().claim(queue, worker, limit, timeout))

    def recover(self, worker: str, limit: int) -> list[Claim]:
        """Recover, on record."""
        began = moment()
        return self._taken("recover", worker, began, super().recover(worker, limit))

    def held(self, worker: str) -> list[Claim]:
        """Ask what is held, on record."""
        began = moment()
        return self._taken("held", worker, began, super().held(worker))

    def _taken(self, verb: str, worker: str, began: int, claims: list[Claim]) -> list[Claim]:
        if claims:
            self._journal.write(Claimed(moment(), began, verb, worker, [Taken.of(claim) for claim in claims]))
        return claims

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        """Settle, on record."""
        call = next(self._calls)
        self._journal.write(Settling(moment(), call, worker, [End.of(outcome) for outcome in outcomes]))
        ids = super().settle(worker, outcomes)
        self._journal.write(Settled(moment(), call, ids))
        return ids

    def _settle_and_claim(
        self, store: Pipelined, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int
    ) -> tuple[list[str], list[Claim]]:
        """Both, on record."""
        call, began = next(self._calls), moment()
        self._journal.write(Settling(began, call, worker, [End.of(outcome) for outcome in outcomes]))
        ids, claims = super()._settle_and_claim(store, worker, outcomes, queue, limit)
        self._journal.write(Settled(moment(), call, ids))
        return ids, self._taken("claim", worker, began, claims)

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        """Beat, on record."""
        if lease == 0:
            self._journal.write(Leaving(moment(), worker))
        began = moment()
        beat = super().heartbeat(worker, lease, info)
        self._journal.write(Beat(moment(), began, worker, lease, beat.lapsed))
        return beat

    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        """Do the duty, on record."""
        promoted = super().promote(worker, limit, timeout)
        if self._leads != (promoted is not None):
            self._leads = promoted is not None
            self._journal.write(Led(moment(), self._leads))
        return promoted
