"""The machine's clock as SQL asks for it, so that a Python whose clock is set or frozen has no say in it."""

from __future__ import annotations

import ctypes
import sqlite3
import sys
from collections.abc import Callable

# SQLite's own, for systems without the other: it steps in milliseconds and rounds down, so it is late and never early.
COARSE = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000"


_Timespec = ctypes.c_int64 * 2  # seconds, nanoseconds


def _clock() -> Callable[[], int] | None:
    """Reads CLOCK_REALTIME, microseconds since the epoch; none where the C library has no such call."""
    try:
        read = ctypes.CDLL(None).clock_gettime
    except (AttributeError, TypeError):
        return None

    def micros() -> int:
        moment = _Timespec()
        read(0, moment)
        return moment[0] * 1_000_000 + moment[1] // 1000

    return micros if sys.maxsize > 2**32 else None  # with 32 bits the size of a moment is not known


_micros = _clock()
NOW = "goscheds_now()" if _micros else COARSE
"""SQL for the time, microseconds since the epoch."""


def teach(connection: sqlite3.Connection) -> None:
    """Give a connection what ``NOW`` needs."""
    if _micros:
        # Called deterministic so that a statement asks once, and not for each row.
        connection.create_function("goscheds_now", 0, _micros, deterministic=True)
