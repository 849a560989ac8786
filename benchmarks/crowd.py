"""What many workers cost that have little to do: whether they all wake for one job, and whether they all promote.

    python benchmarks/crowd.py redis://localhost:6379/0 --workers 2,8,32
    python benchmarks/crowd.py                            # all stores; starts the servers itself

For each number of worker processes: what they take while idle; what a push adds to that, and a scheduled job, in
requests to the server and in wake-ups, which are times that a thread of any of the workers was waiting and got the
processor (the kernel's voluntary context switches). One woken worker has a few for each job. If all of them woke,
these figures would grow with their number.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from compare import stores

from goscheds.bench.figures import Spread
from goscheds.bench.hands import Hands
from goscheds.bench.latency import first_starts
from goscheds.bench.meters import Metered
from goscheds.bench.plan import Plan
from goscheds.bench.processes import cpu_seconds
from goscheds.bench.site import Site, site

PUSHES, PAUSE = 100, 0.05
SECONDS = 5.0
LEAD = 1.0
FLUSHED = 11.0
"""Seconds after which an idle Postgres backend has told of all that it did: it may keep that for ten."""
REQUESTS = ("requests", "transactions")
"""A store's meter of round trips, whichever it has."""


@dataclass(frozen=True)
class Reading:
    """What the workers and the server have done so far."""

    at: float
    cpu: float
    wakeups: int
    requests: int

    def until(self, after: Reading) -> tuple[float, float, float, float]:
        """Seconds, and CPU, requests and wake-ups a second."""
        seconds = after.at - self.at
        return (
            seconds,
            (after.cpu - self.cpu) / seconds,
            (after.requests - self.requests) / seconds,
            (after.wakeups - self.wakeups) / seconds,
        )


@dataclass(frozen=True)
class Row:
    """One number of workers."""

    workers: int
    cpu: float  # of a core, idle
    requests: float  # a second, idle
    wakeups: float  # a second, idle
    push_requests: float
    push_wakeups: float
    pickup: Spread
    due_requests: float
    due_wakeups: float
    lateness: Spread


def measure(url: str, counts: list[int]) -> Iterator[Row]:
    """A row for each number of workers."""
    for count in counts:
        with site(url, Plan()) as place, place.working(count) as hands:
            yield _row(place, hands, count)


def _row(place: Site, hands: Hands, count: int) -> Row:
    called: dict[int, int] = {}
    due: dict[int, int] = {}
    readings = [_read(place, hands)]
    for work in (lambda: time.sleep(SECONDS), lambda: _push(place, called), lambda: _schedule(place, due)):
        work()
        readings.append(_read(place, hands))
    (_, cpu, *idle), pushes, schedules = (before.until(after) for before, after in pairwise(readings))
    pushed, scheduled = _beyond(idle, pushes), _beyond(idle, schedules)
    hands.wait(20 * count + 2 * PUSHES)
    offset, _ = place.clock()
    started = first_starts(hands.end())
    pickup = Spread.of(started[n] - at for n, at in called.items())
    late = Spread.of(started[n] + offset - at * 1_000 for n, at in due.items())
    return Row(count, cpu, *idle, *pushed, pickup, *scheduled, late)


def _beyond(idle: list[float], busy: tuple[float, ...]) -> tuple[float, float]:
    """Requests and wake-ups for each job, without those that there would have been anyway."""
    seconds, _, requests, wakeups = busy
    return (requests - idle[0]) * seconds / PUSHES, (wakeups - idle[1]) * seconds / PUSHES


def _push(place: Site, called: dict[int, int]) -> None:
    for n in range(PUSHES):
        time.sleep(PAUSE)
        job = place.job(n)
        called[n] = time.monotonic_ns()
        place.scheduler.push(job)


def _schedule(place: Site, due: dict[int, int]) -> None:
    begin = place.scheduler.store.now() + int(LEAD * 1e6)
    for n in range(PUSHES, 2 * PUSHES):
        due[n] = begin + int((n - PUSHES) * PAUSE * 1e6)
    place.scheduler.push_many(place.job(n, at) for n, at in due.items())
    time.sleep(LEAD + PUSHES * PAUSE)


def _read(place: Site, hands: Hands) -> Reading:
    store = place.scheduler.store
    if isinstance(store, Metered):
        if REQUESTS[1] in store.work():
            time.sleep(FLUSHED)
        work = store.work()
        requests = next((work[name] for name in REQUESTS if name in work), 0)
    else:
        requests = 0
    pids = hands.pids
    return Reading(time.monotonic(), sum(map(cpu_seconds, pids)), sum(map(_wakeups, pids)), requests)


def _wakeups(pid: int) -> int:
    """Voluntary context switches of all threads of a process."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        line = next(line for line in status.read_text().splitlines() if line.startswith("voluntary"))
        total += int(line.split()[1])
    return total


def show(title: str, rows: Iterator[Row]) -> None:
    """A table that grows as it is measured."""
    print(
        f"\n| {title}: workers | idle: CPU, % of a core | requests/s | wake-ups/s | a push: requests | wake-ups "
        "| pickup p50 / p99, ms | a due job: requests | wake-ups | lateness p50 / p99, ms |"
    )
    print(f"|---:|{'---:|' * 9}")
    for row in rows:
        print(
            f"| {row.workers} | {100 * row.cpu:.1f} | {row.requests:,.1f} | {row.wakeups:,.0f} "
            f"| {row.push_requests:.1f} | {row.push_wakeups:.1f} | {row.pickup.p50:.1f} / {row.pickup.p99:.1f} "
            f"| {row.due_requests:.1f} | {row.due_wakeups:.1f} | {row.lateness.p50:.1f} / {row.lateness.p99:.1f} |",
            flush=True,
        )


def main() -> None:
    """Measure each store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="*", metavar="URL")
    parser.add_argument("--workers", default="2,8,32", help="numbers of worker processes")
    told = parser.parse_args()
    with stores(told.urls) as urls:
        for url in urls:
            show(urlsplit(url).scheme, measure(url, [int(count) for count in told.workers.split(",")]))


if __name__ == "__main__":
    main()
