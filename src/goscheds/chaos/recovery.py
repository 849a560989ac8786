"""Recovery in numbers: how long until work goes on after a death, on a store that is otherwise idle.

Each trial is one death. What is timed runs from the signal to the beginning of the handler that makes it good.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from msgspec import Struct

from goscheds.chaos.actor import DUTIES, RETRY, WORKER, Part
from goscheds.chaos.crowd import Crowd, Member
from goscheds.chaos.rig import GLANCE, opened
from goscheds.clock import from_micros
from goscheds.job import Job
from goscheds.record import SETTLED
from goscheds.scheduler import Scheduler

T = TypeVar("T")
LONG = 600_000
"""Milliseconds that a job runs unless something is done to it."""
PATIENCE = 60.0
LEAD = 1.5
"""Seconds from the push of jobs to the instant at which they are due."""
DUE = 3_000
"""Jobs due in one instant: three rounds of promotion."""

Times = Mapping[str, list[float]]
"""Seconds, by who died."""


class Spread(Struct, frozen=True):
    """Seconds from a death until it was made good."""

    victim: str
    lease: float
    kills: int
    shortest: float
    median: float
    longest: float


class Place(Struct, frozen=True):
    """Where a trial is made."""

    scheduler: Scheduler
    crowd: Crowd


def measure(
    url: str, trial: str = "worker", lease: float = 10.0, kills: int = 30, tell: Callable[[str], None] = lambda _: None
) -> Times:
    """Times of so many deaths. Raises ConfigError, StoreError, TimeoutError."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    for victim, seconds in TRIALS[trial](url, lease, kills):
        took[victim].append(seconds)
        tell(f"{victim}: {seconds:.2f} s")
    return took


def spreads(took: Times, lease: float) -> list[Spread]:
    """Times in short."""
    return [
        Spread(victim, lease, len(times), min(times), statistics.median(times), max(times))
        for victim, times in sorted(took.items())
    ]


@contextmanager
def place_at(url: str, lease: float, workers: int, supervisors: int = 0) -> Iterator[Place]:
    """A namespace of its own with so many workers, erased afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="goscheds-recovery-")))
        namespace = f"chaos-{uuid4().hex[:12]}"
        stack.enter_context(opened(url, namespace))
        scheduler = stack.enter_context(Scheduler(url, namespace))
        part = Part(WORKER, url, namespace, "", lease)
        yield Place(scheduler, stack.enter_context(Crowd(folder, part, workers, 0, supervisors)))


def _workers(url: str, lease: float, kills: int) -> Iterator[tuple[str, float]]:
    """A worker is killed in mid-job; another takes the job back."""
    with place_at(url, lease, workers=2) as place:
        for _ in range(kills):
            yield _one(place, _kill)


def _machines(url: str, lease: float, kills: int) -> Iterator[tuple[str, float]]:
    """A worker is gone with its machine: nothing closes its connections, and nothing more comes through them."""
    gone: list[Member] = []

    def vanish(holder: Member, _pid: int) -> None:
        holder.send(signal.SIGSTOP)
        gone.append(holder)

    with place_at(url, lease, workers=2) as place:
        for _ in range(kills):
            victim, seconds = _one(place, vanish)
            gone.pop().kill()
            yield f"machine of a {victim}", seconds


def _children(url: str, lease: float, kills: int) -> Iterator[tuple[str, float]]:
    """A supervised worker is killed; its supervisor has a sister take the job back."""
    with place_at(url, lease, workers=0, supervisors=1) as place:
        for _ in range(kills):
            _, seconds = _one(place, _kill)
            yield "supervised worker", seconds


def _duties(url: str, lease: float, kills: int) -> Iterator[tuple[str, float]]:
    """Who does the duties, and nothing else, is killed while it makes jobs ready; how long until the last begins."""
    for _ in range(kills):
        with place_at(url, lease, workers=0) as place:
            holder = place.crowd.start(DUTIES)
            _lead(holder)
            place.crowd.workers.append(place.crowd.start(WORKER))
            place.crowd.muster()
            yield "duties, in mid-pass", _one_pass(place, holder)


def _lead(holder: Member) -> None:
    """Wait until it has the duties."""

    def leads() -> bool:
        holder.news()
        return holder.leads

    until(leads, "the duties to be held")


def _one_pass(place: Place, holder: Member) -> float:
    due = place.scheduler.store.now() + int(LEAD * 1_000_000)
    jobs = [
        Job("sync", {"ms": 0, "fail": 0}, queue="sync", retry=RETRY, execute_at=from_micros(due)) for _ in range(DUE)
    ]
    for at in range(0, DUE, 1000):
        place.scheduler.push_many(jobs[at : at + 1000])
    time.sleep(max(0.0, (due - place.scheduler.store.now()) / 1e6) + random.uniform(0, 0.03))  # noqa: S311 - a spread
    killed = time.monotonic_ns()
    holder.kill()
    (worker,) = place.crowd.workers
    until(lambda: worker.news() is not None and len(worker.started) >= DUE, "the last job to begin")
    return (max(worker.started.values()) - killed) / 1e9


def _one(place: Place, strike: Callable[[Member, int], None]) -> tuple[str, float]:
    """Whoever runs a job is struck; what it was, and how long it took until the job began again."""
    crowd, scheduler = place.crowd, place.scheduler
    crowd.muster()
    job = Job("sync", {"ms": LONG, "fail": 0}, queue="sync", retry=RETRY)
    scheduler.push(job)
    holder, _ = begun(crowd, job.id, 0)
    time.sleep(random.uniform(0.1, 2))  # noqa: S311 - so that the deaths fall anywhere between two of its heartbeats
    crowd.follow()
    victim = "worker with the duties" if holder.leads else "worker"
    struck = time.monotonic_ns()
    strike(holder, holder.took[job.id])
    _, began = begun(crowd, job.id, struck)
    scheduler.cancel(job.id)
    until(lambda: scheduler.get(job.id).state in SETTLED, "the job to end when it is told to")
    return victim, (began - struck) / 1e9


def _kill(_holder: Member, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def begun(crowd: Crowd, id: str, after: int) -> tuple[Member, int]:
    """Wait for a job to begin after a moment: where, and when."""

    def found() -> tuple[Member, int] | None:
        crowd.follow()
        began = ((member, member.started.get(id, 0)) for member in (*crowd.past, *crowd.members()))
        return next((one for one in began if one[1] > after), None)

    return until(found, "the job to begin")


def until(probe: Callable[[], T | None], what: str) -> T:
    """Wait until a look finds something. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE
    while not (answer := probe()):
        if time.monotonic() > end:
            raise TimeoutError(f"Waited {PATIENCE:g} s for {what}.")
        time.sleep(GLANCE)
    return answer


TRIALS: Mapping[str, Callable[[str, float, int], Iterator[tuple[str, float]]]] = {
    "worker": _workers,
    "machine": _machines,
    "child": _children,
    "duties": _duties,
}
"""What can die, by name."""
