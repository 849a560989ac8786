"""awa, whose core is Rust, on its queue storage: 256 workers; bulk by its COPY."""

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime

from awa import AsyncClient
from notes import note

client = AsyncClient(os.environ["PEERS_URL"])


@dataclass
class Noop:
    n: int


async def start():
    await client.migrate()
    await client.install_queue_storage()


async def push(n):
    await client.insert(Noop(n))


async def push_many(numbers):
    await client.enqueue_many_copy([Noop(n) for n in numbers])


async def push_at(n, due):
    await client.insert(Noop(n), run_at=datetime.fromtimestamp(due, UTC))


async def work():
    @client.task(Noop, queue="default")
    async def noop(job):
        note(job.args.n)

    await client.start([("default", 256)])
    await asyncio.Event().wait()
