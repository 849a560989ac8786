"""goscheds itself, through the same door as its peers, with every setting left as it is."""

import os
from datetime import UTC, datetime

from notes import note

from goscheds import Scheduler, Worker

scheduler = Scheduler(os.environ["PEERS_URL"], "peers")

if os.environ["PEERS_STYLE"] == "async":

    @scheduler.job(name="noop")
    async def noop(n: int) -> None:
        note(n)

else:

    @scheduler.job(name="noop")
    def noop(n: int) -> None:
        note(n)


def push(n):
    noop.push(n=n)


def push_many(numbers):
    scheduler.push_many(noop.job(n=n) for n in numbers)


def push_at(n, due):
    noop.push_at(datetime.fromtimestamp(due, UTC), n=n)


def work():
    Worker(scheduler).run()
