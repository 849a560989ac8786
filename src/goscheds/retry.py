"""How often a failed job runs again, and after how long. Pure: time and randomness are arguments."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from msgspec import Struct

from goscheds.clock import duration_micros
from goscheds.errors import ConfigError

SECOND = 1_000_000


class Retry(Struct, frozen=True, omit_defaults=True):
    """A job's retry policy.

    The first retry is at once: most failures are a hiccup. Each later one waits a random time between zero and a bound
    that starts at ``base`` and doubles up to ``cap`` (full jitter, so that jobs that failed together don't return
    together).
    """

    max_attempts: int = 20
    """Runs that may fail before the job is dead; 0 = no limit."""
    base: timedelta = timedelta(seconds=1)
    """The bound of the second retry's wait."""
    cap: timedelta = timedelta(hours=1)
    """The largest bound."""
    max_crashes: int = 3
    """Runs that may end with their worker before the job is dead; 0 = no limit. Counted apart from failures."""

    def __post_init__(self) -> None:
        counts = self.max_attempts, self.max_crashes
        if any(type(count) is not int or count < 0 for count in counts):
            raise ConfigError(f"{self!r}: max_attempts and max_crashes are counts; 0 means no limit.")
        if duration_micros(self.base, "Retry.base") > duration_micros(self.cap, "Retry.cap"):
            raise ConfigError(f"{self!r}: base must not be longer than cap.")

    @classmethod
    def immediately(cls) -> Retry:
        """Again at once, for ever."""
        return cls(max_attempts=0, base=timedelta(0), cap=timedelta(0))

    @classmethod
    def never(cls) -> Retry:
        """One attempt. A crash of its worker still runs it again, up to ``max_crashes``."""
        return cls(max_attempts=1)

    def exhausted(self, attempts: int) -> bool:
        """Whether this many failed attempts are enough."""
        return 0 < self.max_attempts <= attempts

    def poisonous(self, crashes: int) -> bool:
        """Whether this many crashes are enough."""
        return 0 < self.max_crashes <= crashes

    def delay(self, attempts: int, random: Random) -> int:
        """Microseconds to wait after this many failed attempts (1 or more)."""
        if attempts <= 1:
            return 0
        return int(random.uniform(0, bound(attempts - 2, self.base, self.cap)))


DEFAULT_RETRY = Retry()
"""The policy of a job that names none."""


def bound(doublings: int, base: timedelta, cap: timedelta) -> int:
    """``base`` doubled so many times, at most ``cap``; microseconds."""
    first, last = duration_micros(base, "base"), duration_micros(cap, "cap")
    return min(last, first << min(doublings, 60))
