"""The law on Redis, and on Valkey."""

from collections.abc import Callable

import pytest
from servers import Server

from goscheds.contract import Contract, Outage


class TestRedis(Contract):
    @pytest.fixture
    def store_url(self, redis_url: str) -> str:
        return redis_url


class TestValkey(Contract):
    """Slow as a whole: the same store speaks to a server of the same commands, which the full run tries as well."""

    pytestmark = pytest.mark.slow

    @pytest.fixture
    def store_url(self, valkey_url: str) -> str:
        return valkey_url


class TestRedisOutage(Outage):
    @pytest.fixture
    def server(self, private_redis: Callable[..., Server]) -> Server:
        return private_redis(aof="always")

    @pytest.fixture
    def store_url(self, server: Server) -> str:
        return server.url

    @pytest.fixture
    def restart(self, server: Server) -> Callable[[], None]:
        def restart() -> None:
            server.kill()
            server.start()

        return restart


class TestValkeyOutage(TestRedisOutage):
    @pytest.fixture
    def server(self, private_valkey: Callable[..., Server]) -> Server:
        return private_valkey(aof="always")
