"""Faults of the stores themselves, which need their servers and drivers."""

from __future__ import annotations

import fcntl
import os
import resource
import sqlite3
from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import psycopg
import redis
from servers import Server
from servers.several import Watched

from goscheds.chaos.crowd import Crowd
from goscheds.chaos.rig import Extra
from goscheds.chaos.schedule import Kind

Trouble = Callable[[], AbstractContextManager[None]]


def extra(name: str, trouble: Trouble, shortest: float = 0.0, longest: float = 0.0) -> Extra:
    """A fault that needs to know nothing of the processes."""

    @contextmanager
    def happen(_which: int) -> Iterator[str]:
        with trouble():
            yield "the store"

    return Extra(Kind(name, shortest, longest), lambda crowd: happen)


@contextmanager
def killed(server: Server) -> Iterator[None]:
    """SIGKILL, and a new start."""
    server.kill()
    yield
    server.start()


def redis_troubles(server: Server) -> list[Extra]:
    """A server killed; one that forgets its scripts; one that hangs up on everybody; one that is busy."""

    @contextmanager
    def told(*words: str | int) -> Iterator[None]:
        with suppress(redis.RedisError), redis.Redis.from_url(server.url) as client:
            client.execute_command(*words)
        yield

    return [
        extra("kill store", partial(killed, server), 0.2, 2.0),
        extra("flush scripts", partial(told, "SCRIPT", "FLUSH")),
        extra("end connections", partial(told, "CLIENT", "KILL", "TYPE", "normal")),
        extra("pause store", partial(told, "CLIENT", "PAUSE", 1500)),
    ]


def watched_troubles(watched: Watched) -> list[Extra]:
    """Primaries that Sentinels replace, in peace or because they were killed; those come back at once, as replicas."""

    @contextmanager
    def failed_over() -> Iterator[None]:
        watched.settle()  # with a replica that may be chosen
        watched.fail_over()
        yield

    @contextmanager
    def killed_primary() -> Iterator[None]:
        watched.settle()
        watched.kill_primary().start()
        yield

    return [extra("fail over", failed_over), extra("kill primary", killed_primary)]


def postgres_troubles(server: Server) -> list[Extra]:
    """A server killed; one whose administrator ends all sessions; one where somebody locks the tables."""

    @contextmanager
    def told(statement: str) -> Iterator[None]:
        with suppress(psycopg.Error), psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(statement)
        yield

    @contextmanager
    def locked() -> Iterator[None]:
        with ExitStack() as stack:
            with suppress(psycopg.Error):  # it may be away just now, and may go away before the lock ends
                connection = stack.enter_context(closing(psycopg.connect(server.url, options="-c lock_timeout=2s")))
                connection.execute(LOCK)
            yield

    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL"
    )
    return [
        extra("kill store", partial(killed, server), 0.2, 2.0),
        extra("end connections", partial(told, others)),
        extra("lock tables", locked, 0.2, 1.5),
    ]


LOCK = """
DO $$ DECLARE found record; BEGIN
    FOR found IN SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg_%'
        AND schemaname <> 'information_schema'
    LOOP EXECUTE format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', found.schemaname, found.tablename); END LOOP;
END $$
"""


def sqlite_troubles(path: Path) -> list[Extra]:
    """A file that somebody else writes to; a full disk; files that nobody may write, where a test may do that."""

    @contextmanager
    def locked() -> Iterator[None]:
        with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
            with suppress(sqlite3.Error):
                connection.execute("BEGIN IMMEDIATE")
            yield
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    def full(crowd: Crowd) -> Callable[[int], AbstractContextManager[str]]:
        @contextmanager
        def happen(_which: int) -> Iterator[str]:
            # No file of theirs may grow beyond this; their journals are smaller, and the store's files larger.
            alive = [member for member in crowd.members() if member.alive]
            limited = [pid for member in alive for pid in (member.pid, *member.children())]
            limit = max(path.stat().st_size, path.with_name(path.name + "-wal").stat().st_size)
            for pid in limited:
                _limit(pid, limit)
            yield "every process"
            for pid in limited:
                _limit(pid, resource.RLIM_INFINITY)

        return happen

    @contextmanager
    def sealed() -> Iterator[None]:
        files = [path, path.with_name(f"{path.name}-wal")]
        try:
            for file in files:
                _seal(file, IMMUTABLE)
            yield
        finally:
            for file in files:
                _seal(file, 0)

    troubles = [extra("lock file", locked, 0.2, 2.0), Extra(Kind("full disk", 0.5, 2.0), full)]
    probe = path.with_name("probe")
    probe.touch()
    with suppress(OSError):  # root's right, and not on every file system
        _seal(probe, IMMUTABLE)
        _seal(probe, 0)
        troubles.append(extra("read-only files", sealed, 0.5, 2.0))
    return troubles


GET_FLAGS, SET_FLAGS, IMMUTABLE = 0x80086601, 0x40086602, 0x10
"""Of Linux, ioctl_iflags(2): an immutable file is not even written by who has it open, but by nobody."""


def _seal(file: Path, flag: int) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        flags = array("i", [0, 0])
        fcntl.ioctl(descriptor, GET_FLAGS, flags)
        flags[0] = flags[0] & ~IMMUTABLE | flag
        fcntl.ioctl(descriptor, SET_FLAGS, flags)
    finally:
        os.close(descriptor)


def _limit(pid: int, size: int) -> None:
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
