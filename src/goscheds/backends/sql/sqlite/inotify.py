"""Word of writes to a file, from Linux's kernel, by the C library that Python itself runs on."""

from __future__ import annotations

import ctypes
import os
import select
import time

MODIFIED = 0x2  # IN_MODIFY
TICK = 0.001  # seconds, the shortest that poll() waits


class FileWatch:
    """Hears of whoever writes to a file. Raises OSError where that can't be had.

    The file is named to the kernel and not opened: to close it would drop the locks that SQLite has on it.
    """

    def __init__(self, path: str) -> None:
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except (AttributeError, TypeError) as error:
            raise OSError("this system has no inotify") from error
        self._number = -1
        if self._fd >= 0:
            self._number = self._libc.inotify_add_watch(self._fd, os.fsencode(path), MODIFIED)
        if self._number < 0:
            code = ctypes.get_errno()
            self.close()
            raise OSError(code, os.strerror(code), path)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Wait for a write up to so many seconds; whether there was one since the last call, or an end."""
        if seconds < TICK:
            time.sleep(seconds)
            seconds = 0
        if not self._poll.poll(seconds * 1000):
            return False
        os.read(self._fd, 65536)
        return True

    def end(self) -> None:
        """Hear no more, and wake whoever waits."""
        self._libc.inotify_rm_watch(self._fd, self._number)

    def close(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            os.close(self._fd)
