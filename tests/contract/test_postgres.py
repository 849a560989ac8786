"""The law on Postgres."""

from collections.abc import Callable

import pytest
from servers import Server

from goscheds.contract import Contract, Outage


class TestPostgres(Contract):
    @pytest.fixture
    def store_url(self, postgres_url: str) -> str:
        return postgres_url


class TestPostgresOutage(Outage):
    @pytest.fixture
    def server(self, private_postgres: Callable[..., Server]) -> Server:
        return private_postgres()

    @pytest.fixture
    def store_url(self, server: Server) -> str:
        return server.url

    @pytest.fixture
    def restart(self, server: Server) -> Callable[[], None]:
        def restart() -> None:
            server.kill()
            server.start()

        return restart
