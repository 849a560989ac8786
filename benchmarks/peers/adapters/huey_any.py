"""huey on Redis or SQLite: no results kept; four threads, as many as made it fastest; one thread blocks for jobs."""

import os
from datetime import UTC, datetime

from huey import RedisHuey, SqliteHuey
from notes import note

url = os.environ["PEERS_URL"]
if url.startswith("redis"):
    huey = RedisHuey("peers", url=url, results=False)
else:
    huey = SqliteHuey("peers", filename=url.removeprefix("sqlite:///"), results=False)


@huey.task()
def noop(n):
    note(n)


def push(n):
    noop(n)


def push_at(n, due):
    noop.schedule((n,), eta=datetime.fromtimestamp(due, UTC))


WORKER = ["huey_consumer", "adapters.huey_any.huey", "--workers", "4", "--worker-type", "thread", "--quiet"]
