"""``goscheds cancel``, ``retry`` and ``reschedule``: what a person does to jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import click

from goscheds.cli.output import clean
from goscheds.cli.target import store_options
from goscheds.cli.times import duration, moment
from goscheds.errors import JobNotFound, NotMoved
from goscheds.record import State
from goscheds.scheduler import Scheduler

CANCELLED = {
    State.CANCELLED: "is cancelled: it never starts",
    State.ACTIVE: "is active: its handler is told by the next heartbeat",
}


@click.command()
@store_options
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def cancel(scheduler: Scheduler, ids: Sequence[str]) -> None:
    """Cancel the jobs ID: waiting ones never start, active ones are told to stop."""

    def cancel_one(id: str) -> str:
        state = scheduler.cancel(id)
        if state not in CANCELLED:
            raise NotMoved(f"Job {id!r} had ended before: it is {state}.")
        return CANCELLED[state]

    _each(ids, cancel_one)


@click.command()
@store_options
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
def retry(scheduler: Scheduler, ids: Sequence[str]) -> None:
    """Run the ended or scheduled jobs ID now, their attempts counted anew."""
    _each(ids, lambda job: f"is {scheduler.retry(job)}")


@click.command()
@store_options
@click.argument("id")
@click.option("--in", "delay", type=duration, help="Run it after this long.")
@click.option("--at", type=moment, help="Run it at this moment, e.g. 2027-01-01T09:30:00+00:00.")
def reschedule(scheduler: Scheduler, id: str, delay: timedelta | None, at: datetime | None) -> None:
    """Run the waiting job ID at another moment."""
    if (when := _only(delay, at)) is None:
        raise click.UsageError("Say when: either --in DURATION or --at MOMENT.")
    _each([id], lambda job: f"is {scheduler.reschedule(job, when)}")


def _only(delay: timedelta | None, at: datetime | None) -> datetime | timedelta | None:
    return None if delay is not None and at is not None else at if delay is None else delay


def _each(ids: Sequence[str], verb: Callable[[str], str]) -> None:
    """Do it to every job. One that refuses does not stop the others, but the exit status is 1."""
    refused = False
    for id in ids:
        try:
            click.echo(f"{clean(id)} {verb(id)}.")
        except (JobNotFound, NotMoved) as error:
            click.echo(f"Error: {error}", err=True)
            refused = True
    if refused:
        raise SystemExit(1)
