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
            if time.monotonic() + wait > until:
                raise StoreUnavailable(f"Could not {what}: {error} Tried for {seconds:g} s.") from error
        time.sleep(wait * jitter.uniform(0.5, 1))
        wait *= 2


class Outage:
    """A loop's view of the store: it waits longer each time, and says once that it went and once that it is back."""

    def __init__(self, what: str, stopping: threading.Event) -> None:
        self._what = what
        self._stopping = stopping
        self._since = 0.0
        self._wait = FIRST

    def over(self) -> None:
        """A call succeeded."""
        if self._since:
            log.warning("%s: the store answers again, after %.1f s.", self._what, time.monotonic() - self._since)
            self._since, self._wait = 0.0, FIRST

    def endure(self, error: StoreError) -> None:
        """A call failed: wait, with jitter so that a fleet doesn't return as one, or until stopping."""
        if not self._since:
            self._since = time.monotonic()
            log.warning("%s: %s Trying again until it works.", self._what, error)
        self._stopping.wait(self._wait * jitter.uniform(0.5, 1))
        self._wait = min(LONGEST, self._wait * 2)
