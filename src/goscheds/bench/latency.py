"""How soon a job starts: one that is pushed to idle workers, and one that becomes due."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from goscheds.bench.figures import MILLISECOND, BenchFailed, Figure, Spread
from goscheds.bench.hand import Notes
from goscheds.bench.plan import BATCH, Plan, Style
from goscheds.bench.site import Site, site

LEAD = 2.0
"""Seconds from when everything is pushed to when it begins to be due."""
IDLE = 0.02, 0.5
"""Seconds, from and to, that a queue has been idle when a job is pushed: a worker may look less often after a while."""
SECOND = 1_000_000
"""Microseconds."""


def pickup(url: str, plan: Plan) -> Iterator[Figure]:
    """From the call of ``push`` to the handler's start, on an idle queue."""
    for style in plan.styles:
        for count in plan.processes:
            with site(url, plan, style) as place:
                if count > 1 and not place.processes:
                    continue
                yield _pickup(place, count)


def _pickup(place: Site, count: int) -> Figure:
    called = []
    with place.working(count) as hands:
        for n in range(place.plan.samples):
            time.sleep(random.uniform(*IDLE))  # noqa: S311 - so that no period of a waiting worker is met
            job = place.job(n)
            called.append(time.monotonic_ns())
            place.scheduler.push(job)
        hands.wait(20 * count + place.plan.samples)
        started = first_starts(hands.end())
    spread = Spread.of(started[n] - at for n, at in enumerate(called))
    return Figure("pickup", setting(place.style, count), len(called), spread=spread)


def lateness(url: str, plan: Plan) -> Iterator[Figure]:
    """From a job's ``execute_at`` to its handler's start, for jobs spread over some seconds."""
    for count in plan.processes:
        with site(url, plan) as place:
            if count == 1 or place.processes:
                yield _lateness(place, count)


def _lateness(place: Site, count: int) -> Figure:
    plan = place.plan
    with place.working(count) as hands:
        begin = place.scheduler.store.now() + int(LEAD * SECOND)
        due = [begin + int(random.uniform(0, plan.seconds) * SECOND) for _ in range(plan.spread)]  # noqa: S311 - a spread
        for n, at in enumerate(due):
            place.scheduler.push_scheduled(place.job(n, at))
        hands.wait(20 * count + plan.spread)
        offset, doubt = place.clock()
        started = first_starts(hands.end())
    late = [started[n] + offset - at * 1_000 for n, at in enumerate(due)]
    return Figure(
        "lateness",
        f"over {plan.seconds:g} s, {setting(place.style, count)}",
        plan.spread,
        spread=Spread.of(late),
        also=_early(late, doubt),
    )


def instant(url: str, plan: Plan) -> Iterator[Figure]:
    """Many jobs due in one instant: how late each starts, and how many a second."""
    for count in plan.processes:
        with site(url, plan) as place:
            if count == 1 or place.processes:
                yield _instant(place, count)


def _instant(place: Site, count: int) -> Figure:
    jobs = place.plan.jobs
    with place.working(count) as hands:
        pushing = _seconds_to_push(place) * jobs / BATCH
        due = place.scheduler.store.now() + int((LEAD + 2 * pushing) * SECOND)
        place.push(jobs, due)
        if place.scheduler.store.now() > due:
            raise BenchFailed(
                f"Pushing {jobs:,} jobs took far longer than their first {BATCH:,}: they were due before."
            )
        hands.wait(20 * count + jobs)
        offset, doubt = place.clock()
        started = first_starts(hands.end())
    late = [started[n] + offset - due * 1_000 for n in range(jobs)]
    return Figure(
        "lateness",
        f"{jobs:,} in one instant, {setting(place.style, count)}",
        jobs,
        jobs * 1_000 * MILLISECOND / max(late),
        Spread.of(late),
        _early(late, doubt),
    )


def _seconds_to_push(place: Site) -> float:
    """How long a batch takes that is due when nobody waits for it any more."""
    began = time.monotonic()
    place.push(BATCH, place.scheduler.store.now() + 24 * 3600 * SECOND)
    return time.monotonic() - began


def _early(late: list[int], doubt: int) -> dict[str, float]:
    told = {"early": float(sum(1 for one in late if one < -doubt))}
    return {**told, "the clocks' doubt, ms": doubt / MILLISECOND} if doubt else told


def first_starts(each: list[Notes]) -> dict[int, int]:
    """When each job was first called, by its number."""
    starts: dict[int, int] = {}
    for notes in each:
        for n, at in notes:
            starts[n] = min(at, starts.get(n, at))
    return starts


def setting(style: Style, count: int) -> str:
    """The handlers and the workers, in words."""
    return f"{style}, {count} worker{'s' if count > 1 else ''}"
