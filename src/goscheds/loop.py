"""The event loop on which async handlers run: one thread runs thousands of them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

log = logging.getLogger("goscheds")
T = TypeVar("T")
CLEARING = 1.0
"""Seconds for what still runs when the loop is closed."""


class LoopThread:
    """An event loop in a thread of its own, started when it is first needed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self.used: Callable[[], object] = lambda: None  # somebody waits for what runs there

    @property
    def thread(self) -> int | None:
        """The identity of the thread that it runs in; None before it is needed."""
        return self._thread.ident if self._thread else None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="goscheds-loop")
                self._thread.daemon = True
                self._thread.start()
            return self._loop

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there, and wait for it here."""
        running = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        self.used()
        return running.result()

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function there, soon."""
        self.loop.call_soon_threadsafe(function, *args)

    def close(self) -> None:
        """End the loop, for good; what still runs there is cancelled, and waited for a little while."""
        with self._starting:
            loop, thread = self._loop, self._thread
            self._closing.set()
        if loop and thread and thread.is_alive():
            asyncio.run_coroutine_threadsafe(_cancel_all(loop), loop)
            thread.join(CLEARING * 2)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until closed. asyncio lets a SystemExit in a handler's own task through, and a handler may stop the loop."""
        while not self._closing.is_set():
            try:
                loop.run_forever()
            except BaseException:
                log.exception("A task that a handler started ended the event loop; it goes on.")
        loop.close()


async def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    own = asyncio.current_task()
    if tasks := [task for task in asyncio.all_tasks() if task is not own]:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=CLEARING)
    await loop.shutdown_asyncgens()
    loop.stop()


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """``asyncio.to_thread``, in a thread that the end of the process does not wait for."""
    done: Future[T] = Future()

    def call() -> None:
        try:
            done.set_result(function(*args))
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            done.set_exception(error)

    threading.Thread(target=call, name="goscheds-sync", daemon=True).start()
    return await asyncio.wrap_future(done)
