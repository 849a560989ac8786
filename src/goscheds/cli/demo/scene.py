"""What there is to see of the demonstration at a moment."""

from __future__ import annotations

from msgspec import Struct


class Strike(Struct, frozen=True):
    """The killing of a worker."""

    worker: str
    pid: int
    after: float  # seconds from the beginning
    held: frozenset[str]  # the ids of the jobs that it held, looked up when it was dead
    back: int = 0  # how many of them were taken back since


class Hand(Struct, frozen=True):
    """A worker process."""

    pid: int
    holds: int
    state: str


class Scene(Struct, frozen=True):
    """The counts, the workers, the report."""

    elapsed: float  # seconds
    total: int
    queued: int
    active: int
    done: int
    dead: int
    retried: int
    hands: tuple[Hand, ...]
    strike: Strike | None
    report: str
    over: bool  # the report has ended

    @property
    def counts(self) -> list[tuple[str, str]]:
        """The numbers, by what they are."""
        strike = self.strike
        return [
            ("queued", f"{self.queued:,}"),
            ("active", f"{self.active:,}"),
            ("done", f"{self.done:,}"),
            ("retried", f"{self.retried:,}"),
            ("taken back", f"{strike.back} of {len(strike.held)}" if strike else "0"),
            ("report", self.report),
        ]
