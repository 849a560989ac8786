"""How a worker does, as it tells whoever looks at it from beside: its supervisor, a health check.

It imports nothing of goscheds: a supervisor reads these and runs no jobs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

FRESH = 2 / 3
"""Of a lease: a worker whose store answered no longer ago is ready. It asks three times in a lease."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """A worker as it sees itself."""

    worker: str
    pid: int
    lease: float  # seconds
    polled: float  # seconds since its store last answered its heartbeat
    settled: int  # claims settled since it started
    memory: int  # bytes that it has in memory; 0 where that can't be told
    stopping: bool
    worn: str = ""  # why it asks to be replaced
    lag: float = 0.0  # seconds, the longest in the last minute that its event loop kept others waiting

    @property
    def ready(self) -> bool:
        """Whether it takes jobs, and its store answers."""
        return not self.stopping and self.polled < self.lease * FRESH


def resident() -> int:
    """Bytes of this process that are in memory now; its peak where the system does not tell; 0 where there is none."""
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return 0
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
