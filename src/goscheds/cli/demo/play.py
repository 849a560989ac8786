"""The course of the demonstration: push, watch, kill a worker that holds jobs, wait for the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import click
from msgspec.structs import replace

from goscheds.cli.demo.crowd import Crowd
from goscheds.cli.demo.journal import Reading
from goscheds.cli.demo.plan import COUNT, FILES, REPORT, REPORTS
from goscheds.cli.demo.scene import Hand, Scene, Strike
from goscheds.cli.progress import patiently
from goscheds.cli.times import spell
from goscheds.cli.views import WorkerView
from goscheds.errors import GoschedsError
from goscheds.job import Job
from goscheds.record import SETTLED, State
from goscheds.retry import Retry
from goscheds.scheduler import Scheduler

REPORT_IN = timedelta(seconds=7)
STRIKE_AT = 5
"""A worker is killed when one file in so many is counted, with time left to see what comes of it."""
BATCH = 500
"""Jobs pushed at once."""
LOOK = 0.1
"""Seconds between looks."""
STALLED = 30.0
"""Seconds without any change after which something must be wrong."""


class Stalled(GoschedsError):
    """The demonstration does not go on."""


class Play:
    """One performance: ``push``, then ``run``, which shows a scene at every look."""

    def __init__(self, scheduler: Scheduler, files: Sequence[str], crowd: Crowd, reading: Reading) -> None:
        self._scheduler = scheduler
        self._files = files
        self._crowd = crowd
        self._reading = reading
        self._began = time.monotonic()
        self._due = 0.0
        self.report_id = ""
        self.strike: Strike | None = None

    def push(self) -> None:
        """A job for each file, and the report some seconds ahead by the store's clock."""
        pushed = 0

        def push_files() -> None:
            nonlocal pushed
            for start in range(0, len(self._files), BATCH):
                batch = self._files[start : start + BATCH]
                self._scheduler.push_many(Job(COUNT, {"path": path}, queue=FILES) for path in batch)
                pushed += len(batch)

        patiently("Pushing jobs", push_files, lambda: (pushed, len(self._files)))
        arguments, patient = {"files": len(self._files)}, Retry(max_attempts=0)
        moment = self._scheduler.now() + REPORT_IN
        self._due = time.monotonic() + REPORT_IN.total_seconds()
        self.report_id = self._scheduler.push_scheduled(
            Job(REPORT, arguments, queue=REPORTS, execute_at=moment, retry=patient)
        )

    def run(self, show: Callable[[Scene], None]) -> None:
        """Go on until the report has ended. Raises Stalled."""
        before, changed = None, time.monotonic()
        while not (scene := self._look()).over:
            show(scene)
            self._maybe_strike(scene)
            if (progress := (scene.counts, self._reading.runs.total())) != before:
                before, changed = progress, time.monotonic()
            if not self._crowd.alive() or time.monotonic() - changed > STALLED:
                click.echo(self._crowd.last_words(), err=True)
                raise Stalled("The workers do not go on. The end of their log stands above.")
            time.sleep(LOOK)
        self._reading.read_on()  # what was written between the last look at it and the end
        show(scene)

    def _look(self) -> Scene:
        self._reading.read_on()
        jobs = self._scheduler.counts().jobs
        counts = {state: jobs.get((FILES, state), 0) for state in State}
        self._see_what_is_back()
        over = self._scheduler.get(self.report_id).state in SETTLED
        return Scene(
            time.monotonic() - self._began,
            len(self._files),
            counts[State.READY] + counts[State.SCHEDULED],
            counts[State.ACTIVE],
            counts[State.DONE],
            counts[State.DEAD],
            len(self._reading.failed),
            tuple(self._hands()),
            self.strike,
            self._told_of_report(),
            over,
        )

    def _see_what_is_back(self) -> None:
        if self.strike and self.strike.back < len(self.strike.held):
            left = self.strike.held & self._held_by(self.strike.worker)
            self.strike = replace(self.strike, back=len(self.strike.held) - len(left))

    def _held_by(self, worker: str) -> frozenset[str]:
        active = self._scheduler.jobs(state=State.ACTIVE, queue=FILES)
        return frozenset(info.id for info in active if info.worker == worker)

    def _workers(self) -> dict[int, WorkerView]:
        now = self._scheduler.now()
        views = [WorkerView.of(worker, now) for worker in self._scheduler.workers()]
        return {view.pid: view for view in views if view.pid}

    def _hands(self) -> list[Hand]:
        known = self._workers()
        hands = []
        for process in self._crowd.processes:
            worker = known.get(process.pid)
            if self.strike and self.strike.pid == process.pid:
                state = f"killed after {self.strike.after:.1f} s, holding {len(self.strike.held)}"
            else:
                state = "ended" if process.poll() is not None else "at work" if worker else "starting"
            hands.append(Hand(process.pid, worker.held if worker else 0, state))
        return hands

    def _maybe_strike(self, scene: Scene) -> None:
        """When it is well under way, kill who holds most. What it held is looked up when it is dead: no guess."""
        under_way = scene.done >= scene.total // STRIKE_AT or not scene.queued
        if self.strike or not under_way or not scene.active:
            return
        workers = self._workers()
        pid = max(workers, key=lambda pid: workers[pid].held)
        self._crowd.kill(pid)
        after = time.monotonic() - self._began
        held = self._held_by(workers[pid].id)
        if held:
            self.strike = Strike(workers[pid].id, pid, after, held)
        else:  # it had just finished what it held
            self._crowd.start()

    def _told_of_report(self) -> str:
        if self._reading.late is not None:
            return f"began {spell(timedelta(microseconds=self._reading.late))} late"
        left = self._due - time.monotonic()
        return f"due in {left:.1f} s" if left > 0 else "due now"
