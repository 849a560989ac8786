"""What somebody must do for all: make due jobs ready, take lost ones back, purge old ones.

Every worker stands by for it, and one does it at a time: the store gives the duty to whoever calls ``promote`` first,
for two seconds after each call.
"""

from __future__ import annotations

import logging
import threading
import time

from goscheds.codec import decode_payload
from goscheds.errors import GoschedsError, StoreError
from goscheds.execution import Execution, crashed
from goscheds.holdings import Holdings
from goscheds.outage import Outage
from goscheds.record import Claim, Outcome, State
from goscheds.store import DUTY_LEASE

log = logging.getLogger("goscheds")
PROMOTED = 1000
"""Jobs made ready in one call."""
RECOVERED = 100
PURGED = 1000
PURGE_ROUND = 60.0
"""Seconds between purges; each goes on until nothing is old enough."""


class Duties:
    """Does the duties in a thread of its own, or one round at a time."""

    def __init__(self, holdings: Holdings, execution: Execution, keep: dict[State, int], lease: float) -> None:
        self._holdings = holdings
        self._execution = execution
        self._keep = keep  # microseconds by settled state
        self._round = min(2.0, max(0.1, lease / 5))  # seconds between looks for orphans
        self._stopping = threading.Event()
        self._recovered = self._purged = float("-inf")
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
            try:
                self.round(min(self._round, DUTY_LEASE * 0.75))
                outage.over()
            except StoreError as error:
                outage.endure(error)

    def round(self, timeout: float) -> int:
        """Promote, waiting up to ``timeout`` seconds, and now and then recover and purge; jobs promoted. StoreError."""
        promoted = self._holdings.store.promote(self._holdings.worker, PROMOTED, timeout)
        if promoted is None:
            return 0
        now = time.monotonic()
        if now - self._recovered >= self._round * 0.9 and not promoted:
            self._recovered = now
            self.recover()
        if now - self._purged >= PURGE_ROUND and not promoted:
            self._purged = now
            self.purge()
        return promoted

    def recover(self) -> int:
        """Take lost jobs back and judge them like any failure; how many. Raises StoreError."""
        total = 0
        while claims := self._holdings.store.recover(self._holdings.worker, RECOVERED):
            total += len(claims)
            runs = self._holdings.admit(claims)
            for run in runs:
                self._holdings.finish(run)
            self._holdings.settle([self._judge(run.claim) for run in runs])
            if len(claims) < RECOVERED:
                break
        return total

    def _judge(self, claim: Claim) -> Outcome:
        run = self._execution.prepare(claim)
        try:
            run.payload = decode_payload(claim.record)
        except GoschedsError as error:
            log.debug("Job %s was lost and can't be read: %s; its next run says so.", claim.record.id, error)
        return self._execution.judge(run, crashed(claim))

    def purge(self) -> int:
        """Delete what was kept long enough; how many. Raises StoreError."""
        total = 0
        now = self._holdings.store.now()
        for state, kept in self._keep.items():
            while not self._stopping.is_set():
                purged = self._holdings.store.purge(state, now - kept, PURGED)
                total += purged
                if purged < PURGED:
                    break
        return total
