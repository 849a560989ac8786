"""What a worker costs that has nothing to do: ``goscheds worker`` as a user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from goscheds.bench.figures import BenchFailed, Figure
from goscheds.bench.hands import PATIENCE
from goscheds.bench.meters import between, reading
from goscheds.bench.plan import Plan
from goscheds.bench.processes import counted, cpu_seconds, resident
from goscheds.bench.site import Site, site

MEGABYTE = 1_000_000


def idle(url: str, plan: Plan) -> Iterator[Figure]:
    """Memory, share of a core, and what it asks of the server."""
    with site(url, plan) as place:
        if place.processes and counted():
            with _worker(place) as pid:
                yield _watch(place, pid)


def _watch(place: Site, pid: int) -> Figure:
    _work_a_little(place)
    before, began, cpu = reading(place.scheduler.store), time.monotonic(), cpu_seconds(pid)
    time.sleep(place.plan.seconds)
    busy = cpu_seconds(pid) - cpu
    after = reading(place.scheduler.store)
    seconds = time.monotonic() - began
    also = {"memory, MB": resident(pid) / MEGABYTE, "CPU, % of a core": 100 * busy / seconds}
    return Figure("idle", f"1 worker, {seconds:.0f} s", also={**also, **between(before, after, "s", seconds)})


def _work_a_little(place: Site) -> None:
    """Whatever is imported and connected at the first job is there afterwards."""
    for _ in range(10):
        id = place.scheduler.push(place.job(0))
        place.scheduler.result(id, PATIENCE)
    time.sleep(1.0)


@contextmanager
def _worker(place: Site) -> Iterator[int]:
    """The process id of a worker that is up."""
    told = {"GOSCHEDS_BENCH_STORE": place.url, "GOSCHEDS_BENCH_NAMESPACE": place.scheduler.namespace}
    command = [sys.executable, "-m", "goscheds", "worker", "goscheds.bench.app:scheduler", "--log-level", "warning"]
    with subprocess.Popen(command, env={**os.environ, **told}) as process:  # noqa: S603 - this very interpreter
        try:
            until = time.monotonic() + PATIENCE
            while not place.scheduler.workers():
                if process.poll() is not None or time.monotonic() > until:
                    raise BenchFailed("`goscheds worker` did not come up; its error output says why.")
                time.sleep(0.05)
            yield process.pid
        finally:
            process.kill()
