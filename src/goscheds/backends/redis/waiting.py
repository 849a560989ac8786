"""Waiting in the server or beside it, and cutting the waiting short."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import redis.exceptions as driver
from redis import Redis
from redis.client import PubSub

from goscheds.backends.redis.client import BLOCK, PROMPT

Left = Callable[[], float]  # seconds that are left
# Seconds that are waited out more finely than a socket can; and for which who waits for a moment oversleeps, and is on
# the way to the server, at the least. The server's clock says what is due: who comes too early is told so.
FINE, AHEAD = 0.003, 0.0002


class Waiting:
    """The waiting calls of one store."""

    def __init__(self, client: Redis, ask: Callable[[Sequence[Any]], Iterator[Any]], channel: str) -> None:
        self._client, self._ask, self._channel, self.closed = client, ask, channel, False
        self._changed = threading.Condition()
        self._interrupted: set[str] = set()
        # For each BLMOVE's answers the number of its connection, which on the next server is another's; and the worker.
        self._blocked: dict[Iterator[Any], tuple[int, str]] = {}
        self._bells: list[PubSub] = []  # subscribed, and free

    def begin(self, worker: str, timeout: float) -> Left:
        """A call's time to wait begins: what is left of it, of which an interrupt leaves nothing."""
        until = time.monotonic() + timeout
        return lambda: 0.0 if self.closed or worker in self._interrupted else until - time.monotonic()

    def close(self) -> None:
        """Make all waiting calls return."""
        self.closed = True
        self._wake([id for id, _ in list(self._blocked.values())])
        while self._bells:
            self._bells.pop().close()

    def interrupt(self, worker: str) -> None:
        """Make this worker's waiting calls return, now and from now on."""
        self._interrupted.add(worker)
        self._wake([id for id, blocked in list(self._blocked.values()) if blocked == worker])

    def _wake(self, ids: list[int]) -> None:
        with self._changed:
            self._changed.notify_all()
        with suppress(driver.RedisError, OSError):  # without a server the calls end by themselves
            for id in ids:
                self._client.client_unblock(id)
            self._client.publish(self._channel, b"")

    def take(self, worker: str, left: Left, line: str, held: str, behind: Sequence[Any]) -> tuple[bytes, Any]:
        """The ticket that BLMOVE took from the head of a line, or b""; and the answer to the command ``behind`` it.

        The server runs that one as soon as BLMOVE ends, without a round trip that whoever is woken would have to make.
        """
        patience = self._client.connection_pool.connection_kwargs["socket_timeout"]
        wait = max(0.01, min(left(), BLOCK, patience * BLOCK / PROMPT))  # 0 would be for ever
        answers = self._ask([("CLIENT", "ID"), ("BLMOVE", line, held, "LEFT", "LEFT", wait), behind])
        self._blocked[answers] = (id := next(answers)), worker
        try:
            if left() <= 0:  # an interrupt between the two
                self._wake([id])
            ticket, answer = answers
        finally:
            del self._blocked[answers]
        answer = [b"block"] if isinstance(answer, driver.ResponseError) else answer
        # A server that is full refuses BLMOVE, but not the script.
        return (b"", [b"rest", *answer[1:]]) if isinstance(ticket, driver.OutOfMemoryError) else (ticket or b"", answer)

    def rest(self, left: Left, seconds: float, bell: PubSub | None = None) -> None:
        """Wait for the time, and for a bell if there is one. It may be shorter."""
        until = time.monotonic() + max(0.0, min(left(), seconds))
        if bell:  # a socket waits in whole milliseconds, and up to one longer
            rung = bell.get_message(timeout=max(0, int((until - time.monotonic()) * 1000) - 1) / 1000)
            if rung or until - time.monotonic() > FINE:
                return
        with self._changed:
            self._changed.wait_for(lambda: left() <= 0, until - time.monotonic())

    @contextmanager
    def bell(self) -> Iterator[PubSub]:
        """A subscription to the channel that tells of an earlier job, from now on."""
        bell = self._bells.pop() if self._bells else PubSub(self._client.connection_pool)
        try:
            if not bell.subscribed:
                bell.subscribe(self._channel)
                bell.get_message(timeout=BLOCK)  # confirmed: before, a job might slip by between two connections
            while bell.get_message():
                pass  # rung while nobody listened
            yield bell
        except BaseException:
            bell.close()
            raise
        if self.closed:  # while this call was still waiting
            bell.close()
        else:
            self._bells.append(bell)
