"""Where the time of a no-op job goes: the whole worker, and the store's verbs alone, in µs a job.

python benchmarks/hotloop.py redis://localhost:6379/0 --slots 8 --style async
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable

from goscheds import Worker
from goscheds.bench.hand import Notes
from goscheds.bench.plan import Plan, Style
from goscheds.bench.site import Site, site
from goscheds.bench.throughput import lasted
from goscheds.record import Claim, Outcome

BATCH = 100


def verbs(place: Site, jobs: int) -> None:
    """Push, claim and settle, each for all jobs."""
    store = place.scheduler.store
    store.heartbeat("hotloop", 3600, b"")
    claims: list[list[Claim]] = []

    def claim() -> None:
        while batch := store.claim("default", "hotloop", BATCH, 0):
            claims.append(batch)

    _timed("push_many", jobs, lambda: place.push(jobs))
    _timed("claim", jobs, claim)
    _timed("settle", jobs, lambda: [store.settle("hotloop", [Outcome.done(one) for one in batch]) for batch in claims])


def worker(place: Site, jobs: int, slots: int) -> None:
    """A worker in this process, from the first start to the last."""
    place.push(jobs)
    crew = Worker(place.scheduler, {"default": slots})
    notes: Notes = place._notes  # noqa: SLF001 - the handler's own, in this process
    thread = threading.Thread(target=crew.run)
    cpu = time.process_time()
    thread.start()
    while len(notes) < jobs:
        time.sleep(0.005)
    cpu = time.process_time() - cpu
    _show(f"worker, {place.style}, {slots} slots", lasted([notes]) / 1e9, cpu, jobs)
    crew.stop()
    thread.join()


def _timed(name: str, jobs: int, work: Callable[[], object]) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    _show(name, time.perf_counter() - wall, time.process_time() - cpu, jobs)


def _show(name: str, wall: float, cpu: float, jobs: int) -> None:
    print(f"{name:26} {1e6 * wall / jobs:7.1f} µs a job, {1e6 * cpu / jobs:7.1f} of them CPU time of this process")


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--style", type=Style, default=Style.SYNC)
    told = parser.parse_args()
    with site(told.url, Plan(), told.style) as place:
        verbs(place, told.jobs)
    with site(told.url, Plan(), told.style) as place:
        worker(place, told.jobs, told.slots)


if __name__ == "__main__":
    main()
