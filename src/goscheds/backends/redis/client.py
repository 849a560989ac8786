"""The driver's side: clients from URLs, and its errors in our words."""

from __future__ import annotations

import logging
import re
from typing import Any

import redis.exceptions as driver
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from goscheds.errors import ConfigError, StoreError, StoreUnavailable
from goscheds.url import REDIS, check_driver_url, redact

log = logging.getLogger("goscheds")

BLOCK = 4.0  # seconds of one BLMOVE: what an interrupt costs at most that comes just before it
# Seconds for an answer: a push of 100,000 jobs keeps the server busy for two, and others may be before it. The second
# is for what workers ask for, which is small; longer than BLOCK.
PATIENCE, PROMPT = 15.0, 5.0

SETTINGS: dict[str, Any] = {
    "protocol": 2,
    # By default the driver sends a command again when its answer was lost, and a push would land twice (measured).
    "retry": Retry(NoBackoff(), 0),
    "socket_connect_timeout": 5.0,
    "health_check_interval": 30,
    "max_connections": 10_000,  # a thread has its own; the server's limit is 10,000 as well
}

# Answers that the same server, or the one that takes over, will not give a little later. Redis 6.2 puts a script's
# name before them.
PASSING = re.compile(r"(^|: -)(BUSY|LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS|UNBLOCKED)\b")

ELSEWHERE = (driver.ReadOnlyError, driver.ClusterDownError, driver.AskError, driver.TryAgainError)  # MOVED is an ASK


def make_client(url: str, patience: float | None = None) -> Redis:
    """A client whose connections are made when they are needed; ``patience`` in seconds. Raises ConfigError."""
    scheme, _, rest = check_driver_url(url, REDIS).partition("://")
    settings = {**SETTINGS, "socket_timeout": patience or PATIENCE}
    settings |= {} if scheme == "unix" else {"socket_keepalive": True}
    try:
        client = Redis.from_url(f"{'redis' if scheme == 'valkey' else scheme}://{rest}", **settings)
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)  # knows every option
    except (ValueError, TypeError, driver.RedisError) as error:
        raise ConfigError(
            f"{redact(url)!r} is not a URL that Redis can be reached by ({error}). "
            "Examples: redis://localhost:6379/0, rediss://user:password@host:6380/0, unix:///run/redis.sock?db=0."
        ) from error
    return client


def as_ours(error: Exception, shown: str) -> StoreError:
    """One of the driver's errors as StoreUnavailable or StoreError (F1)."""
    if isinstance(error, (driver.AuthenticationError, driver.AuthorizationError)):
        return StoreError(f"{shown} refused the credentials ({error}). Check user and password in the URL.")
    if isinstance(error, (driver.ConnectionError, driver.TimeoutError, OSError)):
        return StoreUnavailable(f"{shown} did not answer ({error}). Is it running, and in reach?")
    if PASSING.search(str(error)) or isinstance(error, ELSEWHERE):
        return StoreUnavailable(f"{shown} can't serve this now ({type(error).__name__}: {error}).")
    return StoreError(f"{shown} answered with an error: {error}")


def check_server(client: Redis, shown: str, eviction: str) -> None:
    """Raise StoreError for a server that is too old, is no primary, or may evict jobs unless ``eviction=allow``."""
    info = {"role": "Sentinel", "maxmemory_policy": "noeviction", **client.info()}
    version, policy = str(info["redis_version"]), str(info["maxmemory_policy"])
    if [int(part) for part in version.split(".")[:2]] < [6, 2]:
        raise StoreError(f"{shown} is Redis {version}; goscheds needs 6.2 or later (BLMOVE, LPOP with a count).")
    if info["role"] != "master":  # it may be one the next time
        raise StoreUnavailable(f"{shown} is a {info['role']}. Give the primary's address, or redis+sentinel://….")
    if policy.startswith("allkeys"):  # other policies evict keys that expire, which no job does
        what = f"{shown} has maxmemory-policy {policy}: short of memory it deletes keys, and jobs with them"
        if eviction != "allow":
            raise StoreError(f"{what}. Set noeviction there; or put eviction=allow into the URL, and lose jobs.")
        log.warning("%s. Set noeviction.", what)
