"""Postgres with a standby: who is written to, before and after a failover."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from kit import until, working
from servers.replicas import Pair, find_replicating

from goscheds import Scheduler, State
from goscheds.backends.sql.postgres import connect
from goscheds.contract.bench import LATE, answers, background, eventually, gather, hire, ids, job, jobs, settle_in
from goscheds.errors import StoreUnavailable
from goscheds.record import Outcome

pytestmark = pytest.mark.slow


@pytest.fixture
def postgres_pair() -> Iterator[Pair]:
    pair = Pair(find_replicating())
    yield pair
    pair.remove()


def test_an_open_store_and_a_worker_go_on_with_the_new_primary(postgres_pair: Pair):
    store = connect(postgres_pair.url, "shop")
    store.open()
    worker = hire(store)
    store.push(jobs(20, queue="held"))
    claims = gather(store, worker, "held")
    with Scheduler(postgres_pair.url, "mail") as scheduler:

        @scheduler.job
        def work(number: int) -> int:
            return number

        with working(scheduler):
            until(scheduler.workers)
            postgres_pair.fail_over()
            pushed = [work.push(number=number) for number in range(20)]
            until(lambda: all(scheduler.get(id).state is State.DONE for id in pushed))
    eventually(lambda: answers(store))
    assert store.settle(worker, [Outcome.done(claim) for claim in claims]) == ids(claims)
    waiting = background(lambda: store.claim("default", worker, 1, 20))
    eventually(lambda: store._bell.patience == 1)  # it hears the new primary
    settle_in()
    began = time.monotonic()
    other = connect(postgres_pair.url, "shop")
    other.open()
    other.push([job("one")])
    assert ids(waiting.result(LATE)) == ["one"]
    assert time.monotonic() - began < 1
    other.close()
    store.close()


def test_a_replica_is_refused_and_told_from_a_server_that_is_away(postgres_pair: Pair):
    with pytest.raises(StoreUnavailable, match="It is a replica"):
        connect(postgres_pair.standby.url, "shop").open()
    store = connect(f"{postgres_pair.standby.url}?target_session_attrs=any", "shop")
    with pytest.raises(StoreUnavailable, match="It is a replica"):
        store.open()


def test_a_connection_that_may_no_longer_write_is_given_up(postgres_pair: Pair):
    """As where a tool turns the primary's writes off before it switches over."""
    store = connect(postgres_pair.primary.url, "shop")
    store.open()
    with store._pool.connection() as connection:
        connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(StoreUnavailable, match="It is a replica"):
        store.push([job()])
    assert store.push([job("one")]) == ["one"]
    store.close()
