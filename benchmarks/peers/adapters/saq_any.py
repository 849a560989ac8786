"""SAQ on Redis or Postgres: 100 jobs at once, no results kept."""

import os
from math import ceil

from notes import note
from saq import Queue, Worker

queue = Queue.from_url(os.environ["PEERS_URL"], name="peers")

if os.environ["PEERS_STYLE"] == "async":

    async def noop(ctx, *, n):
        note(n)

else:

    def noop(ctx, *, n):
        note(n)


async def start():
    await queue.connect()


async def push(n):
    await queue.enqueue("noop", n=n, ttl=-1)


async def push_at(n, due):
    await queue.enqueue("noop", n=n, ttl=-1, scheduled=ceil(due))


async def work():
    await queue.connect()
    await Worker(queue, [noop], concurrency=100).start()
