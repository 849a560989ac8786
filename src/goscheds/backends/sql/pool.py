"""Held connections: one thread uses one at a time, and gives it back sound or not at all."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, Protocol, TypeVar

from goscheds.errors import StoreError


class Connection(Protocol):
    """Any driver's connection."""

    def close(self) -> None:
        """Let go of it, and roll back what it was at."""


C = TypeVar("C", bound=Connection)

# A parent process's connections: closing them here would end them there, so they are kept and never touched.
_inherited: list[object] = []


class Pool(Generic[C]):
    """As many connections as there were threads at once. No thread owns one, so none is left by a thread that ends."""

    def __init__(self, connect: Callable[[], C], sound: Callable[[C], bool]) -> None:
        self._connect = connect
        self._sound = sound
        self._idle: deque[C] = deque()
        self._open = False
        self._process = 0

    def __del__(self) -> None:
        """A scheduler that is dropped without `close` leaves no open connection, of which Python 3.13 would warn."""
        if self._process == os.getpid():
            self._drop_idle()

    def open(self) -> None:
        """Allow connections."""
        self._open = True

    def close(self) -> None:
        """Close the idle ones now, and those in use when they come back."""
        self._open = False
        self._drop_idle()

    @contextmanager
    def connection(self) -> Iterator[C]:
        """An idle connection or a new one. Raises StoreError if the store is not open."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _take(self) -> C:
        if not self._open:
            raise StoreError("The store is not open. Call open() first.")
        if self._process != os.getpid():
            _inherited.append(self._idle)
            self._idle, self._process = deque(), os.getpid()
        with suppress(IndexError):
            return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: C) -> None:
        if self._open and self._sound(connection):
            self._idle.append(connection)
            return
        connection.close()
        self._drop_idle()  # what broke this one, a restart say, broke the others too

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
