"""``goscheds pause``, ``resume`` and ``purge``: what a person does to queues."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import click

from goscheds.cli.output import clean
from goscheds.cli.progress import patiently
from goscheds.cli.target import store_options
from goscheds.cli.times import duration
from goscheds.record import SETTLED, State
from goscheds.scheduler import Scheduler

ENDED = click.Choice(sorted(state.value for state in SETTLED))


@click.command()
@store_options
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE...")
def pause(scheduler: Scheduler, queues: Sequence[str]) -> None:
    """Hand out nothing of QUEUE until it is resumed. Pushing goes on, and running jobs end."""
    for queue in queues:
        scheduler.pause(queue)
        click.echo(f"{clean(queue)} is paused; {_waiting(scheduler, queue)}.")


@click.command()
@store_options
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE...")
def resume(scheduler: Scheduler, queues: Sequence[str]) -> None:
    """Hand out the jobs of the paused QUEUE again."""
    for queue in queues:
        paused = queue in scheduler.counts().paused
        scheduler.resume(queue)
        click.echo(f"{clean(queue)} {'is resumed' if paused else 'was not paused'}; {_waiting(scheduler, queue)}.")


def _waiting(scheduler: Scheduler, queue: str) -> str:
    """How many wait there: the answer to a mistyped name is zero."""
    jobs = scheduler.counts().jobs
    waiting = sum(jobs.get((queue, state), 0) for state in (State.READY, State.SCHEDULED))
    return f"{waiting:,} {'job waits' if waiting == 1 else 'jobs wait'} there"


@click.command()
@store_options
@click.argument("state", type=ENDED)
@click.option("--older-than", type=duration, default="0s", help="Only what ended longer ago than this.")
@click.option("--queue", default="", metavar="NAME", help="Only jobs of this queue.")
def purge(scheduler: Scheduler, state: str, older_than: timedelta, queue: str) -> None:
    """Delete the jobs that ended as STATE.

    Workers do this by themselves in time, as keep_done and keep_dead of their scheduler say.
    """
    before = _ended(scheduler, state, queue)
    purged = patiently(
        f"Deleting {state} jobs",
        lambda: scheduler.purge(state, older_than=older_than, queue=queue),
        lambda: (before - _ended(scheduler, state, queue), before),
    )
    click.echo(f"{purged:,} {'job' if purged == 1 else 'jobs'} deleted.")


def _ended(scheduler: Scheduler, state: str, queue: str) -> int:
    jobs = scheduler.counts().jobs.items()
    return sum(count for (its, at), count in jobs if at == state and queue in ("", its))
