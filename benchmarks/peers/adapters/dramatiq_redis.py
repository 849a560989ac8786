"""dramatiq on Redis: one process with its eight threads; async actors by its AsyncIO middleware."""

import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware.asyncio import AsyncIO
from notes import note

broker = RedisBroker(url=os.environ["PEERS_URL"])
if os.environ["PEERS_STYLE"] == "async":
    broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)

if os.environ["PEERS_STYLE"] == "async":

    @dramatiq.actor
    async def noop(n):
        note(n)

else:

    @dramatiq.actor
    def noop(n):
        note(n)


def push(n):
    noop.send(n)


def push_at(n, due):
    noop.send_with_options(args=(n,), delay=max(0, round(1000 * (due - time.time()))))


WORKER = ["dramatiq", "adapters.dramatiq_redis", "--processes", "1", "--threads", "8", "--skip-logging"]
