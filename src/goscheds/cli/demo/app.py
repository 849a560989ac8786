"""The application that the demonstration's workers run: ``goscheds worker goscheds.cli.demo.app:scheduler``."""

from __future__ import annotations

import os
import sys
import threading
import zlib
from datetime import timedelta
from pathlib import Path

import msgspec

from goscheds import Context, RunAgain, Scheduler, State
from goscheds.cli.demo.files import Measure, Totals, measure
from goscheds.cli.demo.journal import Journal
from goscheds.cli.demo.plan import COUNT, FILES, REPORT, REPORTS, VARIABLE, Settings, counted

UNLUCKY = 40
"""One file in so many fails at its first attempt."""
LOOK_AGAIN = timedelta(milliseconds=250)
MICROSECOND = timedelta(microseconds=1)

settings = msgspec.json.decode(os.environ[VARIABLE], type=Settings)
scheduler = Scheduler(settings.url, settings.namespace)
journal = Journal(Path(settings.journal))


class BadLuckError(Exception):
    """A failure on purpose."""


@scheduler.job(name=COUNT, queue=FILES)
def count(path: str, context: Context) -> Measure:
    """Count a file."""
    journal.began(context.job.id)
    context.wait(settings.pause)
    if context.attempt == 1 and zlib.crc32(path.encode()) % UNLUCKY == 0:
        journal.failed(context.job.id)
        raise BadLuckError(path)
    return measure(path)


@scheduler.job(name=REPORT, queue=REPORTS)
def report(files: int, context: Context) -> Totals:
    """Sum up, once every file's job has ended."""
    if context.attempt == 1 and context.job.execute_at:
        journal.reported((scheduler.now() - context.job.execute_at) // MICROSECOND)
    counts = scheduler.counts().jobs
    missing = files - counts.get((FILES, State.DONE), 0) - counts.get((FILES, State.DEAD), 0)
    if missing:
        raise RunAgain(LOOK_AGAIN, reason=f"{missing} files are not counted yet")
    return Totals.of(counted(scheduler))


def _end_with_the_demonstration() -> None:
    """Its end of our standard input closes with it, however it ends: no worker outlives it."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


threading.Thread(target=_end_with_the_demonstration, daemon=True).start()
