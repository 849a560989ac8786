"""The file: connections to it, and what its driver's errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path

from goscheds.backends.sql.rows import Values
from goscheds.backends.sql.sqlite.clock import teach
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.foreign import text

BUSY = 30.0
"""Seconds to wait for another process's transaction; ours take milliseconds."""

LARGEST = 128
"""Rows that one statement takes, a power of two: with the lesser ones it leaves eight texts to prepare, and to keep."""

FOREIGN = (sqlite3.Error, OverflowError, UnicodeError)
UNAVAILABLE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
HINTS = {
    sqlite3.SQLITE_BUSY: "another program keeps the file locked",
    sqlite3.SQLITE_CANTOPEN: "is there such a directory, and may this user write in it?",
    sqlite3.SQLITE_FULL: "make room on the disk",
    sqlite3.SQLITE_NOTADB: "the URL names another kind of file",
    sqlite3.SQLITE_PROTOCOL: "WAL needs a file system of this machine, not one of the network",
    sqlite3.SQLITE_READONLY: "may this user write the file and its directory?",
}


class Session:
    """A connection while a thread has it, for the namespace of a number."""

    def __init__(self, connection: sqlite3.Connection, ns: int) -> None:
        self.ns = ns
        self._connection = connection

    def __call__(self, statement: str, /, **parameters: object) -> list[Values]:
        """Execute a statement whose parameters have names; its rows."""
        parameters["ns"] = self.ns
        rows: list[Values] = []
        cursor = self._connection.execute(statement, parameters)
        try:
            rows.extend(cursor)
        except sqlite3.OperationalError as error:
            if hasattr(error, "sqlite_errorcode"):
                raise
            self._connection.text_factory = text  # the driver's own error: a row's text is no UTF-8
            rows.extend(cursor)  # from that row on
        return rows

    def many(self, statement: str, rows: Sequence[Values], *others: object) -> int:
        """Execute one that takes ``{rows}``, and other parameters after them; how many rows of the table it changed."""
        changed = done = 0
        while left := len(rows) - done:
            count = min(LARGEST, 1 << left.bit_length() - 1)
            values = [*chain.from_iterable(rows[done : done + count]), *others]
            changed += self._connection.execute(_for_rows(statement, count, len(rows[0])), values).rowcount
            done += count
        return changed


@cache
def _for_rows(statement: str, count: int, width: int) -> str:
    return statement.replace("{rows}", ", ".join([f"({', '.join('?' * width)})"] * count))


def ours(error: Exception, path: Path) -> StoreError:
    """A ``FOREIGN`` error as one of goscheds."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits tell of details
    kind = StoreUnavailable if code in UNAVAILABLE else StoreError
    return kind(f"{path}: {error} ({HINTS.get(code, 'an error of SQLite')})")


def connect(path: Path, synchronous: str) -> sqlite3.Connection:
    """A connection that any thread may use, one at a time. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        _use_wal(connection)
        teach(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, again and again: this one statement does not wait for others by itself.

    Where the file system can't do it the journal mode stays what it was, which is correct as well, and slower.
    """
    until = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in UNAVAILABLE or time.monotonic() > until:
                raise
            time.sleep(0.01)
