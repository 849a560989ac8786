"""procrastinate: 30 jobs at once, finished ones deleted; sync tasks run in threads."""

import os
from datetime import UTC, datetime

from notes import note
from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=os.environ["PEERS_URL"]))

if os.environ["PEERS_STYLE"] == "async":

    @app.task
    async def noop(n):
        note(n)

else:

    @app.task
    def noop(n):
        note(n)


async def start():
    await app.open_async()
    await app.schema_manager.apply_schema_async()


async def push(n):
    await noop.defer_async(n=n)


async def push_many(numbers):
    await noop.batch_defer_async(*({"n": n} for n in numbers))


async def push_at(n, due):
    await noop.configure(schedule_at=datetime.fromtimestamp(due, UTC)).defer_async(n=n)


def work():
    app.run_worker(concurrency=30, delete_jobs="always")
