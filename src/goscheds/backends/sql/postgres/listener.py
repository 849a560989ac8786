"""Word of other processes: LISTEN, on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg

from goscheds.backends.sql.bell import HEARING, ListeningBell

PROOF = "\n"  # a topic that no queue has
HEARSAY = 2.0  # seconds in which the proof comes
GLANCE = 0.1  # seconds between two looks whether the store was closed


class Listener(ListeningBell):
    """A bell that rings for the notifications of a channel."""

    def __init__(self, connect: Callable[[], psycopg.Connection], channel: str) -> None:
        super().__init__(psycopg.Error)
        self._connect = connect
        self._channel = channel

    def listen(self) -> None:
        with closing(self._connect()) as connection:
            connection.execute(f'LISTEN "{self._channel}"')
            self._prove(connection)
            self.patience = HEARING
            self.ring_all()
            while not self.closed:
                for notification in connection.notifies(timeout=GLANCE):
                    self.ring(notification.payload)

    def _prove(self, connection: psycopg.Connection) -> None:
        """Hear something said on another connection. Behind PgBouncer LISTEN succeeds, and nothing is ever heard."""
        with closing(self._connect()) as other:
            other.execute("SELECT pg_notify(%s, %s)::text", (self._channel, PROOF))
        if not list(connection.notifies(timeout=HEARSAY, stop_after=1)):
            raise psycopg.OperationalError("notifications don't arrive; is this PgBouncer?")
