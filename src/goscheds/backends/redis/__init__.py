"""Jobs in Redis 6.2 and later, or Valkey: ``redis://``, ``rediss://`` (TLS), ``unix://`` or ``valkey://``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goscheds.extras import missing_driver

if TYPE_CHECKING:
    from goscheds.backends.redis.store import RedisStore


def connect(url: str, namespace: str) -> RedisStore:
    """The store of a namespace, not open yet. ``wakeups=off`` polls, where blocking calls and pub/sub don't pass.

    Raises ConfigError if redis-py is missing or can't read the URL. Options that are not goscheds' own are redis-py's.
    """
    try:
        from goscheds.backends.redis.store import RedisStore  # noqa: PLC0415 - a missing driver is told when asked for
    except ImportError as error:
        raise missing_driver(url.partition("://")[0], error) from error
    return RedisStore(url, namespace)
