"""RQ on Redis: SimpleWorker, which runs jobs in its own process instead of forking for each; results not kept."""

import os
from datetime import UTC, datetime

from notes import note
from redis import Redis
from rq import Queue, SimpleWorker

connection = Redis.from_url(os.environ["PEERS_URL"])
queue = Queue("peers", connection=connection)


def noop(n):
    note(n)


def push(n):
    queue.enqueue(noop, n, result_ttl=0)


def push_many(numbers):
    queue.enqueue_many([Queue.prepare_data(noop, (n,), result_ttl=0) for n in numbers])


def push_at(n, due):
    queue.enqueue_at(datetime.fromtimestamp(due, UTC), noop, n, result_ttl=0)


def work():
    SimpleWorker([queue], connection=connection).work(with_scheduler=True, logging_level="ERROR")
