"""Living through a store that is away: how long to wait, and how long to insist."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from random import Random
from typing import TypeVar

from goscheds.errors import StoreError, StoreUnavailable

log = logging.getLogger("goscheds")
T = TypeVar("T")
jitter = Random()  # noqa: S311 - it spreads load, and guards nothing

FIRST, LONGEST = 0.1, 5.0
INSIST = 2.0
"""Seconds for which a producer's call is repeated."""


def insist(call: Callable[[], T], what: str, seconds: float = INSIST) -> T:
    """Make a call that may be repeated, for some seconds while the store is unavailable. Raises StoreUnavailable."""
    until = time.monotonic() + seconds
    wait = FIRST / 2
    while True:
        try:
            return call()
        except StoreUnavailable as error:
            left = until - time.monotonic()
            if left <= 0:
                raise StoreUnavailable(f"Could not {what}: {error} Tried for {seconds:g} s.") from error
        time.sleep(min(left, wait * jitter.uniform(0.5, 1)))
        wait *= 2


class Outage:
    """A loop's view of the store: it waits longer each time, and says once that it went and once that it is back.

    ``with outage: …`` around each round of a thread that a worker can't do without: whatever goes wrong in it, the
    thread lives on. Any number of threads may share one.
    """

    def __init__(self, what: str, stopping: threading.Event, longest: float = LONGEST) -> None:
        self._what = what
        self._stopping = stopping
        self._longest = longest
        self._since = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        """Begin a round."""

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> bool:
        """End a round, for better or worse."""
        if error is None:
            self.over()
        else:
            self.endure(error)
        return True

    @property
    def lasts(self) -> bool:
        """Whether the last round went wrong."""
        return self._since > 0

    def over(self) -> None:
        """A call succeeded."""
        if self.lasts:
            with self._lock:
                since, self._since = self._since, 0.0
            if since:
                log.warning("%s: it works again, after %.1f s.", self._what, time.monotonic() - since)

    def endure(self, error: BaseException) -> None:
        """A call failed: wait, with jitter so that a fleet doesn't return as one, or until stopping.

        As long again as it has lasted already, so that the waits double however many threads share them.
        """
        now = time.monotonic()
        with self._lock:
            first, self._since = not self._since, self._since or now
            away = now - self._since
        if first:  # a store's error says it all; of any other the place matters
            trace = None if isinstance(error, StoreError) else error
            log.warning("%s: %s Trying again until it works.", self._what, str(error) or repr(error), exc_info=trace)
        self._stopping.wait(min(self._longest, max(FIRST, away)) * jitter.uniform(0.5, 1))
