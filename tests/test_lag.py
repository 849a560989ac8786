"""The event loop's lag, and whose it is."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest
from kit import heard, looping, scheduled, until, working

from goscheds.lag import BETWEEN, BLOCKED, Lag


def test_a_loop_that_nobody_needed_is_not_asked():
    with looping() as loop:
        lag = Lag(loop)
        lag.look(time.monotonic())
        assert loop.thread is None
        assert lag.longest == 0


def test_a_loop_that_answers_has_little_lag(caplog):
    with looping() as loop:
        lag = Lag(loop)
        loop.run(asyncio.sleep(0))
        lag.look(time.monotonic())
        until(lambda: lag._asked == 0)
        assert 0 < lag.longest < BLOCKED
        assert not caplog.messages


def test_who_blocks_it_is_named_with_its_line(caplog):
    caplog.set_level("WARNING")
    go_on, begun = threading.Event(), threading.Event()

    async def computes():
        asyncio.current_task().set_name("job-7")
        begun.set()
        go_on.wait()  # a handler that should have been awaited

    with looping() as loop:
        lag = Lag(loop)
        loop.loop.call_soon_threadsafe(lambda: loop.loop.create_task(computes()))
        heard(begun)
        now = time.monotonic()
        lag.look(now)
        lag.look(now + BLOCKED / 2)
        assert not caplog.messages
        lag.look(now + BLOCKED * 2)
        lag.look(now + BLOCKED * 3)
        (named,) = caplog.messages
        assert "job job-7, in computes at" in named
        assert "a handler that should have been awaited" in named
        go_on.set()
        until(lambda: len(caplog.messages) == 2)
        assert "goes on after" in caplog.messages[1]
        lag.look(now + BETWEEN)


@pytest.mark.parametrize("lane", ["async", "sync"])
def test_a_worker_names_the_job_and_keeps_its_lease(caplog, lane):
    caplog.set_level("WARNING")
    with scheduled() as scheduler:
        if lane == "sync":
            scheduler.job(name="sync")(lambda: None)

        @scheduler.job
        async def computes_for_long() -> None:
            time.sleep(2 * BLOCKED)  # noqa: ASYNC251 - that is the trouble

        with working(scheduler, lease=timedelta(seconds=1)):
            id = computes_for_long.push()
            scheduler.result(id, 10)
    assert [message for message in caplog.messages if f"job {id}, in computes_for_long at" in message]
    assert not [message for message in caplog.messages if "lease" in message]
