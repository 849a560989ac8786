"""How workers do that are given jobs at a rate: how late each starts, and what it all costs meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from goscheds.bench.figures import MILLISECOND, Figure, Spread
from goscheds.bench.latency import first_starts, setting
from goscheds.bench.meters import between, reading
from goscheds.bench.plan import Plan
from goscheds.bench.site import Site, site

SECOND = 1_000_000_000
"""Nanoseconds."""


def steady(url: str, plan: Plan) -> Iterator[Figure]:
    """Jobs pushed one by one at a rate, from the moment that each is meant to be pushed to its start."""
    for rate in plan.rates:
        for style in plan.styles:
            for count in plan.processes:
                with site(url, plan, style) as place:
                    if count == 1 or place.processes:
                        yield _steady(place, rate, count)


def _steady(place: Site, rate: int, count: int) -> Figure:
    """Latency counts from a timetable, not from the push that was made.

    A producer held up by a slow store pushes the next jobs late, and their waiting would be left out just when there
    is some.
    """
    jobs = max(int(rate * place.plan.seconds), 1)
    with place.working(count) as hands:
        before = reading(place.scheduler.store)
        meant = [time.monotonic_ns() + n * SECOND // rate for n in range(jobs)]
        behind = _push(place, meant)
        hands.wait(20 * count + jobs)
        memory = hands.memory()
        started = first_starts(hands.end())
    work = between(before, reading(place.scheduler.store), "job", jobs)
    last = max(started[n] for n in range(jobs))
    also = {**({"memory, MB": memory / 1e6} if memory else {}), "producer behind, ms": behind / MILLISECOND}
    return Figure(
        "steady",
        f"{rate:,} a second, {setting(place.style, count)}",
        jobs,
        jobs * SECOND / max(last - meant[0], 1),
        Spread.of(started[n] - at for n, at in enumerate(meant)),
        {**also, **work},
    )


def _push(place: Site, meant: Sequence[int]) -> int:
    """Push each job at its moment; how far the producer was behind at worst, nanoseconds."""
    behind = 0
    for n, at in enumerate(meant):
        job = place.job(n)
        while (early := at - time.monotonic_ns()) > 0:
            time.sleep(early / SECOND)
        behind = max(behind, -early)
        place.scheduler.push(job)
    return behind
