"""What of the law a pooler could break, on Postgres behind PgBouncer in transaction mode, whose URL does not say so.

All of the law holds there, and takes three quarters of a minute: bind Contract instead.
"""

from collections.abc import Callable

import pytest
from servers import Server

from goscheds.contract import Claim, Outage, Settle

pytestmark = pytest.mark.slow


class TestPgBouncer(Claim, Settle):
    @pytest.fixture
    def store_url(self, pgbouncer_url: str) -> str:
        return pgbouncer_url


class TestPgBouncerOutage(Outage):
    @pytest.fixture
    def pooler(self, private_pgbouncer: Callable[..., Server]) -> Server:
        return private_pgbouncer()

    @pytest.fixture
    def store_url(self, pooler: Server) -> str:
        return pooler.url

    @pytest.fixture
    def restart(self, pooler: Server) -> Callable[[], None]:
        def restart() -> None:
            pooler.kill()
            pooler.start()

        return restart
