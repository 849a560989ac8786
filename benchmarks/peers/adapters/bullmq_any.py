"""BullMQ for Python on Redis or Postgres: 100 jobs at once, completed ones removed."""

import asyncio
import os
import time

from bullmq import Queue, Worker
from notes import note

url = os.environ["PEERS_URL"]
connection = {"connection": url} if url.startswith("redis") else {"backend": "postgres", "connection": url}
OPTIONS = {"removeOnComplete": True}
queue = None


async def start():
    global queue
    queue = Queue("peers", connection)


async def push(n):
    await queue.add("noop", {"n": n}, OPTIONS)


async def push_many(numbers):
    await queue.addBulk([{"name": "noop", "data": {"n": n}, "opts": OPTIONS} for n in numbers])


async def push_at(n, due):
    await queue.add("noop", {"n": n}, {**OPTIONS, "delay": max(0, round(1000 * (due - time.time())))})


async def noop(job, token):
    note(job.data["n"])


async def work():
    Worker("peers", noop, {**connection, "concurrency": 100})
    await asyncio.Event().wait()
