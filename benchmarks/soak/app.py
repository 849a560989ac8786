"""The application that is soaked: each kind of handler, and history that is thrown away after some seconds."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta

from goscheds import Context, Retry, RunAgain, Scheduler

KEEP = timedelta(seconds=20)
scheduler = Scheduler(os.environ["SOAK_STORE"], "soak", keep_done=KEEP, keep_dead=KEEP)


@scheduler.job
def quick(n: int, text: str) -> int:
    """Return at once."""
    return n + len(text)


@scheduler.job(queue="slow", timeout=timedelta(seconds=30))
def slow(n: int) -> int:
    """Take a twentieth of a second."""
    time.sleep(0.05)
    return n


@scheduler.job(queue="async")
async def gentle(n: int) -> int:
    """Wait on the loop."""
    await asyncio.sleep(0.02)
    return n


@scheduler.job(queue="failing", retry=Retry(max_attempts=3, base=timedelta(milliseconds=200)))
def failing(n: int, context: Context) -> None:
    """Fail at first; some for good."""
    if context.attempt == 1:
        raise RunAgain(timedelta(milliseconds=300), reason="the first time")
    if n % 10 == 0:
        raise ValueError("always")
