"""``goscheds push`` and ``goscheds result``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

import click
import msgspec

from goscheds.cli.output import clean, print_json
from goscheds.cli.target import store_options
from goscheds.cli.times import duration, moment
from goscheds.job import Job
from goscheds.scheduler import Scheduler


def pair(text: str) -> tuple[str, Any]:
    """``key=value``, the value as JSON where it is some. Raises click.BadParameter."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r} is not key=value.")
    try:
        return key, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return key, value


def json_object(text: str) -> dict[str, Any]:
    """A JSON object. Raises click.BadParameter."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"{text!r:.80} is not a JSON object: {error}.") from error


@click.command()
@store_options
@click.argument("name")
@click.argument("pairs", nargs=-1, type=pair, metavar="[KEY=VALUE]...")
@click.option("--args", type=json_object, metavar="JSON", help="The arguments as a JSON object.")
@click.option("--in", "delay", type=duration, help="Run it after this long.")
@click.option("--at", type=moment, help="Run it at this moment, e.g. 2027-01-01T09:30:00+00:00.")
@click.option("--queue", metavar="NAME", help="[default: the handler's, else default]")
@click.option("--priority", type=click.IntRange(-100, 100), help="Higher runs first.  [default: the handler's, else 0]")
@click.option("--unique-key", metavar="KEY", help="At most one live job has it.")
@click.option("--id", metavar="ID", help="Pushing the same id again is the same job.")
@click.option("--wait", is_flag=True, help="Wait until the job has ended, and print what its handler returned.")
def push(
    scheduler: Scheduler,
    name: str,
    pairs: Sequence[tuple[str, Any]],
    args: Mapping[str, Any] | None,
    delay: timedelta | None,
    at: datetime | None,
    *,
    wait: bool,
    **options: Any,
) -> None:
    """Push a job for the handler NAME, and print the job's id.

    A VALUE is JSON where it parses as such, and text otherwise: order_id=7 is a number, email=a@example.org is text,
    and code='"7"' is text as well.
    """
    if delay is not None and at is not None:
        raise click.UsageError("--in and --at exclude each other.")
    job = _job(scheduler, name, {**(args or {}), **dict(pairs)}, options)
    id = _push(scheduler, job, delay, at)
    if id != job.id:
        click.echo(f"Not pushed: the live job {clean(id)} has the unique key {job.unique_key!r}.", err=True)
    click.echo(clean(id), err=wait)
    if wait:
        print_json(scheduler.result(id))


def _job(scheduler: Scheduler, name: str, args: Mapping[str, Any], options: Mapping[str, Any]) -> Job:
    """The job, with its handler's own options under those that were given."""
    task = scheduler.tasks.get(name)
    if task is None and (close := get_close_matches(name, scheduler.tasks, 1)):
        click.echo(f"Note: there is no handler {name!r} in this module; there is {close[0]!r}.", err=True)
    given = {option: value for option, value in options.items() if value is not None}
    return replace(task.job(**args), **given) if task else Job(name, args, **given)


def _push(scheduler: Scheduler, job: Job, delay: timedelta | None, at: datetime | None) -> str:
    if delay is not None:
        return scheduler.push_in(delay, job)
    if at is not None:
        return scheduler.push_scheduled(replace(job, execute_at=at))
    return scheduler.push(job)


@click.command()
@store_options
@click.argument("id")
@click.option("--timeout", type=duration, help="Wait no longer than this.  [default: for ever]")
def result(scheduler: Scheduler, id: str, timeout: timedelta | None) -> None:
    """Wait for the job ID to end, and print what its handler returned, as JSON."""
    print_json(scheduler.result(id, timeout))
