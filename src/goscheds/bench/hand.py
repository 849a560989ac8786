"""A worker that notes when its jobs began: in a process of its own, or in a thread where a store has but one process.

As a program it is told what to do in a line of JSON, answers "ready", begins at the next line, and ends at the line
after that, with its notes. While it works it says how many jobs it began.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from goscheds.bench.plan import JOB, Style
from goscheds.scheduler import Scheduler
from goscheds.task import Task
from goscheds.worker import Worker

GLANCE, REST = 0.01, 0.2
"""Seconds between two words on how many jobs began: while jobs begin, and at most, so that an idle worker is one."""

Say = Callable[[Any], None]
Notes = list[tuple[int, int]]
"""A job's number, and when its handler was called: nanoseconds of the monotonic clock, which processes share."""


def noop(scheduler: Scheduler, style: Style, notes: Notes) -> Task[..., None]:
    """Register a handler that does nothing but to note when it was called."""
    note, now = notes.append, time.monotonic_ns

    def sync_noop(n: int, text: str = "") -> None:  # noqa: ARG001 - the payload is carried, not read
        note((n, now()))

    async def async_noop(n: int, text: str = "") -> None:  # noqa: ARG001 - the same
        note((n, now()))

    function: Callable[..., Any] = async_noop if style is Style.ASYNC else sync_noop
    return scheduler.job(name=JOB)(function)


def work(scheduler: Scheduler, notes: Notes, wait: Callable[[], object], say: Say) -> None:
    """Work from the first time that ``wait`` returns to the second, with the handler that fills ``notes``."""
    worker = Worker(scheduler)
    scheduler.now()  # connected
    say("ready")
    wait()
    threading.Thread(target=_end, args=(worker, wait), daemon=True).start()
    ended = threading.Event()
    threading.Thread(target=_count, args=(notes, say, ended), daemon=True).start()
    worker.run()
    ended.set()
    say(notes)


def _end(worker: Worker, wait: Callable[[], object]) -> None:
    wait()
    worker.stop()


def _count(notes: Notes, say: Say, ended: threading.Event) -> None:
    said, pause = 0, GLANCE
    while not ended.wait(pause):
        pause = min(2 * pause, REST)
        if len(notes) != said:
            said, pause = len(notes), GLANCE
            say(said)


def main(told: TextIO, out: TextIO) -> None:
    """Be told and answer, line by line."""
    saying = threading.Lock()

    def say(what: Any) -> None:
        with saying:
            out.write(json.dumps(what) + "\n")
            out.flush()

    def wait() -> None:
        if not told.readline():
            os._exit(1)  # whoever started it is gone

    part: Mapping[str, str] = json.loads(told.readline())
    with Scheduler(part["url"], part["namespace"]) as scheduler:
        notes: Notes = []
        noop(scheduler, Style(part["style"]), notes)
        work(scheduler, notes, wait, say)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
