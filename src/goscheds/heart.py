"""The heartbeat: a thread that nothing of the user's can hold up, and that does nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from goscheds.holdings import Holdings
from goscheds.outage import Outage

log = logging.getLogger("goscheds")
LAST = 2.0
"""Seconds for the last beat, if it is on its way."""
BEATS = 3
"""Heartbeats in a lease: two may be lost."""


class Heart:
    """Keeps a worker's lease, and hears what the store has to tell it."""

    def __init__(self, holdings: Holdings, lease: float, info: Callable[[], bytes]) -> None:
        self._holdings = holdings
        self._lease = lease
        self._info = info
        self._stop = threading.Event()
        self._beating = False  # the first beat registers; a lapse after it is news
        self._thread = threading.Thread(target=self._beat_on, name="goscheds-heart", daemon=True)

    def start(self) -> None:
        """Register the worker, and keep its lease from then on. Raises StoreError."""
        self.beat()
        self._thread.start()

    def close(self) -> None:
        """End the lease: whatever the worker still holds may be recovered at once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(LAST)
        try:
            self._holdings.store.heartbeat(self._holdings.worker, 0, b"")
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the worker ends
            log.warning(
                "Worker %s could not say goodbye: %s Its lease runs out by itself.", self._holdings.worker, error
            )

    def beat(self) -> None:
        """One heartbeat. Raises StoreError."""
        began = time.monotonic()
        answer = self._holdings.store.heartbeat(self._holdings.worker, self._lease, self._info())
        late = began > self._holdings.leased_until
        self._holdings.leased_until = began + self._lease
        if self._beating and (answer.lapsed or late):  # late: the news may have been in an answer that was lost
            log.warning("Worker %s may have lost its lease; looking what it still holds.", self._holdings.worker)
            self._holdings.suspect()
        self._beating = True
        if answer.cancel:
            self._holdings.stop_cancelled(answer.cancel)

    def _beat_on(self) -> None:
        between = self._lease / BEATS
        outage = Outage(f"Worker {self._holdings.worker}, its heartbeat", self._stop, min(1.0, between / 4))
        while not self._stop.is_set():
            with outage:
                if not self._stop.wait(0 if outage.lasts else between):
                    self.beat()
