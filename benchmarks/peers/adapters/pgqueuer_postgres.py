"""pgqueuer on asyncpg, its faster driver, and uvloop, as its command line: batches of 100 instead of 10."""

import os
import time
from datetime import timedelta

import asyncpg
import uvloop
from notes import note
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries

queries = None


async def start():
    global queries
    queries = Queries(AsyncpgDriver(await asyncpg.connect(os.environ["PEERS_URL"])))
    await queries.install()


async def push(n):
    await queries.enqueue("noop", b"%d" % n)


async def push_many(numbers):
    await queries.enqueue(["noop"] * len(numbers), [b"%d" % n for n in numbers], [0] * len(numbers))


async def push_at(n, due):
    await queries.enqueue("noop", b"%d" % n, execute_after=timedelta(seconds=due - time.time()))


async def serve():
    pgq = PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["PEERS_URL"])))

    @pgq.entrypoint("noop")
    async def noop(job):
        note(int(job.payload))

    await pgq.run(batch_size=100)


def work():
    uvloop.run(serve())
