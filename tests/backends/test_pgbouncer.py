"""Postgres behind PgBouncer in transaction mode: what a URL says of it, or forgets to say."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from uuid import uuid4

import psycopg
import pytest
from servers import NoServer, Server, find_pooler

from goscheds.backends.sql.postgres import PostgresStore, connect, listener
from goscheds.contract.bench import LATE, background, eventually, gather, hire, ids, job, jobs, settle_in, together
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.record import Outcome

Open = Callable[..., PostgresStore]


@pytest.fixture
def opened() -> Iterator[Open]:
    stores: list[PostgresStore] = []
    namespace = f"pooled-{uuid4().hex[:8]}"

    def opened(url: str) -> PostgresStore:
        stores.append(connect(url, namespace))
        stores[-1].open()
        return stores[-1]

    yield opened
    stores[0].erase()
    for store in stores:
        store.close()


@pytest.mark.parametrize("options", ["", "?pgbouncer=on"])
def test_clients_in_many_threads_leave_nothing_in_the_sessions_that_they_share(pgbouncer_url, opened, options):
    stores = [opened(pgbouncer_url + options) for _ in range(2)]
    worker = hire(stores[0])

    def work(store: PostgresStore) -> None:
        for _ in range(10):  # a driver prepares what it has sent a few times
            store.push(jobs(3))
            claims = store.claim("default", worker, 3, 0)
            assert len(store.settle(worker, [Outcome.done(claim) for claim in claims])) == len(claims)

    together([partial(work, store) for store in stores for _ in range(6)])
    gather(stores[0], worker)
    found = (
        "SELECT count(*) FROM pg_prepared_statements UNION ALL SELECT count(*) FROM pg_settings "
        "WHERE source = 'session' AND name NOT IN ('client_encoding', 'application_name')"
    )
    with psycopg.connect(pgbouncer_url, autocommit=True, prepare_threshold=None) as session:
        assert [count for _ in range(10) for (count,) in session.execute(found)] == [0] * 20


def test_a_direct_connection_is_told_from_a_pooled_one(pgbouncer_url, postgres_url, opened):
    for url, pooled in ((pgbouncer_url, True), (postgres_url, False)):
        with opened(url)._pool.connection() as connection:
            assert connection.pooled is pooled
            assert (connection.prepare_threshold is None) is pooled


def test_where_nothing_can_be_heard_it_is_said_once_and_jobs_are_looked_for(
    pgbouncer_url, postgres_url, opened, monkeypatch, caplog
):
    monkeypatch.setattr(listener, "HEARSAY", 0.05)
    here, there = opened(pgbouncer_url), opened(postgres_url)
    worker = hire(here)
    waiting = background(lambda: here.claim("default", worker, 1, 10))
    eventually(lambda: "no notifications" in caplog.text)
    settle_in(0.3)
    began = time.monotonic()
    there.push([job("one")])
    assert ids(waiting.result(LATE)) == ["one"]
    assert time.monotonic() - began < 0.5
    assert len([entry for entry in caplog.records if entry.levelno >= logging.WARNING]) == 1


def test_a_push_through_it_wakes_a_worker_that_has_the_servers_own_url(pgbouncer_url, postgres_url, opened):
    here, there = opened(postgres_url), opened(pgbouncer_url)
    worker = hire(here)
    waiting = background(lambda: here.claim("default", worker, 1, 10))
    eventually(lambda: here._bell.patience == 1)
    settle_in()
    began = time.monotonic()
    there.push([job("one")])
    assert ids(waiting.result(LATE)) == ["one"]
    assert time.monotonic() - began < 0.2


def test_one_that_was_declared_to_be_none_is_an_error_that_names_it(private_pgbouncer: Callable[..., Server], opened):
    url = private_pgbouncer().url
    opened(url)
    stores = [opened(f"{url}?pgbouncer=off&wakeups=off") for _ in range(4)]

    def insist(store: PostgresStore) -> None:
        for _ in range(50):
            store.push([job()])

    with pytest.raises(StoreError, match="pgbouncer=on"):
        together([partial(insist, store) for store in stores for _ in range(3)])


def test_options_that_it_does_not_take_are_refused_with_advice(pgbouncer_url):
    with pytest.raises(StoreError, match="ALTER ROLE"):
        connect(f"{pgbouncer_url}?options=-csearch_path%3Djobs", "shop").open()


def test_one_that_is_full_is_unavailable(private_pgbouncer: Callable[..., Server]):
    full = private_pgbouncer("max_client_conn = 2")
    store = connect(full.url, "shop")
    with psycopg.connect(full.url), psycopg.connect(full.url), pytest.raises(StoreUnavailable, match="max_conn"):
        store.open()


def test_a_machine_without_it_is_told_what_to_do(tmp_path):
    with pytest.raises(NoServer, match="scripts/test"):
        find_pooler({"PATH": ""}, tmp_path)
