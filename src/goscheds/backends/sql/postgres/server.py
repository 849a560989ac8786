"""The server: connections to it, and what its driver's errors mean."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper

from goscheds.errors import StoreError, StoreUnavailable
from goscheds.url import redact

OLDEST = 130000
DEFAULTS: dict[str, Any] = {
    "application_name": "goscheds",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "tcp_user_timeout": 15_000,
}
"""For libpq, where the URL says nothing else. Seconds, the last one milliseconds."""

# A plan that is kept with a prepared statement may be one from when the table was small, and then reads all of it. That
# was 50 ms instead of 0.3 for a claim in front of 80,000 jobs; to plan each time costs 0.2.
SESSION = """
    SET plan_cache_mode = force_custom_plan; SET jit = off; SET default_transaction_isolation = 'read committed'
"""

patience = ContextVar("patience", default=20.0)
"""Seconds that a statement may take; libpq itself waits for ever on a connection that the other end has forgotten."""

PROMPT = 10.0
"""The same for what workers ask for, which is small: as long, a half-open connection keeps the duties from all."""

CLASHES = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,  # two moves made a key's holder at once; the second finds the first when repeated
)
"""What becomes of a transaction that met another one; it is repeated."""

GONE = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
"""No answer; the last one comes from what was the primary before a failover."""


class Connection(psycopg.Connection[Any]):
    """A connection that gives up."""

    _listens = False

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        """Wait for the server, as long as ``patience`` says."""
        return super().wait(self._patient(gen), *args, **options)

    def notifies(self, **options: Any) -> Generator[psycopg.Notify, None, None]:
        """Notifications, which may take their time."""
        self._listens = True
        return super().notifies(**options)

    def _patient(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        until = time.monotonic() + (math.inf if self._listens else patience.get())
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


@contextmanager
def mapped(url: str) -> Iterator[None]:
    """The driver's errors as those of goscheds."""
    try:
        yield
    except GONE as error:
        raise StoreUnavailable(f"{redact(url)} did not answer: {error}") from error
    except psycopg.Error as error:
        raise StoreError(f"{redact(url)} answered with an error: {error}") from error


def connect(url: str, *, pgbouncer: bool) -> psycopg.Connection:
    """A connection in autocommit. Behind PgBouncer nothing is kept in the session, which belongs to everybody."""
    connection = Connection.connect(
        make_conninfo("", **(DEFAULTS | conninfo_to_dict(url))),
        autocommit=True,
        prepare_threshold=None if pgbouncer else 2,
    )
    for dumper in (Int8Dumper, Int8BinaryDumper):  # one type, so one prepared statement and not many
        connection.adapters.register_dumper(int, dumper)
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    if connection.info.server_version < OLDEST:
        connection.close()
        raise StoreError(f"{redact(url)} is Postgres {connection.info.server_version // 10000}; goscheds needs 13.")
    if not pgbouncer:
        connection.execute(SESSION)
    return connection


def sound(connection: psycopg.Connection) -> bool:
    """Whether the next thread may use the connection."""
    return not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
