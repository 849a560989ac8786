"""What was measured, as values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from goscheds.errors import GoschedsError

MILLISECOND = 1_000_000
"""Nanoseconds."""


class BenchFailed(GoschedsError):
    """A figure could not be taken: a worker process ended, or jobs did not run."""


class Spread(Struct, frozen=True):
    """How durations are spread, milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, nanoseconds: Iterable[int]) -> Spread:
        """The spread of durations, each percentile the nearest one that occurred."""
        ordered = sorted(nanoseconds)
        return cls(*(nearest(ordered, part) / MILLISECOND for part in (0.50, 0.95, 0.99, 1.0)))


class Figure(Struct, frozen=True, omit_defaults=True):
    """One line of the report."""

    part: str
    setting: str
    jobs: int = 0
    rate: float = 0.0  # jobs a second
    spread: Spread | None = None
    also: dict[str, float] = {}  # by what it is, its unit in the name


class Report(Struct, frozen=True):
    """All that was measured, and where."""

    store: str  # the URL, without its password
    goscheds: str
    python: str
    machine: str
    cores: int
    figures: list[Figure]


def nearest(ordered: Sequence[int], part: float) -> int:
    """The value at or below which a part of the ordered values lies."""
    return ordered[max(0, -int(-part * len(ordered) // 1) - 1)]
