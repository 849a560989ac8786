"""``goscheds jobs`` and ``goscheds show``."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import click
import msgspec

from goscheds.cli.output import Column, clean, json_option, print_json, print_table
from goscheds.cli.target import store_options
from goscheds.cli.times import exact, relative
from goscheds.cli.views import JobView
from goscheds.job import JobInfo
from goscheds.record import State
from goscheds.scheduler import Scheduler

ERROR_WIDTH = 60
STATES = click.Choice([state.value for state in State])


@click.command()
@store_options
@click.option("--state", type=STATES, help="Only jobs in this state.")
@click.option("--queue", default="", metavar="NAME", help="Only jobs of this queue.")
@click.option("--name", default="", metavar="NAME", help="Only jobs of this name.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--ids", is_flag=True, help="Print the ids alone, e.g. for `| xargs goscheds retry`.")
@json_option
def jobs(
    scheduler: Scheduler, state: str | None, queue: str, name: str, limit: int, *, ids: bool, as_json: bool
) -> None:
    """List jobs, in an order of the store's own."""
    found = list(islice(scheduler.jobs(state=state, queue=queue, name=name), limit + 1))
    shown = found[:limit]
    if ids:
        for info in shown:
            click.echo(clean(info.id))
    elif as_json:
        print_json([JobView.of(info) for info in shown])
    else:
        print_table(_columns(scheduler.now()), shown, f"There are no such jobs in {_place(scheduler)}.")
    if len(found) > limit:
        click.echo(f"The first {limit}; there are more: --limit.", err=True)


def _place(scheduler: Scheduler) -> str:
    return f"namespace {scheduler.namespace!r} of {scheduler.url}"


def _columns(now: datetime) -> list[Column[JobInfo]]:
    return [
        Column("ID", lambda info: info.id, whole=True),
        Column("NAME", lambda info: info.job.name),
        Column("QUEUE", lambda info: info.job.queue),
        Column("STATE", lambda info: info.state.value, whole=True),
        Column("WHEN", lambda info: relative(_when(info), now), whole=True),
        Column("FAILED", lambda info: str(info.attempts) if info.attempts else "", right=True),
        Column("ERROR", lambda info: _shortened(info.error)),
    ]


def _when(info: JobInfo) -> datetime:
    """When it is due, if that is what it waits for; else since when it is as it is."""
    if info.state is State.SCHEDULED and info.job.execute_at:
        return info.job.execute_at
    return info.changed_at


def _shortened(error: str) -> str:
    return error if len(error) <= ERROR_WIDTH else error[: ERROR_WIDTH - 1] + "…"


@click.command()
@store_options
@click.argument("id")
@json_option
def show(scheduler: Scheduler, id: str, *, as_json: bool) -> None:
    """Show everything about the job ID."""
    info = scheduler.get(id)
    if as_json:
        print_json(JobView.of(info))
        return
    facts = {fact: told for fact, told in _facts(info, scheduler.now()) if told}
    width = max(map(len, facts))
    for fact, told in facts.items():
        first, *more = told.splitlines()
        click.echo(f"{click.style(fact.ljust(width), dim=True)}  {clean(first)}")
        for line in more:
            click.echo(f"{'':{width}}  {clean(line)}")


def _facts(info: JobInfo, now: datetime) -> list[tuple[str, str]]:
    job = info.job
    return [
        ("id", info.id),
        ("name", job.name),
        ("queue", job.queue),
        ("state", info.state.value + (", its cancellation asked for" if info.cancelling else "")),
        ("since", _moment(info.changed_at, now)),
        ("worker", info.worker),
        ("args", _json(job.args)),
        ("pushed", _moment(info.pushed_at, now)),
        ("due", _moment(job.execute_at, now) if job.execute_at else ""),
        ("priority", str(job.priority)),
        ("timeout", f"{job.timeout.total_seconds():g} s" if job.timeout else "none"),
        ("unique key", job.unique_key or ""),
        ("attempts", _attempts(info)),
        ("crashes", str(info.crashes) if info.crashes else ""),
        ("fence", f"{info.fence} (how often it was claimed)"),
        ("result", _json(info.result) if info.result is not None else ""),
        ("error", info.error),
        ("traceback", info.trace),
    ]


def _attempts(info: JobInfo) -> str:
    most = info.job.retry.max_attempts
    return f"{info.attempts} failed" + (f", of {most} at most" if most else "")


def _moment(moment: datetime, now: datetime) -> str:
    return f"{exact(moment)} ({relative(moment, now)})"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
