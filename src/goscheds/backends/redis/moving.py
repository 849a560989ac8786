"""A client whose connections lead to where the namespace is at the moment that they are made.

What is on another server now says so with an error (READONLY, MOVED, a closed connection), upon which the store drops
its connections; the next ones ask again. Whoever answers first is believed, in random order, so that one that knows
only the past is not asked for ever.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import redis.exceptions as driver
from redis import Redis
from redis.connection import Connection, ConnectionPool, SSLConnection
from redis.crc import key_slot

from goscheds.backends.redis import client
from goscheds.backends.redis.topology import Address, Places, read
from goscheds.errors import StoreError

Find = Callable[[], Address]
ANSWER = 1.0
"""Seconds in which a Sentinel or a node has to say where the namespace is, and a replica that it has a change."""
MARK = "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], '')"
"""A write that a server that is full does not refuse: the first one needs no memory."""


class Led(Connection):
    """Asks where to connect to, makes sure that it is a primary, and counts a script as done when replicas have it.

    A Sentinel may be behind, or ahead. Whatever is sent in batches ends with a script.
    """

    def __init__(self, *, find: Find, replicas: int, mark: str, **settings: Any) -> None:
        super().__init__(redis_connect_func=_greet, **settings)  # type: ignore[no-untyped-call]
        self._find = find
        self._replicas = replicas
        self._mark = mark  # a key that is written before replicas are asked
        self._packed = self._scripts = 0  # commands in the batch that is about to be sent; those without an answer yet

    def _connect(self) -> Any:
        self.host, self.port = self._find()
        return super()._connect()  # type: ignore[no-untyped-call]

    def pack_commands(self, commands: Any) -> Any:
        """A batch, ready to be sent."""
        packed = super().pack_commands(commands)  # type: ignore[no-untyped-call]
        self._packed = len(commands)  # not before: one that can't be packed is never sent
        return packed

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send a batch, behind a PING if it is time for one."""
        packed, self._packed = self._packed or len(command), 0
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]
        self._scripts = packed

    def send_command(self, *args: Any, **options: Any) -> None:
        """Send one command."""
        super().send_command(*args, **options)  # type: ignore[no-untyped-call]
        self._scripts = int(str(args[0]).startswith("EVAL"))

    def read_response(self, *args: Any, **options: Any) -> Any:
        """The next answer; of the last script once the replicas have what was changed."""
        self._scripts -= 1
        answer = super().read_response(*args, **options)
        if self._scripts == 0 and self._replicas:
            self._confirm()
        return answer

    def _confirm(self) -> None:
        # WAIT counts from the last write of this connection, and a call that is repeated may have none.
        self.send_command("EVAL", MARK, 1, self._mark)
        self.send_command("WAIT", self._replicas, int(ANSWER * 1000))
        self.read_response()
        if (have := int(self.read_response())) < self._replicas:
            raise driver.ConnectionError(f"{have} replica(s) have what was changed, and not {self._replicas}")


class LedByTls(Led, SSLConnection):
    """The same, encrypted."""


def _greet(connection: Any) -> None:
    connection.on_connect()
    connection.send_command("HELLO")
    if b"replica" in connection.read_response(disable_decoding=True):
        raise driver.ConnectionError(f"{connection.host}:{connection.port} is a replica; the failover is not over")


def make_client(namespace: str, url: str, patience: float | None = None) -> Redis:
    """A client whose connections are made when they are needed; ``patience`` in seconds. Raises ConfigError."""
    places = read(url)
    model = client.make_client(places.server(places.hosts[0]), patience).connection_pool  # knows every option
    find = _by_sentinels(places) if places.service else _by_nodes(places, key_slot(f"{{{namespace}}}".encode()))
    led = LedByTls if issubclass(model.connection_class, SSLConnection) else Led
    found = {"find": find, "replicas": places.wait, "mark": f"{{{namespace}}}:mark"}
    return Redis(connection_pool=ConnectionPool(led, **{**model.connection_kwargs, **found}))


def _by_sentinels(places: Places) -> Find:
    def ask(sentinel: Redis, _: Address) -> Address | None:
        found: Any = sentinel.sentinel_get_master_addr_by_name(places.service)
        return (found[0].decode(), found[1]) if found else None

    def find() -> Address:
        if found := _first_answer(places, set(places.hosts), ask):
            return found
        raise StoreError(f"The Sentinels know no service {places.service!r}. Check the path of the URL.")

    return find


def _by_nodes(places: Places, slot: int) -> Find:
    nodes = set(places.hosts)

    def ask(node: Any, at: Address) -> Address | None:
        holder = None
        for first, last, *servers in node.execute_command("CLUSTER", "SLOTS"):
            known = [(host.decode() if host else at[0], port) for host, port, *_ in servers]
            nodes.update(known)
            if first <= slot <= last:
                holder = known[0]
        return holder

    def find() -> Address:
        if found := _first_answer(places, nodes, ask):
            return found
        raise driver.ConnectionError(f"no node holds slot {slot}")

    return find


def _first_answer(
    places: Places, hosts: set[Address], ask: Callable[[Redis, Address], Address | None]
) -> Address | None:
    """The first that is told; None if all say that there is none. Raises the driver's errors."""
    failed: driver.RedisError | None = None
    for at in random.sample(sorted(hosts), len(hosts)):
        with client.make_client(places.asked(at)) as asked:
            asked.connection_pool.connection_kwargs.update(socket_timeout=ANSWER, socket_connect_timeout=ANSWER)
            try:
                found = ask(asked, at)
            except (driver.AuthenticationError, driver.AuthorizationError):
                raise
            except (driver.ConnectionError, driver.TimeoutError) as error:
                failed = error
            else:
                if found:
                    return found
    if failed:
        raise failed
    return None
