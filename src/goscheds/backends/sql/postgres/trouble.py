"""What the driver's errors mean, and what to do about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from goscheds.errors import StoreError, StoreUnavailable
from goscheds.url import redact

GONE = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
"""No answer; the last one comes from what was the primary before a failover."""

REFUSED = {
    r"password|authentication|pg_hba|role .* (does|is) not": "Check the user and the password, and pg_hba.conf.",
    r"database .* does not exist": "Create it (createdb), or mend the URL.",
    r"unsupported startup parameter": "PgBouncer takes no `options=`; set them for the role (ALTER ROLE … SET …).",
}
"""Why a server refuses a connection, and will again. libpq gives the server's words and not its code."""

PASSING = {
    r"lock timeout": "Something reads or locks the tables for long, a backup perhaps: upgrade when it is over.",
    r"too many|connection slots|no more connections": "Raise max_connections, use fewer workers, or add PgBouncer.",
    r"read-only|hot standby|recovery": "It is a replica, or no longer the primary. Name every host in the URL.",
}
"""Why it may say yes a little later."""

ADVICE: dict[type[Exception], str] = {
    errors.InsufficientPrivilege: "Who opens or upgrades it needs CREATE on the schema; all, rights on what is there.",
    errors.InvalidSchemaName: "Create the schema that search_path names.",
    errors.DuplicatePreparedStatement: "Is this a pooler? Say pgbouncer=on.",
    errors.InvalidSqlStatementName: "Is this a pooler? Say pgbouncer=on.",
    errors.UndefinedTable: "The tables are gone, or a later goscheds has changed them: start this one anew.",
    errors.UndefinedColumn: "A later goscheds has changed the tables: start this one anew, with that version.",
}


@contextmanager
def mapped(url: str) -> Iterator[None]:
    """The driver's errors as those of goscheds."""
    try:
        yield
    except GONE as error:
        if advice := _advice(REFUSED, error):
            raise StoreError(f"{redact(url)} refused: {error}. {advice}") from error
        raise StoreUnavailable(f"{redact(url)} did not answer: {error}. {_advice(PASSING, error)}".rstrip()) from error
    except (psycopg.Error, OverflowError, UnicodeError) as error:
        advice = ADVICE.get(type(error), "")
        raise StoreError(f"{redact(url)} answered with an error: {error}. {advice}".rstrip()) from error


def _advice(known: dict[str, str], error: Exception) -> str:
    return next((advice for pattern, advice in known.items() if re.search(pattern, str(error))), "")
