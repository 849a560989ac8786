"""A Postgres client that stops, or vanishes, in the middle of what it says: its jobs are not locked for it for ever."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL

from goscheds.backends.sql.postgres import PostgresStore, connect
from goscheds.chaos.rig import via
from goscheds.contract.bench import LATE, background, eventually, gather, hire, ids, job, jobs, settle_in
from goscheds.errors import StoreUnavailable
from goscheds.record import Outcome

EXECUTE, SYNC = b"E", b"S"


class Relay:
    """Stands between clients and the server, and takes note of what clients write, once it is told to."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.port = self._listening.getsockname()[1]
        self.writes: list[list[bytes]] | None = None  # the kinds of the messages in each
        self.stops_after = 0  # messages of the kind Execute; from then on nothing comes through
        self._stopped: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for end in [self._listening, *self._ends]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._target)
                self._ends += [client, server]
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 20):
                if client in self._stopped:
                    continue
                if self.writes is not None:
                    messages = list(_messages(data))
                    self.writes.append([message[:1] for message in messages])
                    data = self._until_the_stop(client, messages)
                server.sendall(data)

    def _until_the_stop(self, client: socket.socket, messages: list[bytes]) -> bytes:
        for number, message in enumerate(messages, 1):
            if self.stops_after and message[:1] == EXECUTE:
                self.stops_after -= 1
                if not self.stops_after:
                    self._stopped.add(client)
                    return b"".join(messages[:number])
        return b"".join(messages)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 20):
                client.sendall(data)


def _messages(data: bytes) -> Iterator[bytes]:
    while data:
        (length,) = struct.unpack(">i", data[1:5])
        yield data[: 1 + length]
        data = data[1 + length :]


@pytest.fixture
def relay(postgres_url: str) -> Iterator[Relay]:
    parts = urlsplit(postgres_url)
    with closing(Relay(parts.hostname or "", parts.port or 0)) as relay:
        yield relay


@pytest.fixture
def opened(postgres_url: str, relay: Relay) -> Iterator[Callable[[str], PostgresStore]]:
    stores: list[PostgresStore] = []
    namespace = f"stopped-{uuid4().hex[:8]}"

    def opened(url: str) -> PostgresStore:
        stores.append(connect(url, namespace))
        stores[-1].open()
        return stores[-1]

    yield opened
    relay.close()  # so that the server ends what hangs there
    opened(postgres_url).erase()
    for store in stores:
        store.close()


@pytest.mark.parametrize("prepared", [True, False])
def test_a_settle_and_the_next_claim_are_one_statement_in_one_write(
    postgres_url: str, relay: Relay, opened: Callable[[str], PostgresStore], prepared: bool
) -> None:
    """A process that is stopped (L2) has sent all of it, or nothing."""
    store = opened(via(postgres_url, relay.port) + ("" if prepared else "?pgbouncer=on"))
    worker = hire(store)
    store.push(jobs(30))
    claims = store.claim("default", worker, 5, 0)
    for _ in range(3):
        _, claims = store.settle_and_claim(worker, [Outcome.done(claim) for claim in claims], "default", 5)
    relay.writes = written = []
    accepted, following = store.settle_and_claim(worker, [Outcome.done(claim) for claim in claims], "default", 5)
    assert (accepted, len(following)) == (ids(claims), 5)
    (write,) = [kinds for kinds in written if EXECUTE in kinds]
    assert [kind for kind in write if kind in (EXECUTE, SYNC)] == [EXECUTE, SYNC]


@pytest.mark.slow
def test_jobs_of_one_who_never_ends_its_transaction_are_recovered(
    postgres_url: str, relay: Relay, opened: Callable[[str], PostgresStore]
) -> None:
    """The network cut a write in two (L2): the server waits for the end, jobs locked."""
    store, other = opened(via(postgres_url, relay.port)), opened(postgres_url)
    store.heartbeat("stopped", 1.0, b"")
    store.push([job("one"), job("two"), job("next")])
    claims = store.claim("default", "stopped", 2, 0)
    relay.writes, relay.stops_after = [], 1
    stopped = background(
        lambda: store.settle_and_claim("stopped", [Outcome.done(claim) for claim in claims], "default", 5)
    )
    worker = hire(other)
    recovered = eventually(lambda: other.recover(worker, 10))
    assert sorted(ids(recovered)) == ["one", "two"]
    assert ids(gather(other, worker)) == ["next"]
    relay.close()
    with pytest.raises(StoreUnavailable):
        stopped.result(LATE)


@pytest.mark.slow
@pytest.mark.parametrize(("strength", "survives"), [("KEY SHARE", True), ("SHARE", False)])
def test_recovery_ends_a_foreign_transaction_only_if_it_stands_in_the_way(
    postgres_url: str, opened: Callable[[str], PostgresStore], strength: str, survives: bool
) -> None:
    """A foreign key to a job takes the first lock; it waits for its client for more than a second."""
    store = opened(postgres_url)
    store.heartbeat("lapsed", 0.1, b"")
    store.push([job("one")])
    store.claim("default", "lapsed", 1, 0)
    with closing(psycopg.connect(postgres_url)) as foreign:
        foreign.execute(SQL("SELECT 1 FROM goscheds_jobs FOR {}").format(SQL(strength)))
        settle_in(1.2)
        assert ids(eventually(lambda: store.recover(hire(store), 10))) == ["one"]
        with suppress(psycopg.OperationalError):
            foreign.execute("SELECT 1")
        assert foreign.closed != survives
