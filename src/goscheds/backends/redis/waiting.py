"""Waiting in the server or beside it, and cutting the waiting short."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis.exceptions as driver
from redis import Redis
from redis.client import PubSub

from goscheds.backends.redis.client import BLOCK


class Wait:
    """One call's time to wait, of which an interrupt leaves nothing."""

    def __init__(self, waiting: Waiting, worker: str, timeout: float) -> None:
        self._waiting = waiting
        self._until = time.monotonic() + timeout
        self.worker = worker

    @property
    def left(self) -> float:
        """Seconds."""
        return 0.0 if self._waiting.stopped(self.worker) else self._until - time.monotonic()


class Waiting:
    """The waiting calls of one store."""

    def __init__(self, client: Redis, channel: str) -> None:
        self._client = client
        self._channel = channel
        self._changed = threading.Condition()
        self._interrupted: set[str] = set()
        self._blocked: dict[int, str] = {}  # the server's id of a connection in BLMOVE -> worker
        self._bells: list[PubSub] = []  # subscribed, and free
        self.closed = False

    def stopped(self, worker: str) -> bool:
        """Whether nothing waits for this worker any more."""
        return self.closed or worker in self._interrupted

    def close(self) -> None:
        """Make all waiting calls return."""
        self.closed = True
        self._wake(list(self._blocked))
        while self._bells:
            self._bells.pop().close()

    def interrupt(self, worker: str) -> None:
        """Make this worker's waiting calls return, now and from now on."""
        self._interrupted.add(worker)
        self._wake([id for id, blocked in list(self._blocked.items()) if blocked == worker])

    def _wake(self, ids: list[int]) -> None:
        with self._changed:
            self._changed.notify_all()
        with suppress(driver.RedisError, OSError):  # without a server the calls end by themselves
            for id in ids:
                self._client.client_unblock(id)
            self._client.publish(self._channel, b"")

    def take(self, wait: Wait, line: str, held: str) -> bytes:
        """The ticket that BLMOVE took from the head of a line; b"" when the time was up."""
        with Redis(connection_pool=self._client.connection_pool, single_connection_client=True) as client:
            id = client.client_id()
            self._blocked[id] = wait.worker
            try:
                while (left := wait.left) > 0:
                    seconds = max(0.01, min(left, BLOCK))  # 0 would be for ever
                    if ticket := client.execute_command("BLMOVE", line, held, "LEFT", "RIGHT", seconds):
                        return bytes(ticket)
            finally:
                del self._blocked[id]
        return b""

    def rest(self, wait: Wait, seconds: float, bell: PubSub | None = None) -> None:
        """Wait for the time, and for a bell if there is one."""
        seconds = max(0.0, min(wait.left, seconds))
        if bell and seconds >= 0.001:  # noqa: PLR2004 - the unit in which a socket waits, rounding up
            bell.get_message(timeout=int(seconds * 1000) / 1000)
        else:
            with self._changed:
                self._changed.wait_for(lambda: wait.left <= 0, seconds)

    @contextmanager
    def bell(self, wakeups: bool) -> Iterator[PubSub | None]:
        """A subscription to the channel that tells of an earlier job, from now on; None without wake-ups."""
        if not wakeups:
            yield None
            return
        bell = self._bells.pop() if self._bells else self._subscribe()
        try:
            while bell.get_message():
                pass  # rung while nobody listened
            yield bell
        except BaseException:
            bell.close()
            raise
        self._bells.append(bell)

    def _subscribe(self) -> PubSub:
        bell = PubSub(self._client.connection_pool)
        bell.subscribe(self._channel)
        if not bell.get_message(timeout=BLOCK):  # until it is confirmed, a job might slip by between two connections
            bell.close()
            raise driver.TimeoutError("SUBSCRIBE was not confirmed")
        return bell
