"""Servers for the tests: one shared server of each kind, started when first asked for, and private ones to kill.

Which server is used, in this order: a URL from the environment (GOSCHEDS_TEST_REDIS_URL, GOSCHEDS_TEST_VALKEY_URL,
GOSCHEDS_TEST_POSTGRES_URL); Docker, if its daemon answers; a program of this machine; a program inside a wheel of the
extra ``dev``. ``--servers`` forces one route. Without any, the tests fail; on a laptop GOSCHEDS_TEST_ALLOW_SKIP=1 lets
them skip instead.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from servers import KINDS, NoServer, Route, Server, find, find_pooler, launch, launch_pooler
from servers.several import Cluster, Several, Watched

from goscheds import outage
from goscheds.url import redact

FORCIBLE = ("docker", "local", "wheel")
PrivateServer = Callable[..., Server]
S = TypeVar("S", bound=Several)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        choices=("auto", *FORCIBLE),
        default=os.environ.get("GOSCHEDS_TEST_SERVERS", "auto"),
        help="where Redis, Valkey and Postgres come from (default: the first of "
        f"{', '.join(KINDS)} that there is; environment: GOSCHEDS_TEST_SERVERS)",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many tests at a time two cores bear: the quick ones mostly wait; the slow ones start many processes."""
    return 3 if config.option.markexpr == "not slow" else 2


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [f"server: {_told(server, config)}" for server in ("redis", "valkey", "postgres")]


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The shared Redis."""
    yield from _shared("redis", pytestconfig)


@pytest.fixture(scope="session")
def valkey_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The shared Valkey."""
    yield from _shared("valkey", pytestconfig)


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    """The shared Postgres."""
    yield from _shared("postgres", pytestconfig)


@pytest.fixture(scope="session")
def redis_url(redis_server: Server) -> str:
    """The shared Redis; a namespace of its own keeps a test apart from the others."""
    return redis_server.url


@pytest.fixture(scope="session")
def valkey_url(valkey_server: Server) -> str:
    """The shared Valkey."""
    return valkey_server.url


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Server) -> str:
    """The shared Postgres: its database ``postgres``, as a superuser."""
    return postgres_server.url


@pytest.fixture
def private_redis(pytestconfig: pytest.Config) -> Iterator[PrivateServer]:
    """Starts a Redis that only this test has, and may kill: ``private_redis(*options, aof="always")``.

    ``aof`` is ``appendfsync`` (always, everysec, no); without it nothing survives a restart. ``options`` go to the
    server: ``private_redis("--maxmemory-policy", "allkeys-lru")``.
    """
    yield from _private("redis", pytestconfig)


@pytest.fixture
def private_valkey(pytestconfig: pytest.Config) -> Iterator[PrivateServer]:
    """Starts a Valkey that only this test has; as ``private_redis``."""
    yield from _private("valkey", pytestconfig)


@pytest.fixture
def private_postgres(pytestconfig: pytest.Config) -> Iterator[PrivateServer]:
    """Starts a Postgres that only this test has, and may kill: ``private_postgres("max_connections=20", …)``."""
    yield from _private("postgres", pytestconfig)


@pytest.fixture(scope="session")
def pgbouncer_url(postgres_url: str) -> Iterator[str]:
    """PgBouncer in transaction mode, in front of the shared Postgres."""
    pooler = launch_pooler(_found(find_pooler), postgres_url)
    yield pooler.url
    pooler.remove()


@pytest.fixture
def private_pgbouncer(postgres_url: str) -> Iterator[PrivateServer]:
    """Starts a PgBouncer that only this test has: ``private_pgbouncer("max_client_conn = 5", …)``."""
    with contextlib.ExitStack() as started:

        def start(*settings: str, postgres: str = postgres_url) -> Server:
            pooler = launch_pooler(_found(find_pooler), postgres, *settings)
            started.callback(pooler.remove)
            return pooler

        yield start


@pytest.fixture(scope="session")
def redis_watched(pytestconfig: pytest.Config) -> Iterator[Watched]:
    """A shared Redis primary with a replica, under three Sentinels. A test that fails it over settles it again."""
    yield from _several(Watched, "redis", pytestconfig, aof="always")


@pytest.fixture(scope="session")
def redis_cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A shared Redis cluster of three primaries and three replicas. A test that fails one over settles it again."""
    yield from _several(Cluster, "redis", pytestconfig)


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of a worker whose store is away try again soon: what they do then matters, not how long it takes."""
    monkeypatch.setattr(outage, "FIRST", 0.005)


def _several(several: type[S], server: str, config: pytest.Config, **options: str) -> Iterator[S]:
    """Servers on this machine: those in containers would tell each other addresses that are none out here."""
    kinds = [kind for kind in ("local", "wheel") if config.getoption("--servers") in (kind, "auto", "docker")]
    for kind in kinds:
        with contextlib.suppress(NoServer):
            running = several.launch(find(server, kind), **options)
            yield running
            running.remove()
            return
    pytest.fail(f"No program of {server} on this machine, which several servers that belong together need.")


def _shared(server: str, config: pytest.Config) -> Iterator[Server]:
    running = launch(_route(server, config))
    yield running
    running.remove()


def _private(server: str, config: pytest.Config) -> Iterator[PrivateServer]:
    with contextlib.ExitStack() as started:

        def start(*settings: str, aof: str = "") -> Server:
            running = launch(_route(server, config, private=True), *settings, aof=aof)
            started.callback(running.remove)
            return running

        yield start


def _route(server: str, config: pytest.Config, *, private: bool = False) -> Route:
    return _found(lambda: find(server, config.getoption("--servers"), private=private))


def _found(look: Callable[[], Route]) -> Route:
    try:
        return look()
    except NoServer as error:
        how_to_help = str(error)
    if os.environ.get("GOSCHEDS_TEST_ALLOW_SKIP") == "1" and not os.environ.get("CI"):
        pytest.skip(how_to_help)
    pytest.fail(how_to_help, pytrace=False)


def _told(server: str, config: pytest.Config) -> str:
    try:
        route = find(server, config.getoption("--servers"))
    except NoServer as error:
        return str(error)
    return str(route) if route.kind != "url" else f"{server} {route.version} (url: {redact(route.at)})"
