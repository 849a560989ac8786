"""The server: connections to it, and what its driver's errors mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "tcp_user_timeout": 30_000,
}
"""For libpq, where the URL says nothing else. Seconds, the last one milliseconds."""

# A plan that is kept with a prepared statement may be one from when the table was small, and then reads all of it. That
# was 50 ms instead of 0.3 for a claim in front of 80,000 jobs; to plan each time costs 0.2.
SESSION = """
    SET plan_cache_mode = force_custom_plan; SET jit = off; SET default_transaction_isolation = 'read committed'
"""

CLASHES = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,  # two moves made a key's holder at once; the second finds the first when repeated
)
"""What becomes of a transaction that met another one; it is repeated."""

GONE = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.ReadOnlySqlTransaction)
"""No answer; the last one comes from what was the primary before a failover."""


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
    connection = psycopg.connect(
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
