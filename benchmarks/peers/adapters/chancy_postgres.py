"""chancy: 100 jobs at once in threads or on the event loop instead of processes, and eager polling."""

import os
from datetime import UTC, datetime

from chancy import Chancy, Job, Queue, Worker
from notes import note

chancy = Chancy(os.environ["PEERS_URL"])
ASYNC = os.environ["PEERS_STYLE"] == "async"
queue = Queue(
    "default",
    concurrency=100,
    executor=Chancy.Executor.Async if ASYNC else Chancy.Executor.Threaded,
    eager_polling=True,
)


def sync_noop(*, n):
    note(n)


async def async_noop(*, n):
    note(n)


def job(n):
    return Job.from_func(async_noop if ASYNC else sync_noop).with_kwargs(n=n)


async def start():
    await chancy.migrate()
    await chancy.declare(queue, upsert=True)


async def push(n):
    await chancy.push(job(n))


async def push_many(numbers):
    async for _ in chancy.push_many([job(n) for n in numbers]):
        pass


async def push_at(n, due):
    await chancy.push(job(n).with_scheduled_at(datetime.fromtimestamp(due, UTC)))


async def work():
    async with chancy, Worker(chancy) as worker:
        await worker.wait_for_shutdown()
