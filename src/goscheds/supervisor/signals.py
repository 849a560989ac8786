"""Signals as bytes on a socket, so that a loop hears them where it hears everything else, one at a time."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterable
from types import FrameType
from typing import Self


class Signals:
    """Hears some signals while it is entered, in the main thread."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, _heard) for number in self._numbers}
        self._fd = signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._fd)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._ours.close()
        self._theirs.close()

    def fileno(self) -> int:
        """Readable when there is a signal."""
        return self._ours.fileno()

    def read(self) -> list[signal.Signals]:
        """The signals that came since the last time, in order."""
        try:
            return [signal.Signals(number) for number in self._ours.recv(4096)]
        except BlockingIOError:
            return []


def _heard(_number: int, _frame: FrameType | None) -> None:
    """Python writes the number to the socket; a handler must be there for it to do so."""
