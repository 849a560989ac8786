"""The law on Postgres."""

from collections.abc import Callable, Sequence

import pytest
from servers import Server

from goscheds.backends.sql.postgres.line import Lines
from goscheds.backends.sql.rows import Values
from goscheds.contract import Claim, Contract, Model, Outage, Pipelining


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


@pytest.mark.slow
class TestPostgresAlongTheLine(Claim, Pipelining, Model):
    """Claims that begin where the last one ended, as they do when a look from the beginning takes long."""

    @pytest.fixture(autouse=True)
    def long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def note(lines: Lines, queue: str, parts: dict[str, list[int]], rows: Sequence[Values]) -> None:
            noted(lines, queue, parts, [(*row[:13], 3_600_000_000) for row in rows])

        noted = Lines.note
        monkeypatch.setattr(Lines, "note", note)

    @pytest.fixture
    def store_url(self, postgres_url: str) -> str:
        return postgres_url
