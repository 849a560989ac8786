"""Word of other processes: SQLite has no channel for it, but a counter of commits, and a log that each is written to.

On Linux the kernel says when the log is written. Elsewhere, or where it does not say so, the counter is looked at again
and again. Either way only the counter says that there was a commit: a wrong word costs a look. And only a commit that
draws places in line is rung for, since whatever becomes ready or due draws one, and claims and settles do not.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from goscheds.backends.sql.bell import HEARING, ListeningBell
from goscheds.backends.sql.sqlite.inotify import FileWatch

log = logging.getLogger("goscheds")

BUSIEST, IDLEST = 0.0025, 0.03
"""Seconds between two looks at the counter, after a commit and after a while without any.

A look costs 4 µs, but waking for it 40 to 100: at the idle pace they take 0.4 % of a core together.
"""
SOONEST, LATEST = 0.0001, 0.5
"""Seconds between looks for a commit that the kernel has told of, doubled from the first to the last.

What is told of is a write. The commit is seen some microseconds after the last one, or when the disk has it.
"""
QUIET = 0.01  # seconds without a write after which the next one is looked at at once


class Watcher(ListeningBell):
    """A bell that rings, while somebody waits, for whatever other connections make ready or due."""

    def __init__(self, path: Path, place: Callable[[sqlite3.Connection], int]) -> None:
        """``place`` reads the last place in line."""
        super().__init__(sqlite3.Error)
        self._path = path
        self._place = place
        self._writes: FileWatch | None = None

    def listen(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            commits = _Commits(connection, self._place)
            ((_, _, file),) = connection.execute("PRAGMA database_list").fetchall()
            self.patience = HEARING
            try:
                with closing(FileWatch(f"{file}-wal")) as self._writes:  # it stays while a connection has it open
                    self._hear(self._writes, commits)
                if not self.closed:
                    log.info("%s: commits come without word of a write; they are looked for from now on.", file)
            except OSError as error:
                log.debug("%s: no word of writes (%s); commits are looked for.", file, error)
            self._look(commits)

    def hush(self) -> None:
        if self._writes:
            self._writes.end()

    def _hear(self, writes: FileWatch, commits: _Commits) -> None:
        """Ring for what the kernel tells of, until closed, or until there is a commit that it did not tell of."""
        commits.new()
        self.ring_all()
        soon, rest = 0.0, SOONEST
        while self._somebody_waits():
            began = time.monotonic()
            told = writes.wait(soon or HEARING)
            rest = SOONEST if time.monotonic() - began > QUIET else min(2 * rest, BUSIEST)
            if commits.new():
                if not (told or soon or writes.wait(0)):  # asked again, as the commit may have come in between
                    return
                self._ring_for(commits)
                soon = 0.0
            elif told or soon:
                soon = SOONEST if told else min(2 * soon, LATEST)
            if told:
                time.sleep(rest)

    def _look(self, commits: _Commits) -> None:
        """Ring for what the counter tells, until closed."""
        pause = BUSIEST
        self.ring_all()
        while self._somebody_waits():
            pause = min(pause * 1.1, IDLEST)
            if commits.new():
                pause = BUSIEST
                self._ring_for(commits)
            time.sleep(pause)

    def _ring_for(self, commits: _Commits) -> None:
        if commits.drew():
            self.ring_all()

    def _somebody_waits(self) -> bool:
        """Wait until somebody waits; False once closed."""
        with self.changed:
            self.changed.wait_for(lambda: bool(self.waiting) or self.closed)
            return not self.closed


class _Commits:
    """What a connection sees of others' commits."""

    def __init__(self, connection: sqlite3.Connection, place: Callable[[sqlite3.Connection], int]) -> None:
        self._connection = connection
        self._place = place
        self._seen = self._last = -1
        self.new()
        self.drew()

    def new(self) -> bool:
        """Whether there was one since the last call."""
        before, (self._seen,) = self._seen, self._connection.execute("PRAGMA data_version").fetchone()
        return self._seen != before

    def drew(self) -> bool:
        """Whether places in line were drawn since the last call."""
        before, self._last = self._last, self._place(self._connection)
        return self._last != before
