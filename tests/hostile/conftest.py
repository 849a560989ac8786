"""A scheduler on each server that speaks Redis's language, and the way behind its back."""

from __future__ import annotations

from itertools import count

import pytest
from kit import REDIS_KINDS
from redis import Redis

from goscheds import Scheduler

numbers = count()


@pytest.fixture(params=REDIS_KINDS)
def url(request) -> str:
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def server(url):
    with Redis.from_url(url) as client:
        yield client


@pytest.fixture
def scheduler(url):
    with Scheduler(url, f"hostile-{next(numbers)}") as scheduler:
        scheduler.job(lambda: None, name="greet")
        yield scheduler
        scheduler.store.erase()
