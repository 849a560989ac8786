"""Jobs in a SQLite file, for any number of threads and processes of one machine."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import unquote

from goscheds.backends.sql.sqlite.store import SqliteStore
from goscheds.errors import ConfigError
from goscheds.url import flag, redact, split, split_options

__all__ = ["SqliteStore", "connect"]

OLDEST = (3, 37)  # STRICT; RETURNING and MATERIALIZED are older
OPTIONS = {"wakeups": "on", "synchronous": "normal"}


def connect(url: str, namespace: str) -> SqliteStore:
    """The store that ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` names. Raises ConfigError."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise ConfigError(f"This Python brings SQLite {sqlite3.sqlite_version}; goscheds needs 3.37 or later.")
    bare, options = split_options(url, OPTIONS)
    parts, shown = split(bare), redact(url)
    if parts.query:
        raise ConfigError(f"{shown!r}: the options of a SQLite URL are {' and '.join(OPTIONS)}.")
    if parts.netloc:
        raise ConfigError(f"{shown!r}: write sqlite:/// before a relative path, sqlite://// before an absolute one.")
    path = unquote(parts.path.removeprefix("/"))
    if path in ("", ":memory:"):
        raise ConfigError(f"{shown!r} names no file. Use sqlite:///jobs.db, or memory:// for jobs in memory alone.")
    if options["synchronous"] not in ("normal", "full"):
        raise ConfigError(f"{shown!r}: synchronous is `normal` or `full`.")
    return SqliteStore(Path(path).absolute(), namespace, options["synchronous"], wakeups=flag(options, "wakeups"))
