"""``goscheds worker`` and ``goscheds scheduler``: the processes that run jobs and do the duties."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import click
import msgspec

from goscheds.cli.target import EXAMPLES, Command, find_scheduler, namespace_option
from goscheds.cli.times import duration
from goscheds.scheduler import Scheduler
from goscheds.store import Capability
from goscheds.worker import SLOTS, Worker

log = logging.getLogger("goscheds")
LEVELS = ("debug", "info", "warning", "error")


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


def _target_argument(command: Command) -> Command:
    return click.argument("target", envvar="GOSCHEDS_STORE", required=False)(command)


def _log_options(command: Command) -> Command:
    level = click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True,
                         help="How much to log.")  # fmt: skip
    return level(click.option("--log-json", is_flag=True, help="Log one JSON object a line.")(command))


@click.command()
@_target_argument
@click.option("--queues", type=queue_slots, metavar="NAME=SLOTS,…",
              help="How many jobs at a time, by queue.  [default: 8 in every queue that a handler names]")  # fmt: skip
@click.option("--lease", type=duration, default="10s", show_default=True,
              help="How long after its last sign of life its jobs are taken back.")  # fmt: skip
@click.option("--grace", type=duration, default="30s", show_default=True,
              help="How long running jobs may go on after SIGTERM.")  # fmt: skip
@_log_options
def worker(
    target: str | None, queues: dict[str, int] | None, lease: timedelta, grace: timedelta, log_level: str, *,
    log_json: bool,
) -> None:  # fmt: skip
    """Run the jobs of the scheduler TARGET, given as module:attribute, with the handlers registered there.

    SIGTERM and Ctrl-C drain: nothing more is claimed, running jobs finish within --grace, the rest is given back. A
    second one leaves at once.
    """
    _log_to_stderr(log_level, as_json=log_json)
    if not target or "://" in target:
        raise click.UsageError(
            "A worker runs your handlers, so it takes a scheduler of yours: "
            "goscheds worker app:scheduler (the attribute `scheduler` of app.py)."
        )
    with find_scheduler(target, None) as scheduler:
        _warn(scheduler, target)
        Worker(scheduler, queues, lease=lease, grace=grace).run()


@click.command(name="scheduler")
@_target_argument
@namespace_option
@_log_options
def scheduler(target: str | None, namespace: str | None, log_level: str, *, log_json: bool) -> None:
    """Do the duties alone for TARGET, a scheduler as module:attribute or a store's URL.

    Due jobs become ready, jobs of dead workers are taken back, old ones are purged. Every worker does this as well; a
    process of its own is for deployments whose workers come and go.
    """
    _log_to_stderr(log_level, as_json=log_json)
    if not target:
        raise click.UsageError(f"Which store? Give {EXAMPLES}, or set GOSCHEDS_STORE.")
    with find_scheduler(target, namespace) as found:
        log.info("Doing the duties alone for namespace %r at %s.", found.namespace, found.url)
        found.run()


def _warn(scheduler: Scheduler, target: str) -> None:
    """What works, but hardly as it was meant."""
    if not scheduler.handlers.entries:
        log.warning("%s has no handlers: decorate functions with @scheduler.job in the module that you name.", target)
    if Capability.PROCESSES not in scheduler.store.capabilities:
        log.warning("%s lives in this process: only what is pushed from here will run.", scheduler.url)


def _log_to_stderr(level: str, *, as_json: bool) -> None:
    """Log to stderr, unless the application has set up logging already."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if as_json else _Lines("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])


class _Lines(logging.Formatter):
    """Moments in local time, with their offset, to the millisecond."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        return datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")


class _JsonLines(_Lines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()
