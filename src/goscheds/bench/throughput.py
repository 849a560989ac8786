"""How many jobs a second: pushed one by one, pushed in bulk, and run."""

from __future__ import annotations

import time
from collections.abc import Iterator

from goscheds.bench.figures import Figure, Spread
from goscheds.bench.hand import Notes
from goscheds.bench.latency import setting
from goscheds.bench.meters import between, reading
from goscheds.bench.plan import BATCH, Plan
from goscheds.bench.site import Site, site

SECOND = 1_000_000_000


def enqueue(url: str, plan: Plan) -> Iterator[Figure]:
    """Push calls one after the other, from one thread."""
    with site(url, plan) as place:
        place.scheduler.push(place.job(-1))
        jobs = [place.job(n) for n in range(plan.jobs)]
        before = reading(place.scheduler.store)
        push, now, taken, began = place.scheduler.push, time.monotonic_ns, [], time.monotonic_ns()
        last = began
        for job in jobs:
            push(job)
            taken.append((moment := now()) - last)
            last = moment
        work = between(before, reading(place.scheduler.store), "job", plan.jobs)
        yield Figure("enqueue", "one by one", plan.jobs, plan.jobs * SECOND / (last - began), Spread.of(taken), work)


def bulk(url: str, plan: Plan) -> Iterator[Figure]:
    """``push_many`` with a thousand jobs, again and again."""
    with site(url, plan) as place:
        place.push(BATCH)
        before = reading(place.scheduler.store)
        began = time.monotonic_ns()
        place.push(plan.jobs)
        seconds = (time.monotonic_ns() - began) / SECOND
        work = between(before, reading(place.scheduler.store), "job", plan.jobs)
        yield Figure("enqueue", f"{BATCH:,} in a batch", plan.jobs, plan.jobs / seconds, also=work)


def drain(url: str, plan: Plan) -> Iterator[Figure]:
    """Jobs that were all there before the workers: from the first one's start to the last one's."""
    for style in plan.styles:
        for count in plan.processes:
            with site(url, plan, style) as place:
                if count > 1 and not place.processes:
                    continue
                yield _drain(place, count)


def _drain(place: Site, count: int) -> Figure:
    jobs = place.plan.jobs
    place.push(jobs)
    with place.hands(count) as hands:
        before = reading(place.scheduler.store)
        hands.begin()
        hands.wait(jobs)
        memory = hands.memory()
        each = hands.end()
    work = between(before, reading(place.scheduler.store), "job", jobs)
    seconds = lasted(each) / SECOND
    shares = {"the busiest one's share": max(map(len, each)) / jobs} if count > 1 else {}
    resident = {"memory, MB": memory / 1e6} if memory else {}
    also = {**shares, **resident, **work}
    return Figure("drain", setting(place.style, count), jobs, jobs / seconds, also=also)


def lasted(each: list[Notes]) -> int:
    """From the first start to the last, over all workers; nanoseconds."""
    starts = [at for notes in each for _, at in notes]
    return max(starts) - min(starts)
