"""Celery on Redis: one process (solo pool), acknowledgement after the handler, prefetching, no results, no gossip."""

import os
from datetime import UTC, datetime

from celery import Celery
from notes import note

app = Celery("peers", broker=os.environ["PEERS_URL"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=128,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task
def noop(n):
    note(n)


def push(n):
    noop.delay(n)


def push_at(n, due):
    noop.apply_async((n,), eta=datetime.fromtimestamp(due, UTC))


WORKER = [
    "celery", "--app", "adapters.celery_redis", "worker", "--pool", "solo", "--without-gossip", "--without-mingle",
    "--without-heartbeat", "--loglevel", "ERROR",
]  # fmt: skip
