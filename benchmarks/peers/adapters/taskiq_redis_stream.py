"""taskiq on a Redis stream (its list broker acknowledges nothing): one process, 100 tasks at once, no results."""

import os

from notes import note
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(os.environ["PEERS_URL"], queue_name="peers", consumer_id="0")

if os.environ["PEERS_STYLE"] == "async":

    @broker.task
    async def noop(n: int) -> None:
        note(n)

else:

    @broker.task
    def noop(n: int) -> None:
        note(n)


async def start():
    await broker.startup()


async def push(n):
    await noop.kiq(n)


WORKER = [
    "taskiq", "worker", "adapters.taskiq_redis_stream:broker", "--workers", "1", "--max-async-tasks", "100",
    "--max-prefetch", "100", "--log-level", "ERROR",
]  # fmt: skip
