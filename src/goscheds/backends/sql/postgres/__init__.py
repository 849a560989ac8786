"""Jobs in a Postgres database."""

from __future__ import annotations

from goscheds.errors import ConfigError
from goscheds.extras import missing_driver
from goscheds.url import check_ports, flag, redact, split_options

try:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    from goscheds.backends.sql.postgres.store import PostgresStore
except ImportError as error:
    raise missing_driver("postgresql", error) from error

__all__ = ["PostgresStore", "connect"]

OPTIONS = {"wakeups": "on", "pgbouncer": "auto"}


def connect(url: str, namespace: str) -> PostgresStore:
    """The store that ``postgresql://user@host/database`` names, options of libpq included. Raises ConfigError."""
    bare, options = split_options(url, OPTIONS)
    try:
        check_ports(url, str(conninfo_to_dict(bare).get("port", "")))
    except (ProgrammingError, UnicodeError):  # not the cause of the new error: it may quote the password
        raise ConfigError(f"libpq does not understand {redact(url)!r}. Look at its host and options.") from None
    pgbouncer = None if options["pgbouncer"] == "auto" else flag(options, "pgbouncer")
    return PostgresStore(bare, namespace, wakeups=flag(options, "wakeups"), pgbouncer=pgbouncer)
