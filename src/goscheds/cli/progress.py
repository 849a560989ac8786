"""Progress bars for what takes longer than two seconds; on a terminal only, and on stderr."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds after which a person wants to know how far it is."""
LOOK = 0.2
"""Seconds between looks at how far it is."""


def patiently(label: str, work: Callable[[], T], count: Callable[[], tuple[int, int]]) -> T:
    """Do some work, and show how far it is when it takes long. ``count`` gives what is done, and of how much."""
    future: Future[T] = Future()
    # a daemon, so that Ctrl-C ends the program and not only the wait
    threading.Thread(target=_do, args=(work, future), daemon=True).start()
    if _done(future, PATIENCE) or not sys.stderr.isatty():
        return future.result()
    from rich.console import Console  # noqa: PLC0415 - imported when something is shown
    from rich.progress import Progress  # noqa: PLC0415 - the same

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label)
        while not _done(future, LOOK):
            done, total = count()
            progress.update(task, completed=done, total=total)
    return future.result()


def _do(work: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is raised where the work was asked for
        future.set_exception(error)


def _done(future: Future[T], seconds: float) -> bool:
    try:
        future.exception(seconds)
    except TimeoutError:
        return False
    return True
