"""A connection that both ends believe in, and through which nothing comes: it costs time, and no lease."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from contextvars import ContextVar
from random import Random
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from goscheds.backends.redis import client
from goscheds.backends.sql.postgres import server
from goscheds.chaos.proxy import Proxy
from goscheds.chaos.rig import via
from goscheds.contract.bench import background, gather, jobs
from goscheds.errors import StoreUnavailable
from goscheds.plugins import open_store
from goscheds.record import Claim
from goscheds.store import Erasable, Store

LEASE = 3.0
PATIENT = 3.0  # seconds for an answer here, in the place of 15 and 20: so that the tests take as long, and not the law
ANSWER = 30.0  # seconds after which a call on such a connection has failed, and another may be tried
PROMPT = 15.0  # the same for what workers ask for


@pytest.fixture(params=["redis", "valkey", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    parts = urlsplit(url)
    proxy = Proxy(parts.hostname or "", parts.port or 0, Random(1))  # noqa: S311 - for a test
    yield proxy
    proxy.close()


@pytest.fixture
def store(url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(client, "PATIENCE", PATIENT)
    monkeypatch.setattr(server, "patience", ContextVar("patience", default=PATIENT))
    store = open_store(via(url, proxy.port), f"half-{uuid4().hex[:8]}")
    store.open()
    yield store
    proxy.cut()
    if isinstance(store, Erasable):
        insist(store.erase)
    store.close()


def insist(call):
    while True:
        with suppress(StoreUnavailable):
            return call()


@pytest.mark.slow
def test_it_costs_no_lease(store: Store, proxy: Proxy):
    store.push(jobs(30))
    store.heartbeat("w", LEASE, b"")
    assert len(gather(store, "w")) == 30
    busy = [background(lambda: insist(lambda: store.claim("default", "w", 1, 1))) for _ in range(4)]
    store.heartbeat("w", LEASE, b"")
    time.sleep(0.2)
    began = time.monotonic()
    proxy.kill()
    assert not insist(lambda: store.heartbeat("w", LEASE, b"")).lapsed
    assert time.monotonic() - began < LEASE
    proxy.cut()
    for claim in busy:
        claim.result(ANSWER)


@pytest.mark.slow
def test_a_call_on_it_fails_in_time(store: Store, proxy: Proxy):
    began = time.monotonic()
    store.push(jobs(1))
    proxy.kill()
    insist(lambda: store.push(jobs(1)))
    assert time.monotonic() - began < ANSWER


@pytest.mark.slow
def test_a_waiting_claim_fails_in_time_and_what_it_took_is_found(store: Store, proxy: Proxy):
    store.heartbeat("w", 60, b"")
    waiting = background(lambda: _hear(store))
    time.sleep(0.3)
    proxy.kill()
    insist(lambda: store.push(jobs(1)))
    assert len(waiting.result(ANSWER)) == 1


def _hear(store: Store) -> list[Claim]:
    """As a worker does it: after a claim that failed, ask what is held."""
    while True:
        try:
            if claims := store.claim("default", "w", 1, 1):
                return claims
        except StoreUnavailable:
            if claims := insist(lambda: store.held("w")):
                return claims


@pytest.mark.slow
def test_it_keeps_the_duties_no_longer_than_a_worker_waits(store: Store, proxy: Proxy):
    assert store.promote("w", 10, 0) == 0
    duty = background(lambda: insist(lambda: store.promote("w", 10, 1)))
    time.sleep(0.3)
    proxy.kill()
    began = time.monotonic()
    assert duty.result(ANSWER) == 0
    assert time.monotonic() - began < PROMPT
