from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from kit import DEADLINE, heard, looping, until

from goscheds.loop import LoopThread, in_thread


async def where() -> str:
    return threading.current_thread().name


def test_coroutines_run_on_one_thread_of_their_own():
    with looping() as loop:
        assert loop.run(where()) == loop.run(where()) == "goscheds-loop"


def test_no_thread_is_started_before_it_is_needed():
    before = threading.active_count()
    with looping():
        assert threading.active_count() == before


def test_two_first_users_get_one_loop():
    with looping() as loop:
        together, loops = threading.Barrier(8), []

        def use():
            together.wait()
            loops.append(loop.loop)

        users = [threading.Thread(target=use) for _ in range(8)]
        for user in users:
            user.start()
        for user in users:
            user.join()
        assert len(set(loops)) == 1


def test_what_a_coroutine_raises_is_raised_where_it_is_waited_for():
    async def fail():
        raise ValueError("no")

    with looping() as loop, pytest.raises(ValueError, match="no"):
        loop.run(fail())


def test_functions_are_called_there():
    done = threading.Event()
    with looping() as loop:
        loop.call(done.set)
        heard(done)


@pytest.mark.parametrize("fatal", [SystemExit(1), KeyboardInterrupt()])
def test_a_task_that_would_end_the_loop_does_not(caplog, fatal):
    """asyncio lets these through to whoever runs the loop."""

    async def fail():
        raise fatal

    async def start():
        task = asyncio.ensure_future(fail())
        with suppress(BaseException):
            await asyncio.wait([task])
        return task

    with looping() as loop:
        begun = asyncio.run_coroutine_threadsafe(start(), loop.loop)
        until(lambda: caplog.records, "the loop to fall")
        assert loop.run(where()) == "goscheds-loop"
        with suppress(BaseException):
            begun.result(DEADLINE).exception()
    assert "it goes on" in caplog.text


def test_a_handler_that_stops_the_loop_does_not():
    with looping() as loop:
        loop.call(loop.loop.stop)
        assert loop.run(where()) == "goscheds-loop"


def test_closing_cancels_what_runs_and_lets_it_clear_up():
    begun, cleared = threading.Event(), threading.Event()

    async def long():
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleared.set()

    with looping() as loop:
        asyncio.run_coroutine_threadsafe(long(), loop.loop)
        heard(begun)
    assert cleared.is_set()
    assert loop.loop.is_closed()


@pytest.mark.slow
def test_closing_does_not_wait_for_what_will_not_end(caplog):
    """asyncio complains of the task that is left behind; so be it."""
    begun = threading.Event()

    async def stubborn():
        begun.set()
        for _ in range(100):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    loop = LoopThread()
    task = asyncio.run_coroutine_threadsafe(stubborn(), loop.loop)
    heard(begun)
    began = time.monotonic()
    loop.close()
    assert time.monotonic() - began < 5
    assert not task.done()


def test_closing_what_never_began_is_nothing():
    LoopThread().close()


def test_closing_twice_is_once():
    with looping() as loop:
        loop.run(where())
        loop.close()


def test_a_function_runs_in_a_thread_of_its_own():
    async def work():
        return await in_thread(lambda a: (a, threading.current_thread().name), 7)

    assert asyncio.run(work()) == (7, "goscheds-sync")


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
def test_what_it_raises_is_raised_where_it_is_awaited(error):
    def fail():
        raise error

    with pytest.raises(type(error)):
        asyncio.run(in_thread(fail))


def test_the_process_does_not_wait_for_such_a_thread():
    code = """
import asyncio, threading
from goscheds.loop import LoopThread, in_thread
loop, begun = LoopThread(), threading.Event()
def hang():
    begun.set()
    threading.Event().wait(600)
asyncio.run_coroutine_threadsafe(in_thread(hang), loop.loop)
begun.wait()
loop.close()
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=DEADLINE, check=False).returncode == 0
