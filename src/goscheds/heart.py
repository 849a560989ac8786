"""The heartbeat: a thread that nothing of the user's can hold up, and that does nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from goscheds.errors import StoreError
from goscheds.holdings import Holdings

log = logging.getLogger("goscheds")
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
        self._last = 0.0
        self._thread = threading.Thread(target=self._beat_on, name="goscheds-heart", daemon=True)

    def start(self) -> None:
        """Register the worker, and keep its lease from then on. Raises StoreError."""
        self.beat()
        self._thread.start()

    def close(self) -> None:
        """End the lease: whatever the worker still holds may be recovered at once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(self._lease)
        try:
            self._holdings.store.heartbeat(self._holdings.worker, 0, b"")
        except StoreError as error:
            log.warning(
                "Worker %s could not say goodbye: %s Its lease runs out by itself.", self._holdings.worker, error
            )

    @property
    def age(self) -> float:
        """Seconds since the store last answered."""
        return time.monotonic() - self._last

    def beat(self) -> None:
        """One heartbeat. Raises StoreError."""
        answer = self._holdings.store.heartbeat(self._holdings.worker, self._lease, self._info())
        self._last = time.monotonic()
        if answer.lapsed and self._beating:
            log.warning("Worker %s had lost its lease; looking what it still holds.", self._holdings.worker)
            self._holdings.suspect()
        self._beating = True
        if answer.cancel:
            self._holdings.stop_cancelled(answer.cancel)

    def _beat_on(self) -> None:
        wait = self._lease / BEATS
        while not self._stop.wait(wait):
            try:
                self.beat()
                wait = self._lease / BEATS
            except StoreError as error:
                log.warning("Worker %s: no heartbeat for %.1f s: %s", self._holdings.worker, self.age, error)
                wait = min(1.0, self._lease / BEATS / 4)
