"""The law on Redis, and on Valkey."""

import pytest

from goscheds.contract import Contract


class TestRedis(Contract):
    @pytest.fixture
    def store_url(self, redis_url: str) -> str:
        return redis_url


class TestValkey(Contract):
    @pytest.fixture
    def store_url(self, valkey_url: str) -> str:
        return valkey_url
