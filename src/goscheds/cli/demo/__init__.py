"""``goscheds demo``: real files, several worker processes, one of them killed, and the sum checked."""

from __future__ import annotations

import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from goscheds.cli.demo.crowd import Crowd
from goscheds.cli.demo.files import Measure, files_in, measure, standard_library
from goscheds.cli.demo.journal import Reading
from goscheds.cli.demo.plan import SLOTS, Settings, counted
from goscheds.cli.demo.play import Play
from goscheds.cli.demo.screen import screen
from goscheds.cli.demo.verdict import Evidence, problems, tell
from goscheds.cli.progress import patiently
from goscheds.errors import ConfigError
from goscheds.scheduler import Scheduler
from goscheds.store import Capability, Erasable

PLAYING_TIME = 9.0
"""Seconds that the counting should take, by a pause in each job, so that there is something to see and to kill."""
LONGEST_PAUSE = 1.0
DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=DIRECTORY)
@click.option("-s", "--store", "url", metavar="URL", help="[default: a SQLite file in a temporary directory]")
@click.option("--workers", type=click.IntRange(2, 32), default=3, show_default=True, help="Worker processes.")
def demo(directory: Path | None, url: str | None, workers: int) -> None:
    """Count the files of DIR in several worker processes, kill one of them in the middle, and check the sum.

    DIR is the running Python's own standard library unless told. Each file is a job: its size, lines, words and
    sha256; some fail at their first attempt, on purpose. A report is scheduled some seconds ahead. Everything happens
    in a namespace of its own, which is erased at the end. The exit status is 1 if anything is missing.
    """
    directory = (directory or standard_library()).absolute()
    files = files_in(directory)
    if not files:
        raise ConfigError(f"There are no readable files in {directory}.")
    with tempfile.TemporaryDirectory(prefix="goscheds-demo-") as scratch:
        url = url or f"sqlite:///{scratch}/jobs.db"
        with _ended_by_signals(), _namespace(url) as scheduler:
            click.echo(f"{len(files):,} files of {directory}\n{workers} workers on {scheduler.url}")
            sys.exit(_perform(scheduler, url, files, workers, Path(scratch)))


def _perform(scheduler: Scheduler, url: str, files: list[str], workers: int, scratch: Path) -> int:
    """The exit status of a performance."""
    pause = min(LONGEST_PAUSE, PLAYING_TIME * workers * SLOTS / len(files))
    journal = scratch / "journal"
    settings = Settings(url, scheduler.namespace, str(journal), pause)
    with closing(Reading(journal)) as reading, Crowd(settings, scratch / "log") as crowd:
        for _ in range(workers):
            crowd.start()
        play = Play(scheduler, files, crowd, reading)
        play.push()
        with screen() as show:
            play.run(show)
    evidence = Evidence.of(counted(scheduler), _plain_loop(files), scheduler.get(play.report_id), play.strike, reading)
    tell(evidence)
    return 1 if any(problems(evidence)) else 0


def _plain_loop(files: list[str]) -> dict[str, Measure]:
    measures: dict[str, Measure] = {}

    def loop() -> None:
        for path in files:
            measures[path] = measure(path)

    patiently("Counting again in a plain loop", loop, lambda: (len(measures), len(files)))
    return measures


@contextmanager
def _namespace(url: str) -> Iterator[Scheduler]:
    """A scheduler in a namespace of its own, which is erased at the end. Raises ConfigError if it can't be."""
    with Scheduler(url, f"demo-{secrets.token_hex(4)}") as scheduler:
        store = scheduler.store
        if Capability.PROCESSES not in store.capabilities:
            raise ConfigError(
                f"{scheduler.url} lives inside one process, and the demonstration runs several. Leave --store out for "
                "a SQLite file, or give redis://… or postgresql://…"
            )
        if not isinstance(store, Erasable):
            raise ConfigError(f"{scheduler.url} can't erase a namespace: the demonstration would leave its jobs there.")
        try:
            yield scheduler
        finally:
            store.erase()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Whatever tells us to end does it by an exception, so that everything is cleared away.

    SIGINT is among them, as a shell starts background programs with it ignored.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)
