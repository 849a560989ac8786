"""Recovery in numbers: how long until a job runs again whose worker was killed, on a store that is otherwise idle."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from msgspec import Struct

from goscheds.chaos.actor import RETRY, WORKER, Part
from goscheds.chaos.crowd import Crowd, Member
from goscheds.chaos.rig import GLANCE, opened
from goscheds.job import Job
from goscheds.record import SETTLED
from goscheds.scheduler import Scheduler

T = TypeVar("T")
LONG = 600_000
"""Milliseconds that a job runs unless something is done to it."""
PATIENCE = 60.0


class Spread(Struct, frozen=True):
    """Seconds from the kill until the job's handler began again."""

    victim: str
    lease: float
    kills: int
    shortest: float
    median: float
    longest: float


def measure(
    url: str, lease: float = 10.0, kills: int = 30, tell: Callable[[str], None] = lambda _: None
) -> list[Spread]:
    """Kill workers in mid-job, and wait for their jobs to begin again. Raises ConfigError, StoreError, TimeoutError."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="goscheds-recovery-")))
        namespace = f"chaos-{uuid4().hex[:12]}"
        stack.enter_context(opened(url, namespace))
        scheduler = stack.enter_context(Scheduler(url, namespace))
        crowd = stack.enter_context(Crowd(folder, Part(WORKER, url, namespace, "", lease), workers=2, producers=0))
        for _ in range(kills):
            victim, seconds = _kill_one(scheduler, crowd)
            took[victim].append(seconds)
            tell(f"{victim}: {seconds:.2f} s")
    return [
        Spread(victim, lease, len(times), min(times), statistics.median(times), max(times))
        for victim, times in sorted(took.items())
    ]


def _kill_one(scheduler: Scheduler, crowd: Crowd) -> tuple[str, float]:
    """Whoever runs a job is killed; what it was, and how long it took until the job began again."""
    crowd.muster()
    job = Job("sync", {"ms": LONG, "fail": 0}, queue="sync", retry=RETRY)
    scheduler.push(job)
    holder = _beginning(crowd, job.id)
    time.sleep(random.uniform(0.1, 2))  # noqa: S311 - so that the kills fall anywhere between two of its heartbeats
    crowd.follow()
    victim = "worker with the duties" if holder.leads else "worker"
    killed = time.monotonic_ns()
    holder.kill()
    other = _beginning(crowd, job.id)
    scheduler.cancel(job.id)
    _until(lambda: scheduler.get(job.id).state in SETTLED, "the job to end when it is told to")
    return victim, (other.started[job.id] - killed) / 1e9


def _beginning(crowd: Crowd, id: str) -> Member:
    """Wait for a job to begin, at whichever worker."""

    def found() -> Member | None:
        crowd.follow()
        return next((worker for worker in crowd.workers if id in worker.started), None)

    return _until(found, "the job to begin")


def _until(probe: Callable[[], T | None], what: str) -> T:
    until = time.monotonic() + PATIENCE
    while not (answer := probe()):
        if time.monotonic() > until:
            raise TimeoutError(f"Waited {PATIENCE:g} s for {what}.")
        time.sleep(GLANCE)
    return answer
