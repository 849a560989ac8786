"""The law on Postgres."""

import pytest

from goscheds.contract import Contract


class TestPostgres(Contract):
    @pytest.fixture
    def store_url(self, postgres_url: str) -> str:
        return postgres_url
