"""Redis or Valkey on several servers: a primary with replicas that Sentinels watch, and a cluster."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import redis

from servers.routes import Route
from servers.running import Redis, free_port, redis_options

SERVICE = "main"
PATIENCE = 30.0
QUICK = ("info-period", 100, "ping-period", 400, "ask-period", 100, "publish-period", 600)
"""Sentinel's own periods, milliseconds. A replaced primary is made a replica after four of the last: not after the
eight seconds of the default, and not before a new one is known to be one, which takes a second. A replica may be chosen
for five of the second after it told of itself, which it does every second while there is no primary."""


class Several(ABC):
    """Servers that belong together."""

    url: str
    servers: list[Redis]

    @classmethod
    def launch(cls, route: Route, **options: str) -> Self:
        """Start them, and return when they know each other."""
        several = cls(route, **options)
        try:
            several.start()
            several.meet()
            several.settle()
        except BaseException:
            several.remove()
            raise
        return several

    @abstractmethod
    def meet(self) -> None:
        """Tell them of each other."""

    @abstractmethod
    def settle(self) -> None:
        """Return when all is well."""

    def remove(self) -> None:
        """Kill them all and delete their data."""
        for server in self.servers:
            server.remove()

    def start(self) -> None:
        """Start those again that do not run."""
        for server in self.servers:
            if not server.runs:
                server.start()


class Watched(Several):
    """A primary, its replicas, and three Sentinels."""

    def __init__(self, route: Route, replicas: int = 1, options: Sequence[str] = (), aof: str = "") -> None:
        self.data = [Redis(route, (*redis_options(options, aof), "--repl-diskless-sync-delay", "0"))]
        first = ("--replicaof", "127.0.0.1", str(self.data[0].port))
        self.data += [Redis(route, (*self.data[0].options, *first)) for _ in range(replicas)]
        self.sentinels = [Sentinel(route, self.data[0].port) for _ in range(3)]
        self.servers = [*self.data, *self.sentinels]
        at = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        self.url = f"redis+sentinel://{at}/{SERVICE}/0"

    def meet(self) -> None:
        """Make the Sentinels quick; they find each other."""
        for sentinel in self.sentinels:
            sentinel.call("SENTINEL", "DEBUG", *QUICK)

    @property
    def primary(self) -> Redis:
        """The server that takes jobs now, as most Sentinels see it."""
        seen = [int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1]) for sentinel in self.sentinels]
        return next(server for server in self.data if seen.count(server.port) > 1)

    def settle(self) -> None:
        """Return when the Sentinels know each other, and every other server is a replica that has caught up."""

        def settled() -> bool:
            replicas = self.primary.call("INFO", "replication")
            online = [replicas.get(f"slave{number}", {}).get("state") for number in range(len(self.data) - 1)]
            seen = [sentinel.seen() for sentinel in self.sentinels]
            return {*online} == {"online"} and seen == [("master", str(len(online)), "2")] * 3

        eventually(settled)

    def fail_over(self) -> None:
        """Have the Sentinels make another server the primary, in peace; return when they have."""
        before = self.primary
        eventually(lambda: bool(self.sentinels[0].call("SENTINEL", "FAILOVER", SERVICE)))
        eventually(lambda: self.primary is not before)

    def kill_primary(self) -> Redis:
        """Kill the primary, and return when another server is one; the killed server."""
        killed = self.primary
        killed.kill()
        eventually(lambda: self.primary is not killed)
        return killed


class Sentinel(Redis):
    """A Sentinel, which keeps what it knows in its configuration file."""

    def __init__(self, route: Route, port: int, settings: str = "") -> None:
        super().__init__(route, ())
        (self.folder / "sentinel.conf").write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} 600\nsentinel failover-timeout {SERVICE} 3000\n{settings}\n"
        )

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        return (self.route.at, self.folder / "sentinel.conf", "--sentinel")

    def seen(self) -> tuple[str, str, str]:
        """What it takes the primary for, and how many replicas and other Sentinels it knows."""
        told = self.call("SENTINEL", "MASTER", SERVICE)
        known = dict(zip(told[::2], told[1::2], strict=True))
        return known["flags"], known["num-slaves"], known["num-other-sentinels"]


class Cluster(Several):
    """Three primaries, each with a replica."""

    def __init__(self, route: Route, aof: str = "") -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
        self._buses = [free_port() for _ in range(6)]
        self.servers = [Redis(route, redis_options((*options, "--cluster-port", str(bus)), aof)) for bus in self._buses]
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])

    def meet(self) -> None:
        """Share out the slots and the replicas."""
        primaries, replicas = self.servers[:3], self.servers[3:]
        for number, server in enumerate(primaries):
            server.call("CLUSTER", "ADDSLOTSRANGE", 5462 * number, min(16383, 5462 * (number + 1) - 1))
        for server, bus in zip(self.servers[1:], self._buses[1:], strict=True):
            self.servers[0].call("CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        eventually(lambda: all(server.call("CLUSTER", "NODES").count("\n") == 6 for server in self.servers))
        for server, primary in zip(replicas, primaries, strict=True):
            server.call("CLUSTER", "REPLICATE", primary.call("CLUSTER", "MYID"))

    def settle(self) -> None:
        """Return when all slots are served, and all replicas have caught up."""

        def settled() -> bool:
            told = ["cluster_state:ok" in server.call("CLUSTER", "INFO") for server in self.servers]
            roles = [server.call("INFO", "replication") for server in self.servers]
            linked = sum(role.get("master_link_status") == "up" for role in roles)
            return all(told) and linked == 3

        eventually(settled)

    def holder(self, key: str) -> Redis:
        """The primary that has a key's slot."""
        node = next(server for server in self.servers if server.runs)
        slot, slots = node.call("CLUSTER", "KEYSLOT", key), node.call("CLUSTER", "SLOTS")
        return next(self.at(primary[1]) for first, last, primary, *_ in slots if first <= slot <= last)

    def replica_of(self, primary: Redis) -> Redis:
        """The replica of a primary."""
        return self.at(primary.call("INFO", "replication")["slave0"]["port"])

    def leads(self, server: Redis) -> bool:
        """Whether a server is a primary."""
        return bool(server.call("INFO", "replication")["role"] == "master")

    @contextmanager
    def moving(self, slot: int, source: Redis, target: Redis) -> Iterator[Callable[[], bool]]:
        """A slot that is moved; what is given moves two of its keys more, and says whether there were two."""
        source_id, target_id = source.call("CLUSTER", "MYID"), target.call("CLUSTER", "MYID")
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)

        def move_some() -> bool:
            keys = source.call("CLUSTER", "GETKEYSINSLOT", slot, 2)
            if keys:
                source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            return len(keys) == 2

        yield move_some
        for server in (target, source, *(server for server in self.servers if self.leads(server))):
            server.call("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    def at(self, port: int) -> Redis:
        """The server at a port."""
        return next(server for server in self.servers if server.port == port)


def eventually(condition: Callable[[], bool]) -> None:
    """Return when a condition holds; servers that do not answer yet don't fulfil it."""
    until = time.monotonic() + PATIENCE
    last: Exception | None = None
    while time.monotonic() < until:
        try:
            if condition():
                return
        except (redis.RedisError, StopIteration, KeyError) as error:
            last = error
        time.sleep(0.02)
    raise TimeoutError(f"The servers did not come to what was waited for ({last!r}).")
