"""The law on Postgres behind PgBouncer in transaction mode."""

import pytest

from goscheds.contract import Contract


class TestPgBouncer(Contract):
    @pytest.fixture
    def store_url(self, pgbouncer_url: str) -> str:
        return pgbouncer_url
