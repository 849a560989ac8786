"""K1 on Postgres while everything happens at once, and whoever does it is killed: the tally is what the rows are."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from servers import Server

from goscheds.backends.sql.postgres import PostgresStore, connect
from goscheds.record import State

SECONDS = 4.0
STORM = """
import random
import sys
import threading

from goscheds.backends.sql.postgres import connect, store as module
from goscheds.contract.bench import HOUR, job
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.job import new_id
from goscheds.record import Move, Outcome, Query, State

module.FOLDING = 0.05
for name in ("fold", "astray"):  # as if the rows of 10 moves were as many as those of 1,000
    setattr(module.PostgresStore.sql, name, getattr(module.PostgresStore.sql, name).replace("OFFSET 1000", "OFFSET 10"))
store = connect(sys.argv[1], "shop")
store.open()


def some(most):
    return [job(new_id(), queue=random.choice("abc"), priority=random.choice((0, 0, 5)),
                delay=random.choice((0, 0, 20_000, HOUR)),
                unique_key=random.choice(("", "", f"key-{random.randrange(40)}")))
            for _ in range(random.randrange(1, most))]


def outcome(claim):
    return random.choice([
        Outcome.done(claim), Outcome.done(claim, keep=False), Outcome.dead(claim), Outcome.released(claim),
        Outcome.retry(claim), Outcome.retry(claim, delay=10_000), Outcome.done(claim, jobs=tuple(some(3))),
    ])


def work(worker):
    store.heartbeat(worker, 0.4, b"")
    claims = store.claim(random.choice("abc"), worker, 8, 0)
    for _ in range(random.randrange(6)):
        _, claims = store.settle_and_claim(worker, [outcome(claim) for claim in claims], random.choice("abc"), 8)
    store.settle(worker, [outcome(claim) for claim in claims[1:]])


def steer(worker):
    ids = [one.record.id for one in store.find(Query(states=(random.choice(list(State)),), limit=20)).rows]
    store.move([random.choice((Move.cancel, Move.retry, Move.reschedule))(id) for id in ids])
    store.purge(random.choice(list(State)), 2**60, 5, random.choice(("", "a")))


def duties(worker):
    store.heartbeat(worker, 0.4, b"")
    store.promote(worker, 50, 0)
    store.settle(worker, [outcome(claim) for claim in store.recover(worker, 20)])


def forget(worker):
    if random.random() < 0.003:
        store.erase()


def storm():
    while True:
        try:
            random.choice([
                work, work, steer, steer, duties, forget, lambda _: store.push(some(2)), lambda _: store.push(some(30)),
            ])(new_id())
        except StoreUnavailable:
            pass


for _ in range(3):
    threading.Thread(target=storm).start()
"""
LISTS = "SELECT queue, state::int, count(*) FROM goscheds_jobs WHERE ns = %s GROUP BY queue, state"
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state = 'active' AND random() < 0.5
"""


@pytest.mark.slow
def test_the_tally_is_what_the_rows_are_whoever_is_killed(private_postgres: Callable[..., Server]) -> None:
    server = private_postgres()
    store = connect(server.url, "shop")
    store.open()
    processes = [_storm(server) for _ in range(3)]
    seen, until, chance = set[int](), time.monotonic() + SECONDS, random.Random(1)  # noqa: S311 - no secret
    while time.monotonic() < until or len(seen) < len(State):  # there is a storm
        seen |= _check(store, server)
        if chance.random() < 0.1:
            with closing(psycopg.connect(server.url, autocommit=True)) as connection:
                connection.execute(CUT)
        if chance.random() < 0.1:
            _end(processes.pop(0))
            processes.append(_storm(server))
    server.kill()
    for process in processes:
        _end(process)
    server.start()
    _check(store, server)
    store.close()


def _storm(server: Server) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", STORM, server.url], stderr=subprocess.PIPE, text=True)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    assert "Traceback" not in process.communicate()[1]


def _check(store: PostgresStore, server: Server) -> set[int]:
    """The states that there are; counted and listed at one moment."""
    with closing(psycopg.connect(server.url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        lists = {(queue, state): jobs for queue, state, jobs in connection.execute(LISTS, [store._ns]).fetchall()}
        counts = connection.execute(store.sql.counts, {"ns": store._ns}).fetchall()
    assert {(queue, state): int(jobs) for queue, state, jobs in counts} == lists
    return {state for _, state in lists}
