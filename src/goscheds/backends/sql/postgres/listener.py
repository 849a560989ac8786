"""Word of other processes: LISTEN, on a connection of its own.

One process is on call for each topic that threads wait for, and it alone hears of a new job: a push wakes one process,
not all of them, and none when all are busy. Who is on call holds an advisory lock, which ends with its connection.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from os import dup
from selectors import EVENT_READ, DefaultSelector
from socket import SHUT_RDWR, socket
from types import SimpleNamespace

import psycopg

from goscheds.backends.sql.bell import DEAF, DUTIES, HEARING, STANDBY, ListeningBell, log
from goscheds.backends.sql.postgres.server import Connection, within
from goscheds.backends.sql.postgres.trouble import ADVICE

PROOF, FREE = "\n", "\r"  # a topic that no queue has; what stands before a topic that its process passes on
# Seconds in which the proof comes; and in which a thread waits for a topic again after a ring, or else it is passed on.
HEARSAY, GRACE = 2.0, 0.01


class Listener(ListeningBell):
    """A bell that rings for the notifications of a channel."""

    def __init__(self, connect: Callable[[], Connection], namespace: str, channel: str, sql: SimpleNamespace) -> None:
        super().__init__(psycopg.Error)
        self._connect, self._sql = connect, sql
        self._namespace, self._channel = namespace, channel
        self._calling = threading.Lock()
        self._calls: dict[str, int] = {}  # the topics that this process is on call for, and their keys
        self._rung: dict[str, float] = {}
        self._again: dict[str, float] = {}  # when to try to be on call
        self._connection: Connection | None = None

    def listen(self) -> None:
        with closing(self._connect()) as self._connection:
            with self._calling:
                self._calls, self._rung, self._again = {}, {}, {}  # they were of the connection before
            self._connection.execute(f'LISTEN "{self._channel}"')
            if self._hears(self._connection):
                self.patience = HEARING
                self.ring_all()
                self._attend(self._connection)
                return
        if not self._connection.pooled:
            raise psycopg.OperationalError("notifications don't arrive; is this PgBouncer?")
        log.warning(ADVICE["deaf"], DEAF)
        with self.changed:
            self.changed.wait_for(lambda: self.closed)  # it would be the same each time

    def wait(self, worker: str, topic: str, heard: int, until: float, pause: float = HEARING) -> bool:
        began = now = time.monotonic()
        while True:
            if topic != STANDBY and now < until and self._call(topic, now):  # nobody is on call for that one
                return True  # what came before is looked for once more
            left = self._again.get(topic, 0.0) - now
            if not super().wait(worker, topic, heard, until, min(pause, left) if left > 0 else pause):
                return False
            now = time.monotonic()
            pause = max(began, self.looked) + HEARING - now
            if pause <= 0 or topic in (DUTIES, STANDBY) or self.patience == DEAF or self.heard(topic) != heard:
                return True

    def _call(self, topic: str, now: float) -> bool:
        """Be on call for a topic from now on; False if this process was, or another is."""
        with self._calling, within(HEARING), suppress(psycopg.Error):
            hears = self.patience == HEARING and self._thread and self._thread.is_alive()  # not so after a fork
            if not hears or not self._connection or topic in self._calls or now < self._again.get(topic, 0.0):
                return False
            ((key, mine, pause),) = self._connection.run(self._sql.call, {"topic": topic, "namespace": self._namespace})
            self._again[topic] = now + pause
            if mine:
                self._connection.execute(f'LISTEN "goscheds.{key}"')
                self._calls[topic] = key
            return bool(mine)
        return False

    def _attend(self, connection: Connection) -> None:
        """Ring for what is heard, and pass on what nobody here waits for any more."""
        with DefaultSelector() as selector:
            selector.register(connection, EVENT_READ)
            while not self.closed:
                selector.select(GRACE if self._rung else HEARING)  # no longer, as others may close the connection
                for notification in list(connection.notifies(timeout=0)):
                    self._hear(notification)
                for topic in [topic for topic, at in self._rung.items() if at < time.monotonic() - GRACE]:
                    del self._rung[topic]
                    self._pass_on(connection, topic)

    def _hear(self, notification: psycopg.Notify) -> None:
        topic = notification.payload.removeprefix(FREE)
        if notification.channel != self._channel:
            self._rung.setdefault(topic, time.monotonic())
        elif topic != notification.payload:
            self._again.pop(topic, None)
            if topic not in self.waiting or not self._call(topic, time.monotonic()):
                return
        self.ring(*(topic, STANDBY) if topic == DUTIES else (topic,))

    def _pass_on(self, connection: Connection, topic: str) -> None:
        with self._calling:
            if topic not in self.waiting and (key := self._calls.pop(topic, 0)):  # or it was passed on before
                connection.execute(f'UNLISTEN "goscheds.{key}"')
                connection.execute(self._sql.pass_on, {"key": key, "channel": self._channel, "free": FREE + topic})

    def hush(self) -> None:
        if self._connection and not self._connection.closed:
            with suppress(OSError, psycopg.Error), socket(fileno=dup(self._connection.fileno())) as wire:
                wire.shutdown(SHUT_RDWR)  # closing it would not wake a thread that waits for it

    def _hears(self, connection: Connection) -> bool:
        """Whether it hears what is said on another connection. Behind PgBouncer LISTEN succeeds, and hears nothing."""
        with closing(self._connect()) as other:
            other.execute("SELECT pg_notify(%s, %s)::text", (self._channel, PROOF))
        return bool(list(connection.notifies(timeout=HEARSAY, stop_after=1)))
