"""arq on Redis: 100 jobs at once, no results kept; it looks every 10 ms instead of 500, which bounds its rate."""

import os
from datetime import UTC, datetime

from arq import Worker, create_pool
from arq.connections import RedisSettings
from notes import note

settings = RedisSettings.from_dsn(os.environ["PEERS_URL"])
redis = None


async def noop(ctx, n):
    note(n)


async def start():
    global redis
    redis = await create_pool(settings)


async def push(n):
    await redis.enqueue_job("noop", n)


async def push_at(n, due):
    await redis.enqueue_job("noop", n, _defer_until=datetime.fromtimestamp(due, UTC))


def work():
    Worker([noop], redis_settings=settings, max_jobs=100, keep_result=0, poll_delay=0.01).run()
