"""K1 on SQLite while everything happens at once, and whoever does it is killed: the tally is what the rows are."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import storm

from goscheds.backends.sql.sqlite import SqliteStore, connect
from goscheds.record import State

SECONDS = 0.5


@pytest.mark.slow
def test_the_tally_is_what_the_rows_are_whoever_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    store = connect(url, "shop")
    store.open()
    processes = [storm.begin(url) for _ in range(2)]
    for _ in range(3):
        seen, until = set[int](), time.monotonic() + SECONDS
        while time.monotonic() < until or len(seen) < len(State):  # there is a storm
            seen |= _check(store)
        storm.end(processes.pop(0))
        processes.append(storm.begin(url))
    for process in processes:
        storm.end(process)
    _check(store)
    store.close()


def _check(store: SqliteStore) -> set[int]:
    """The states that there are; counted and listed at one moment."""
    with store._pool.connection() as connection:
        connection.execute("BEGIN")
        lists = {(queue, state): jobs for queue, state, jobs in connection.execute(storm.LISTS.format(store._ns))}
        counts = connection.execute(store.sql.counts, {"ns": store._ns}).fetchall()
        connection.execute("COMMIT")
    assert {(queue, state): jobs for queue, state, jobs in counts} == lists
    return {state for _, state in lists}
