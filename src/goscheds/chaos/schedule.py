"""What goes wrong, and when: the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from msgspec import Struct


class Kind(Struct, frozen=True):
    """A kind of fault, and for how long it lasts, in leases; nothing for what is over at once."""

    name: str
    shortest: float = 0.0
    longest: float = 0.0


class Strike(Struct, frozen=True, order=True):
    """A fault at a moment; seconds from the beginning. ``which`` picks among those that it may hit."""

    begins: float
    ends: float
    fault: str
    which: int


PROLOGUE = 2.0
"""Seconds without any fault at the beginning, for what is promised in peace alone."""

PROCESSES = (
    Kind("kill worker"),
    Kind("kill duty holder"),
    Kind("stop worker", 0.3, 2.5),
    Kind("stop duty holder", 0.3, 2.5),
    Kind("kill producer"),
    Kind("step clock"),
)
SUPERVISORS = (
    Kind("kill supervisor"),
    Kind("stop supervisor", 0.3, 2.5),
    Kind("kill child"),
    Kind("replace children"),
)
NETWORK = (
    Kind("cut connections"),
    Kind("half-open connections"),
    Kind("swallow an answer"),
    Kind("delay", 0.5, 2.0),
    Kind("stall", 0.3, 2.0),
    Kind("refuse connections", 0.3, 2.0),
)


def schedule(seed: int, kinds: Sequence[Kind], seconds: float, lease: float, every: float = 1.0) -> list[Strike]:
    """Strikes over so many seconds, one ``every`` so many on the average. Each kind has its turn before any has two."""
    random = Random(f"schedule {seed}")  # noqa: S311 - it guards nothing
    strikes: list[Strike] = []
    turns: list[Kind] = []
    at = PROLOGUE + random.expovariate(1 / every)
    while at < seconds:
        if not turns:
            turns = random.sample(kinds, len(kinds))
        kind = turns.pop()
        lasts = lease * random.uniform(kind.shortest, kind.longest)
        strikes.append(Strike(round(at, 3), round(min(seconds, at + lasts), 3), kind.name, random.randrange(1000)))
        at += random.expovariate(1 / every)
    return strikes
