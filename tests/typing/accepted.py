"""What a user writes and a type checker accepts, with the types that it sees."""

# pyright: strict
from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from goscheds import Context, GiveUp, Job, JobInfo, Retry, RunAgain, Scheduler, State, Task, Worker

scheduler = Scheduler("memory://", namespace="shop", keep_done=timedelta(hours=1))
MOMENT = datetime(2027, 1, 1, tzinfo=UTC)


@scheduler.job
def greet(name: str, times: int = 1) -> str:
    """Without parentheses."""
    return f"Hello {name}" * times


@scheduler.job()
def called(name: str) -> None:
    """With parentheses, and nothing in them."""


@scheduler.job(queue="mail", priority=3, timeout=timedelta(minutes=2), retry=Retry(max_attempts=5), name="receipt")
def send_receipt(order_id: int, *, email: str) -> bool:
    """With every option."""
    return bool(order_id and email)


@scheduler.job(queue="async")
async def fetch(url: str) -> bytes:
    """An async handler."""
    await asyncio.sleep(0)
    return url.encode()


@scheduler.job
def nosy(name: str, *, run: Context | None = None) -> int:
    """One that wants its context, and can be called without."""
    if run and run.cancelled:
        raise GiveUp(run.reason)
    if run and run.attempt < 2:
        raise RunAgain(timedelta(minutes=1))
    return len(name)


@scheduler.job
def leading(run: Context, name: str) -> int:
    """One whose context comes first, so that its callers need not know of it."""
    return len(name) + run.attempt


@scheduler.job(queue="mail")
def leading_with_options(run: Context, name: str) -> int:
    """The same, with options."""
    return len(name) + run.attempt


assert_type(leading.push("Ada"), str)
assert_type(leading_with_options.push_in(timedelta(hours=1), "Ada"), str)
assert_type(leading("Ada"), int)


# A decorated function stays callable, with its own type.
assert_type(greet("Ada"), str)
assert_type(greet("Ada", times=2), str)
assert_type(called("Ada"), None)
assert_type(send_receipt(7, email="a@example.org"), bool)
coroutine: Coroutine[Any, Any, bytes] = fetch("https://example.org")
task: Task[..., str] = greet
function: Callable[[str], str] = greet
assert_type(nosy("Ada"), int)
assert_type(greet.name, str)

# Pushing it takes what it takes, and gives an id.
assert_type(greet.push("Ada"), str)
assert_type(greet.push(name="Ada", times=2), str)
assert_type(send_receipt.push(7, email="a@example.org"), str)
assert_type(greet.push_in(timedelta(hours=1), "Ada", times=2), str)
assert_type(greet.push_at(MOMENT, name="Ada"), str)
assert_type(fetch.push("https://example.org"), str)
assert_type(greet.job("Ada"), Job)


async def producer() -> None:
    """Awaitable twins."""
    assert_type(await greet.apush("Ada", times=2), str)
    assert_type(await greet.apush_in(timedelta(hours=1), "Ada"), str)
    assert_type(await send_receipt.apush_at(MOMENT, 7, email="a@example.org"), str)
    assert_type(await scheduler.apush(Job("greet", {"name": "Ada"})), str)
    assert_type(await scheduler.apush_many([greet.job("Ada")]), list[str])
    assert_type(await scheduler.aget("id"), JobInfo)
    assert_type(await scheduler.acancel("id"), State)
    assert_type(await scheduler.areschedule("id", timedelta(hours=1)), State)
    assert_type(await scheduler.apurge("done", older_than=timedelta(days=1)), int)
    assert_type(await scheduler.anow(), datetime)
    assert_type(await fetch("https://example.org"), bytes)


# The explicit style.
assert_type(scheduler.push(Job("greet", {"name": "Ada"}, queue="mail", execute_at=MOMENT)), str)
assert_type(scheduler.push_many(greet.job("Ada") for _ in range(3)), list[str])
assert_type([info.state for info in scheduler.jobs(state="ready", queue="mail")], list[State])


def handle(job: Job) -> int:
    """A handler by name."""
    return len(job.args)


async def handle_async(job: Job, run: Context) -> None:
    """An async one that wants its context."""
    await asyncio.sleep(len(job.args) + run.attempt)


with scheduler as same:
    assert_type(same, Scheduler)
worker = Worker(scheduler, queues={"mail": 8, "async": 1000}, lease=timedelta(seconds=10), grace=timedelta(seconds=30))
worker.register_handler("greet by name", handle, queue="mail")
worker.register_handler("async by name", handle_async)
worker.register_handler("lambda", lambda job: job.id.upper())
assert_type(worker.drain(), int)
