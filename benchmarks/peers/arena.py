"""The servers that everybody is measured on, emptied before each measurement, and their meters.

Durable settings: Redis with an append-only file (everysec), Postgres with fsync. They are private: started here, on
the loopback interface, and removed at the end.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests"))


class Arena(ABC):
    """One store."""

    version: str

    @abstractmethod
    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of an empty store."""

    def meters(self) -> dict[str, float]:
        """What the server has done so far, by the meter's name."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Remove the server."""


class RedisArena(Arena):
    """A Redis server of its own."""

    def __init__(self) -> None:
        import redis
        from servers import find, launch

        self._server = launch(find("redis", "auto", private=True), aof="everysec")
        self._client = redis.Redis.from_url(self._server.url)
        self.version = f"Redis {self._client.info('server')['redis_version']}, appendfsync everysec"

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Emptied."""
        self._client.flushall()
        yield self._server.url

    def meters(self) -> dict[str, float]:
        """Commands, those inside scripts included, and reads from sockets, each of which may hold many commands."""
        stats = self._client.info("stats")
        return {"commands": stats["total_commands_processed"], "requests": stats["total_reads_processed"]}

    def close(self) -> None:
        """Remove the server."""
        self._client.close()
        self._server.remove()


class PostgresArena(Arena):
    """A Postgres server of its own; a database for each measurement."""

    SETTLED = 1.2  # a server tells its statistics once a second

    def __init__(self) -> None:
        import psycopg
        from servers import find, launch

        self._server = launch(find("postgres", "auto", private=True), "fsync=on", "full_page_writes=on")
        self._connection = psycopg.connect(self._server.url, autocommit=True)
        number = self._connection.info.server_version
        self.version = f"PostgreSQL {number // 10_000}.{number % 10_000}, fsync on"
        self._made = 0
        self._name = ""

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """A new database."""
        self._made += 1
        self._name = f"peers_{self._made}"
        self._connection.execute(f"CREATE DATABASE {self._name}")
        try:
            yield self._server.url.rpartition("/")[0] + "/" + self._name
        finally:
            self._connection.execute(f"DROP DATABASE {self._name} WITH (FORCE)")

    def meters(self) -> dict[str, float]:
        """Transactions of the database, and the server's bytes of WAL."""
        time.sleep(self.SETTLED)
        row = self._connection.execute(
            "SELECT xact_commit + xact_rollback, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') "
            "FROM pg_stat_database WHERE datname = %s",
            (self._name,),
        ).fetchone()
        return {"transactions": float(row[0]), "WAL bytes": float(row[1])}

    def close(self) -> None:
        """Remove the server."""
        self._connection.close()
        self._server.remove()


class FileArena(Arena):
    """A SQLite file, or nothing at all where a peer keeps its jobs in memory."""

    def __init__(self, store: str) -> None:
        import sqlite3

        self._store = store
        self.version = f"SQLite {sqlite3.sqlite_version}" if store == "sqlite" else "one process's memory"

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """A new file."""
        with tempfile.TemporaryDirectory(prefix="peers-") as folder:
            yield f"sqlite:///{folder}/jobs.db" if self._store == "sqlite" else "memory://"

    def close(self) -> None:
        """Nothing is left."""


@contextmanager
def arena(store: str) -> Iterator[Arena]:
    """The arena of a store."""
    made = {"redis": RedisArena, "postgres": PostgresArena}.get(store)
    with contextlib.closing(made() if made else FileArena(store)) as opened:
        yield opened
