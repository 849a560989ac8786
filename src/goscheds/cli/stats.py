"""``goscheds stats`` and ``goscheds workers``."""

from __future__ import annotations

import sys
import time

import click

from goscheds.cli.output import Column, json_option, live, print_json, print_table, rich_table
from goscheds.cli.target import store_options
from goscheds.cli.times import relative
from goscheds.cli.views import QueueView, StatsView, WorkerView
from goscheds.record import State
from goscheds.scheduler import Scheduler

REFRESH = 1.0
"""Seconds between looks of ``--watch``."""


@click.command()
@store_options
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@json_option
def stats(scheduler: Scheduler, *, watch: bool, as_json: bool) -> None:
    """Count the jobs of every queue by state, and the workers."""
    if watch and (as_json or not sys.stdout.isatty()):
        raise click.UsageError("--watch draws on a terminal; leave it out with --json or in a pipe.")
    if watch:
        _watch(scheduler)
    view = _look(scheduler)
    if as_json:
        print_json(view)
        return
    print_table(_QUEUES, view.queues, f"No jobs in namespace {scheduler.namespace!r} of {scheduler.url}.")
    click.echo(_summary(view), err=not sys.stdout.isatty())


def _look(scheduler: Scheduler) -> StatsView:
    now = scheduler.now()
    workers = [WorkerView.of(worker, now) for worker in scheduler.workers()]
    lost = sum(worker.lost for worker in workers)
    return StatsView(now, QueueView.of(scheduler.counts()), len(workers) - lost, lost)


def _count(state: State) -> Column[QueueView]:
    def cell(queue: QueueView) -> str:
        count: int = getattr(queue, state.value)
        return f"{count:,}" if count else "·"

    return Column(state.value.upper(), cell, right=True)


_QUEUES = [
    Column[QueueView]("QUEUE", lambda queue: queue.queue),
    *(_count(state) for state in State),
    Column[QueueView]("", lambda queue: "paused" if queue.paused else ""),
]


def _summary(view: StatsView) -> str:
    told = f"{view.workers or 'No'} worker{'' if view.workers == 1 else 's'} at work"
    return told + (f", {view.lost_workers} lost, with jobs to be taken back." if view.lost_workers else ".")


def _watch(scheduler: Scheduler) -> None:
    """Draw until Ctrl-C, which is how it is meant to end."""
    latest = _look(scheduler)

    def render() -> object:
        from rich.console import Group  # noqa: PLC0415 - imported when something is shown

        return Group(rich_table(_QUEUES, latest.queues), _summary(latest))

    try:
        with live(render, REFRESH):
            while True:
                time.sleep(REFRESH)
                latest = _look(scheduler)
    except KeyboardInterrupt:
        sys.exit(0)


@click.command()
@store_options
@json_option
def workers(scheduler: Scheduler, *, as_json: bool) -> None:
    """List the workers: those at work, and lost ones whose jobs are still to be taken back."""
    now = scheduler.now()
    views = [WorkerView.of(worker, now) for worker in scheduler.workers()]
    if as_json:
        print_json(views)
        return
    columns = [
        Column[WorkerView]("WORKER", lambda worker: worker.id, whole=True),
        Column[WorkerView]("STATE", lambda worker: "lost" if worker.lost else "at work"),
        Column[WorkerView]("HOLDS", lambda worker: str(worker.held), right=True),
        Column[WorkerView]("QUEUES", _served),
        Column[WorkerView]("STARTED", lambda worker: relative(worker.started_at, now) if worker.started_at else ""),
        Column[WorkerView]("LEASE", lambda worker: relative(worker.expires_at, now)),
    ]
    print_table(columns, views, f"No workers in namespace {scheduler.namespace!r} of {scheduler.url}.")


def _served(worker: WorkerView) -> str:
    return ", ".join(f"{queue}={slots}" for queue, slots in worker.queues.items()) or "the duties alone"
