"""What a binding says, and what every part's tests are given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from goscheds.contract.processes import Actors, Start
from goscheds.plugins import open_store
from goscheds.store import Capability, Erasable, Store


class Clients:
    """The stores that a test opens: any number on its own namespace, and neighbours. Erased and closed at its end."""

    def __init__(self, url: str, namespace: str) -> None:
        self.url = url
        self.namespace = namespace
        self._opened: list[Store] = []

    def first(self) -> Store:
        """The test's store."""
        return self._opened[0] if self._opened else self.open(self.namespace)

    def another(self) -> Store:
        """One more client of the test's store; the same object where a store lives in one process."""
        return self.open(self.namespace) if Capability.PROCESSES in self.first().capabilities else self.first()

    def open(self, namespace: str, url: str = "") -> Store:
        """A client of any namespace."""
        store = open_store(url or self.url, namespace)
        store.open()
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Forget every namespace, and let go of every connection."""
        for store in self._opened:
            if isinstance(store, Erasable):
                store.erase()
            store.close()


class Case:
    """The base of every part."""

    pytestmark = pytest.mark.timeout(90)

    url: str = ""
    """The store to test. Or override the fixture ``store_url``, which may ask for fixtures of your own."""

    @pytest.fixture
    def store_url(self) -> str:
        """The store to test."""
        assert self.url, f"{type(self).__name__} sets no url and overrides no fixture store_url"
        return self.url

    @pytest.fixture
    def restart(self) -> Callable[[], None]:
        """Kills the store's server and starts it anew. Override it where a test may do so."""
        pytest.skip("the binding has no fixture `restart`, so that the store can't be taken away")

    @pytest.fixture
    def unreachable_url(self, store: Store, store_url: str) -> str:
        """A URL at which the store does not answer. Override it where it is not a matter of the port."""
        parts = urlsplit(store_url)
        if Capability.PROCESSES not in store.capabilities or not parts.hostname:
            pytest.skip("the URL names no server, and the binding has no fixture `unreachable_url`")
        login, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{login}{at}127.0.0.1:1").geturl()

    @pytest.fixture
    def clients(self, store_url: str) -> Iterator[Clients]:
        """Opens more stores, on a namespace of the test's own."""
        clients = Clients(store_url, f"contract-{uuid4().hex[:12]}")
        yield clients
        clients.close()

    @pytest.fixture
    def store(self, clients: Clients) -> Store:
        """The store, open and empty."""
        return clients.first()

    @pytest.fixture
    def polling(self, clients: Clients, store: Store) -> Store:
        """A client whose wake-up channel is cut."""
        need(store, Capability.POLLING)
        separator = "&" if urlsplit(clients.url).query else "?"
        return clients.open(clients.namespace, f"{clients.url}{separator}wakeups=off")

    @pytest.fixture
    def start(self, clients: Clients, store: Store) -> Iterator[Start]:
        """Starts other processes on the test's namespace; they are killed at its end."""
        need(store, Capability.PROCESSES)
        actors = Actors(clients.url, clients.namespace, dict(os.environ))
        yield actors.start
        actors.kill()


def need(store: Store, capability: Capability) -> None:
    """Skip the test of a store that does not say it has a capability."""
    if capability not in store.capabilities:
        pytest.skip(f"the store does not have Capability.{capability.name}")
