"""``goscheds worker``: the process that runs jobs, or the supervisor of several.

What a worker needs is imported when it is known to be one: a supervisor runs none of it.
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import click

from goscheds.cli.logs import log_options, log_to_stderr
from goscheds.cli.times import duration
from goscheds.supervisor.health import Condition, open_health
from goscheds.supervisor.parent import Limits, Supervisor

if TYPE_CHECKING:
    from goscheds.scheduler import Scheduler

log = logging.getLogger("goscheds")
SLOTS = 8
"""As in goscheds.worker, which a supervisor does not import."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMG])", re.IGNORECASE)
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def queue_slots(text: str) -> dict[str, int]:
    """``mail=8,reports``: slots by queue. Raises click.BadParameter."""
    queues: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        queue, equals, slots = part.strip().rpartition("=")
        if not equals:
            queue, slots = slots, str(SLOTS)
        if not queue or not slots.isdecimal() or not int(slots):
            raise click.BadParameter(f"{part!r} is not a queue with its slots. Write mail=8,reports=1.")
        if queue in queues:
            raise click.BadParameter(f"queue {queue!r} stands there twice.")
        queues[queue] = int(slots)
    if not queues:
        raise click.BadParameter("no queue is named. Write mail=8,reports=1, or leave it out for every queue.")
    return queues


def size(text: str) -> int:
    """``500M``, ``1.5G``: bytes. Raises click.BadParameter."""
    if not (parts := _SIZE.fullmatch(text)):
        raise click.BadParameter(f"{text!r} is not a size. Write 500M or 1.5G.")
    return int(float(parts[1]) * _UNITS[parts[2].upper()])


@click.command()
@click.argument("target", envvar="GOSCHEDS_STORE", required=False)
@click.option("--queues", type=queue_slots, metavar="NAME=SLOTS,…",
              help="How many jobs at a time, by queue.  [default: 8 in every handler's queue]")  # fmt: skip
@click.option("--lease", type=duration, default="10s", show_default=True,
              help="How long after its last sign of life its jobs are taken back.")  # fmt: skip
@click.option("--grace", type=duration, default="30s", show_default=True,
              help="How long running jobs may go on after SIGTERM.")  # fmt: skip
@click.option("--processes", type=click.IntRange(min=1), metavar="N",
              help="Run N workers, each in a process, under a supervisor that replaces those that die.")  # fmt: skip
@click.option("--max-jobs", type=click.IntRange(min=1), metavar="N",
              help="Replace a worker process after N jobs. Implies --processes 1.")  # fmt: skip
@click.option("--max-memory", type=size, metavar="SIZE",
              help="Replace a worker process that takes more, e.g. 500M. Implies --processes 1.")  # fmt: skip
@click.option("--health", metavar="FILE|[HOST:]PORT",
              help="Tell how it goes: in a file, each second, or over HTTP at /live and /ready.")  # fmt: skip
@click.option("--supervised", is_flag=True, hidden=True, help="Its stdin is the line to its supervisor.")
@log_options
def worker(
    target: str | None, queues: dict[str, int] | None, lease: timedelta, grace: timedelta, processes: int | None,
    max_jobs: int | None, max_memory: int | None, health: str | None, log_level: str, *, log_json: bool,
    supervised: bool,
) -> None:  # fmt: skip
    """Run the jobs of the scheduler TARGET, given as module:attribute, with the handlers registered there.

    SIGTERM and Ctrl-C drain: nothing more is claimed, running jobs finish within --grace, the rest is given back. A
    second one leaves at once. With --processes, SIGHUP replaces all workers one by one, for new code.
    """
    log_to_stderr(log_level, as_json=log_json)
    if not target or "://" in target:
        raise click.UsageError(
            "A worker runs your handlers, so it takes a scheduler of yours: "
            "goscheds worker app:scheduler (the attribute `scheduler` of app.py)."
        )
    if processes or max_jobs or max_memory:
        options = _options(target, queues, lease, grace, log_level, log_json)
        sys.exit(_supervise(options, processes or 1, grace, Limits(max_jobs or 0, max_memory or 0), health))
    _work(target, queues, lease, grace, health, supervised)


def _options(
    target: str, queues: dict[str, int] | None, lease: timedelta, grace: timedelta, log_level: str, log_json: bool
) -> list[str]:
    """A child's part of the command line."""
    options = ["--lease", f"{lease.total_seconds():.6f}s", "--grace", f"{grace.total_seconds():.6f}s"]
    if queues:
        options += ["--queues", ",".join(f"{queue}={slots}" for queue, slots in queues.items())]
    if log_json:
        options.append("--log-json")
    return [*options, "--log-level", log_level, "--", target]


def _supervise(options: list[str], processes: int, grace: timedelta, limits: Limits, health: str | None) -> int:
    with ExitStack() as stack:
        told = stack.enter_context(closing(open_health(health))) if health else None
        command = [sys.executable, "-m", "goscheds", "worker", "--supervised", *options]
        return Supervisor(command, processes, grace.total_seconds(), limits, told).run()


def _work(
    target: str, queues: dict[str, int] | None, lease: timedelta, grace: timedelta, health: str | None, supervised: bool
) -> None:
    from goscheds.cli.target import find_scheduler  # noqa: PLC0415 - a supervisor runs none of it
    from goscheds.supervisor.line import Line, reporting  # noqa: PLC0415 - the same
    from goscheds.worker import Worker  # noqa: PLC0415 - the same

    with ExitStack() as stack:
        line = Line.on_stdin() if supervised else None  # before the application may read stdin
        told = stack.enter_context(closing(open_health(health))) if health else None
        scheduler = stack.enter_context(find_scheduler(target, None))
        _warn(scheduler, target)
        worker = Worker(scheduler, queues, lease=lease, grace=grace)
        if line:
            worker.run(partial(line.beside, worker.stop))
        elif told:
            worker.run(lambda crew: reporting(crew, lambda vitals: told.tell(Condition(vitals.ready, [vitals]))))
        else:
            worker.run()


def _warn(scheduler: Scheduler, target: str) -> None:
    """What works, but hardly as it was meant."""
    from goscheds.store import Capability  # noqa: PLC0415 - a supervisor runs none of it

    if not scheduler.handlers.entries:
        log.warning("%s has no handlers: decorate functions with @scheduler.job in the module that you name.", target)
    if Capability.PROCESSES not in scheduler.store.capabilities:
        log.warning("%s lives in this process: only what is pushed from here will run.", scheduler.url)
