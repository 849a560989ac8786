"""Oban for Python, without Pro: a queue of 100."""

import asyncio
import os
from datetime import UTC, datetime

from notes import note
from oban import Oban, worker
from oban.schema import install

oban = None


@worker(queue="default")
class Noop:
    async def process(self, job):
        note(job.args["n"])


async def pool():
    return await Oban.create_pool(os.environ["PEERS_URL"])


async def start():
    global oban
    connected = await pool()
    await install(connected)
    oban = Oban(pool=connected)
    await oban.start()


async def push(n):
    await oban.enqueue(Noop.new({"n": n}))


async def push_many(numbers):
    await oban.enqueue_many([Noop.new({"n": n}) for n in numbers])


async def push_at(n, due):
    await oban.enqueue(Noop.new({"n": n}, scheduled_at=datetime.fromtimestamp(due, UTC)))


async def work():
    async with Oban(pool=await pool(), queues={"default": 100}):
        await asyncio.Event().wait()
