"""A process of a later goscheds: with a migration, or a format, that this one does not have. See ``test_upgrades``.

It says "ready" and waits for a line; opens the store, pushes its jobs, and says "open", or the error; at another line
it works until SIGTERM.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta

from goscheds import Scheduler, Worker, codec
from goscheds.backends.sql import store
from goscheds.errors import GoschedsError


def migrate(statements: list[str]) -> None:
    """Give this process's SQL stores a version 2."""
    script = store.script
    store.VERSION = 2
    store.script = lambda dialect, version: statements if version == 2 else script(dialect, version)


def say(what: str) -> None:
    """Tell the test."""
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def main() -> None:
    """Play the part that the arguments tell: a URL, a namespace, the migration, the format, how many jobs to push."""
    url, namespace, statements, version, jobs = sys.argv[1:]
    if statements:
        migrate(json.loads(statements))
    codec.VERSION = int(version)
    scheduler = Scheduler(url, namespace)

    @scheduler.job
    def work(number: int) -> int:
        return number

    say("ready")
    sys.stdin.readline()
    try:
        assert scheduler.store
    except GoschedsError as error:
        say(f"{type(error).__name__}: {error}")
        return
    for number in range(int(jobs)):
        work.push(number=number)
    say("open")
    sys.stdin.readline()
    Worker(scheduler, lease=timedelta(seconds=5)).run()


if __name__ == "__main__":
    main()
