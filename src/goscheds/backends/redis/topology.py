"""Redis on several servers: behind Sentinel, ``redis+sentinel://``, or as a cluster, ``redis+cluster://``.

A namespace is one hash slot, so that the whole of it is on one server at a time; ``moving`` finds that server.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, unquote

from msgspec import Struct

from goscheds.errors import ConfigError
from goscheds.extras import missing_driver
from goscheds.url import redact, split, split_options

if TYPE_CHECKING:
    from goscheds.backends.redis.store import RedisStore

__all__ = ["connect"]

SENTINEL = "sentinel"
PORTS = {SENTINEL: 26379, "cluster": 6379}
Address = tuple[str, int]


class Places(Struct, frozen=True):
    """Whom to ask for the server, and how to reach it."""

    hosts: Sequence[Address]
    service: str  # Sentinel's name for the servers; "" in a cluster
    scheme: str  # the parts of a server's own URL
    login: str
    db: str
    query: str
    sentinel_login: str
    wait: int  # how many replicas have a change before it counts

    def server(self, at: Address) -> str:
        """The URL of a server at an address."""
        return self._url(self.login, at, self.db)

    def asked(self, at: Address) -> str:
        """The URL of whom to ask at an address: a Sentinel, or any node."""
        return self._url(self.sentinel_login, at, "0") if self.service else self.server(at)

    def _url(self, login: str, at: Address, db: str) -> str:
        host = f"[{at[0]}]" if ":" in at[0] else at[0]
        return f"{self.scheme}://{login}{host}:{at[1]}/{db}{self.query}"


def connect(url: str, namespace: str) -> RedisStore:
    """The store of a namespace, not open yet. Raises ConfigError if redis-py is missing or the URL can't be read.

    Options: those of ``redis://``, ``wait`` (how many replicas have a change before it counts), and for Sentinels that
    want a login of their own ``sentinel_username`` and ``sentinel_password``.
    """
    try:
        from goscheds.backends.redis.moving import make_client  # noqa: PLC0415 - a missing driver is told when asked for
        from goscheds.backends.redis.store import RedisStore  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise missing_driver(url.partition("://")[0], error) from error
    return RedisStore(url, namespace, partial(make_client, namespace))


def read(url: str) -> Places:
    """What a URL says. Raises ConfigError."""
    rest, own = split_options(url, {"wait": "0", "sentinel_username": "", "sentinel_password": ""})
    parts = split(rest)
    scheme, _, kind = parts.scheme.replace("valkey", "redis").partition("+")
    login, at, hosts = parts.netloc.rpartition("@")
    service, _, db = parts.path.strip("/").partition("/") if kind == SENTINEL else ("", "", parts.path.strip("/"))
    if kind == SENTINEL and not service:
        _refuse(url, "the path names no service, such as /mymaster")
    if kind != SENTINEL and db not in ("", "0"):
        _refuse(url, "a cluster has database 0 alone; tell applications apart by their namespaces")
    if db and not db.isdecimal():
        _refuse(url, f"{db!r} is no number of a database")
    if not own["wait"].isdecimal():
        _refuse(url, f"wait={own['wait']} is no number of replicas")
    user, password = (quote(own[f"sentinel_{what}"], safe="") for what in ("username", "password"))
    return Places(
        hosts=[_address(url, host, PORTS[kind]) for host in hosts.split(",")],
        service=unquote(service),
        scheme=scheme,
        login=login + at,
        db=db or "0",
        query=f"?{parts.query}" if parts.query else "",
        sentinel_login=f"{user}:{password}@" if password else "",
        wait=int(own["wait"]),
    )


def _address(url: str, host: str, default: int) -> Address:
    try:
        parts = split(f"//{host}")
        name, port = parts.hostname, parts.port or default
    except ValueError:  # ConfigError is one; its message, or a wrong port's, may show part of a password
        name, port = None, default
    if not name:
        _refuse(url, "a host is missing, or a port is no number; write / in a password as %2F, and so on")
    return name, port


def _refuse(url: str, why: str) -> NoReturn:
    raise ConfigError(
        f"{redact(url)!r} can't be read: {why}. Examples: "
        "redis+sentinel://user:password@host:26379,host2:26379/name/0, redis+cluster://user:password@host:6379."
    )
