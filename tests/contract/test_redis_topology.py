"""The law on Redis behind Sentinel, and on a Redis cluster: what depends on where the connections lead.

``goscheds verify`` holds both to all of it.
"""

from collections.abc import Callable

import pytest
from servers.several import Cluster, Watched, eventually

from goscheds.contract import Claim, Outage, Push, Settle
from goscheds.contract.case import Clients

pytestmark = pytest.mark.slow


class TestSentinel(Claim):
    @pytest.fixture
    def store_url(self, redis_watched: Watched) -> str:
        return redis_watched.url


class TestFailover(Outage):
    """The primary is killed, and its replica takes its place; with ``wait`` it has all that was acknowledged."""

    @pytest.fixture
    def store_url(self, redis_watched: Watched) -> str:
        return f"{redis_watched.url}?wait=1"

    @pytest.fixture
    def restart(self, redis_watched: Watched) -> Callable[[], None]:
        def restart() -> None:
            redis_watched.kill_primary().start()
            redis_watched.settle()

        return restart


class TestCluster(Settle, Push):
    @pytest.fixture
    def store_url(self, redis_cluster: Cluster) -> str:
        return redis_cluster.url


class TestClusterFailover(Outage):
    """The primary of the namespace's slot is killed, and its replica is elected."""

    @pytest.fixture
    def store_url(self, redis_cluster: Cluster) -> str:
        return f"{redis_cluster.url}?wait=1"

    @pytest.fixture
    def restart(self, redis_cluster: Cluster, clients: Clients) -> Callable[[], None]:
        def restart() -> None:
            killed = redis_cluster.holder(f"{{{clients.namespace}}}")
            killed.kill()
            eventually(lambda: redis_cluster.holder(f"{{{clients.namespace}}}") is not killed)
            killed.start()
            redis_cluster.settle()

        return restart
