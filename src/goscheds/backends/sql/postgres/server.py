"""Connections to the server, which give up, and go to whoever may be written to."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper

from goscheds.backends.sql.rows import Values
from goscheds.backends.sql.statements import load
from goscheds.errors import StoreError
from goscheds.url import redact

OLDEST = 130000
DEFAULTS = """
application_name=goscheds connect_timeout=5 keepalives_idle=10 keepalives_interval=5 tcp_user_timeout=15000
target_session_attrs=read-write"""
"""For libpq, where the URL says nothing else: seconds, then milliseconds; of several hosts, the primary of now."""

# Plans are kept with their statements, since to plan costs more than to run: 300 µs for a push, of which 80 are left. A
# kept plan must not be one from when the table was small, which would read all of it later (50 ms instead of 0.3 for a
# claim in front of 80,000 jobs). So a statement is left one way alone, the one it was written for: indexes, in loops.
#
# The session that answers is our own if its number is the one that was told at the login. PgBouncer and its like tell
# one of their own making, and a session of theirs is everybody's: nothing may be set in it, and nothing is.
SESSION = load("postgres", {}, r"%(\1)b").session

patience = ContextVar("patience", default=10.0)
"""Seconds that a statement may take; libpq itself waits for ever on a connection that the other end has forgotten."""

# What becomes of a transaction that met another one; it is repeated. A lock is not available for an upgrade that would
# have kept everybody waiting; and of two moves that made a key's holder at once the second then finds the first.
CLASHES = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable, errors.UniqueViolation)


_encoded = lru_cache(maxsize=1000)(str.encode)  # so that neither is done for each call, nor is hashing 4 kB


class Connection(psycopg.Connection[Any]):
    """A connection that gives up."""

    pooled = False  # it leads to a pooler, and each transaction to a session that others have used and will use
    statements: psycopg.Cursor[Values]  # to make one takes longer than all else that the client has to do for a push

    def run(self, statement: str, parameters: Mapping[str, object]) -> list[Values]:
        """Execute a statement, and give its rows."""
        found = self.statements.execute(_encoded(statement), parameters, binary=True)
        # A cursor keeps what it sent and got: of a batch perhaps a hundred megabytes.
        self.statements = self.cursor() if found.rowcount > 1 or list in map(type, parameters.values()) else found
        return found.fetchall() if found.rownumber is not None else []

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        """Wait for the server, as long as ``patience`` says."""
        return super().wait(self._patient(gen), *args, **options)

    def _patient(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        until = time.monotonic() + patience.get()
        try:
            ready = yield next(gen)
            while time.monotonic() < until:
                ready = yield gen.send(ready)
        except StopIteration as end:
            return end.value
        self.close()
        raise psycopg.OperationalError("the connection says nothing any more")


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give up after so many seconds, in this thread."""
    before = patience.set(seconds)
    try:
        yield
    finally:
        patience.reset(before)


def connect(url: str, *, pgbouncer: bool | None) -> Connection:
    """A connection in autocommit. None finds out whether it leads to a pooler, whose sessions belong to everybody."""
    connection = Connection.connect(make_conninfo(DEFAULTS, **conninfo_to_dict(url)), autocommit=True)
    connection.adapters.register_dumper(int, Int8BinaryDumper)  # one type, so one prepared statement and not many
    connection.statements = connection.cursor()
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    if connection.info.server_version < OLDEST:
        connection.close()
        raise StoreError(f"{redact(url)} is Postgres {connection.info.server_version // 10000}; goscheds needs 13.")
    who = {"ours": pgbouncer is False, "pid": connection.info.backend_pid}
    connection.pooled = pgbouncer or not connection.run(SESSION, who)
    connection.prepare_threshold = None if connection.pooled else 2  # the next statement may get another session
    return connection


def sound(connection: psycopg.Connection) -> bool:
    """Whether the next thread may use the connection."""
    return connection.pgconn.transaction_status == TransactionStatus.IDLE
