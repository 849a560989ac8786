"""K1 on Postgres while everything happens at once, and whoever does it is killed: the tally is what the rows are."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
import storm
from servers import Server

from goscheds.backends.sql.postgres import PostgresStore, connect
from goscheds.record import State

SECONDS = 4.0
FOLDING = """
from goscheds.backends.sql.postgres import store as module

module.FOLDING = 0.05
for name in ("fold", "astray"):  # as if the rows of 10 moves were as many as those of 1,000
    setattr(module.PostgresStore.sql, name, getattr(module.PostgresStore.sql, name).replace("OFFSET 1000", "OFFSET 10"))
"""
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state = 'active' AND random() < 0.5
"""


@pytest.mark.slow
def test_the_tally_is_what_the_rows_are_whoever_is_killed(private_postgres: Callable[..., Server]) -> None:
    server = private_postgres()
    store = connect(server.url, "shop")
    store.open()
    processes = [storm.begin(server.url, FOLDING) for _ in range(3)]
    seen, until, chance = set[int](), time.monotonic() + SECONDS, random.Random(1)  # noqa: S311 - no secret
    while time.monotonic() < until or len(seen) < len(State):  # there is a storm
        seen |= _check(store, server)
        if chance.random() < 0.1:
            with closing(psycopg.connect(server.url, autocommit=True)) as connection:
                connection.execute(CUT)
        if chance.random() < 0.1:
            storm.end(processes.pop(0))
            processes.append(storm.begin(server.url, FOLDING))
    server.kill()
    for process in processes:
        storm.end(process)
    server.start()
    _check(store, server)
    store.close()


def _check(store: PostgresStore, server: Server) -> set[int]:
    """The states that there are; counted and listed at one moment."""
    with closing(psycopg.connect(server.url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        lists = {
            (queue, state): jobs for queue, state, jobs in connection.execute(storm.LISTS.format(store._ns)).fetchall()
        }
        counts = connection.execute(store.sql.counts, {"ns": store._ns}).fetchall()
    assert {(queue, state): int(jobs) for queue, state, jobs in counts} == lists
    return {state for _, state in lists}
