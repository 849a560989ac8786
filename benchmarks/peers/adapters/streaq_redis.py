"""streaQ on Redis: 100 jobs at once, results not kept."""

import os
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from notes import note
from streaq import Worker

worker = Worker(redis_url=os.environ["PEERS_URL"], concurrency=100, sync_concurrency=8, queue_name="peers")

if os.environ["PEERS_STYLE"] == "async":

    @worker.task(ttl=0)
    async def noop(n: int) -> None:
        note(n)

else:

    @worker.task(ttl=0)
    def noop(n: int) -> None:
        note(n)


opened = AsyncExitStack()


async def start():
    await opened.enter_async_context(worker)


async def push(n):
    await noop.enqueue(n)


async def push_many(numbers):
    await worker.enqueue_many([noop.enqueue(n) for n in numbers])


async def push_at(n, due):
    await noop.enqueue(n).start(schedule=datetime.fromtimestamp(due, UTC))


def work():
    worker.run_sync()
