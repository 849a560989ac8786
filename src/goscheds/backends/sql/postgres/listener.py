"""Word of other processes: LISTEN, on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from os import dup
from socket import SHUT_RDWR, socket

import psycopg

from goscheds.backends.sql.bell import DEAF, HEARING, ListeningBell, log
from goscheds.backends.sql.postgres.server import Connection

PROOF = "\n"  # a topic that no queue has
HEARSAY = 2.0  # seconds in which the proof comes
DEAFENED = (
    "A pooler in transaction mode passes no notifications on; jobs are looked for every %s seconds. "
    "Give workers the server's own URL, or say pgbouncer=on."
)


class Listener(ListeningBell):
    """A bell that rings for the notifications of a channel."""

    def __init__(self, connect: Callable[[], Connection], channel: str) -> None:
        super().__init__(psycopg.Error)
        self._connect = connect
        self._channel = channel
        self._connection: Connection | None = None

    def listen(self) -> None:
        with closing(self._connect()) as self._connection:
            if self.closed:
                return
            self._connection.execute(f'LISTEN "{self._channel}"')
            if self._hears(self._connection):
                self.patience = HEARING
                self.ring_all()
                for notification in self._connection.notifies():
                    self.ring(notification.payload)
                return
        if not self._connection.pooled:
            raise psycopg.OperationalError("notifications don't arrive; is this PgBouncer?")
        log.warning(DEAFENED, DEAF)
        with self.changed:
            self.changed.wait_for(lambda: self.closed)  # it would be the same each time

    def hush(self) -> None:
        if self._connection and not self._connection.closed:
            with suppress(OSError, psycopg.Error), socket(fileno=dup(self._connection.fileno())) as wire:
                wire.shutdown(SHUT_RDWR)  # closing it would not wake a thread that waits for it

    def _hears(self, connection: Connection) -> bool:
        """Whether it hears what is said on another connection. Behind PgBouncer LISTEN succeeds, and hears nothing."""
        with closing(self._connect()) as other:
            other.execute("SELECT pg_notify(%s, %s)::text", (self._channel, PROOF))
        return bool(list(connection.notifies(timeout=HEARSAY, stop_after=1)))
