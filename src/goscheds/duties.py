"""What somebody must do for all: make due jobs ready, take lost ones back, purge old ones.

Every worker stands by for it, and one does it at a time: the store gives the duty to whoever calls ``promote`` first,
for two seconds after each call.
"""

from __future__ import annotations

import logging
import threading
import time

from goscheds.codec import decode_payload
from goscheds.errors import GoschedsError
from goscheds.execution import Execution, Run, crashed
from goscheds.holdings import Holdings
from goscheds.job import label
from goscheds.outage import Outage
from goscheds.record import Lost, State
from goscheds.store import DUTY_LEASE
from goscheds.verdict import Keep

log = logging.getLogger("goscheds")
PROMOTED = 1000
"""Jobs made ready in one call."""
RECOVERED = 100
PURGED = 1000
ROUND = DUTY_LEASE * 0.8
"""Seconds, at most, between looks for what is due and what is lost: so that the duties are kept by it."""
PURGE_ROUND = 60.0
"""Seconds between purges; each goes on until nothing is old enough."""


class Duties:
    """Does the duties in a thread of its own, or one round at a time."""

    def __init__(self, holdings: Holdings, execution: Execution, keep: Keep, lease: float) -> None:
        self._holdings = holdings
        self._execution = execution
        self._keep = {State.DONE: keep.done, State.CANCELLED: keep.done, State.DEAD: keep.dead}
        self._round = min(ROUND, max(0.1, lease / 5))  # seconds between looks for orphans
        self._leading = True  # until the store says otherwise; who stands by has no round of its own to be in time for
        self._stopping = threading.Event()
        self._recover_at = self._purge_at = time.monotonic()
        self._thread = threading.Thread(target=self._serve, name="goscheds-duties", daemon=True)

    def start(self) -> None:
        """Stand by, and do the duties when it is this worker's turn."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further round."""
        self._stopping.set()

    def join(self, timeout: float) -> None:
        """Wait for the round that is being done."""
        self._thread.join(timeout)

    def _serve(self) -> None:
        outage = Outage(f"Worker {self._holdings.worker}, its duties", self._stopping)
        while not self._stopping.is_set():
            with outage:
                self.round(self._round)

    def round(self, timeout: float) -> int:
        """Promote, waiting up to ``timeout`` seconds, and now and then recover and purge; jobs promoted. StoreError.

        Each part is bounded, so that none holds up the others: what is left over comes in the next round.
        """
        if time.monotonic() > self._holdings.leased_until:  # it is given no orphans: somebody else must do the duties
            self._stopping.wait(timeout)
            return 0
        if self._leading:
            timeout = max(0.0, min(timeout, min(self._recover_at, self._purge_at) - time.monotonic()))
        promoted = self._holdings.store.promote(self._holdings.worker, PROMOTED, timeout)
        self._leading = promoted is not None
        if promoted is None:
            return 0
        now = time.monotonic()
        if now >= self._recover_at and self.recover() < RECOVERED:
            self._recover_at = now + self._round
        if now >= self._purge_at:
            self._purge_at = now + PURGE_ROUND  # first: a purge that fails makes nothing that is due late
            if self.purge():
                self._purge_at = now
        return promoted

    def recover(self) -> int:
        """Take lost jobs back and judge them like any failure; how many. Raises StoreError."""
        runs = self._holdings.recover(RECOVERED)
        for run in runs:
            self._read(run)
        last = sum(run.on_its_last_chance for run in runs if run.claim.lost is Lost.LEASE)
        lost = [run for run in runs if self._holdings.finish(run)]
        self._holdings.settle([self._execution.judge(run, crashed(run, last)) for run in lost])
        return len(runs)

    def _read(self, run: Run) -> None:
        try:
            run.payload = decode_payload(run.claim.record)
        except GoschedsError as error:
            log.debug("Job %s was lost and can't be read: %s; its next run says so.", label(run.claim.record), error)

    def purge(self) -> bool:
        """Delete some of what was kept long enough; whether there may be more. Raises StoreError."""
        now = self._holdings.store.now()
        purged = [self._holdings.store.purge(state, now - kept, PURGED) for state, kept in self._keep.items()]
        return max(purged) == PURGED
