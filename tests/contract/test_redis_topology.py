"""The law on Redis behind Sentinel, and on a Redis cluster."""

import pytest
from servers.several import Cluster, Watched

from goscheds.contract import Contract


class TestSentinel(Contract):
    @pytest.fixture
    def store_url(self, redis_watched: Watched) -> str:
        return redis_watched.url


class TestCluster(Contract):
    @pytest.fixture
    def store_url(self, redis_cluster: Cluster) -> str:
        return redis_cluster.url
