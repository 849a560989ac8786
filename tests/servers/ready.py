"""Asking a server whether it is ready, and which version it is."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds that a server may take to answer after its start; a container on a busy machine needs several."""


class Unreachable(ConnectionError):
    """Nothing, or nothing ready, answers at the URL."""


def probe(url: str) -> str:
    """The version of the server at ``url``, once it takes commands. Raises Unreachable."""
    return (_postgres if url.startswith("postgres") else _redis)(url)


def wait_until_ready(url: str, alive: Callable[[], bool]) -> None:
    """Return when the server takes commands. Raises Unreachable if it dies, or takes longer than ``PATIENCE``."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            probe(url)
        except Unreachable:
            if not alive() or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _redis(url: str) -> str:
    import redis  # noqa: PLC0415 - takes 180 ms, and most runs of a single test need no server
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
    from redis.retry import Retry  # noqa: PLC0415 - as above

    url = url.replace("valkey://", "redis://", 1)
    try:
        with redis.Redis.from_url(url, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()
            server = client.info("server")
    except (redis.RedisError, OSError) as error:
        raise Unreachable(f"{url}: {error}") from error
    return str(server.get("valkey_version") or server["redis_version"])


def _postgres(url: str) -> str:
    import psycopg  # noqa: PLC0415 - as above

    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            return str(connection.info.parameter_status("server_version")).split()[0]
    except (psycopg.Error, OSError) as error:
        raise Unreachable(f"{url}: {error}") from error
