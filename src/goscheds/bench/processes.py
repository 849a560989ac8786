"""What a process takes, as the kernel counts it; where there is no ``/proc``, nothing can be told."""

from __future__ import annotations

import os
from pathlib import Path

PROC = Path("/proc")


def counted() -> bool:
    """Whether this system tells of its processes."""
    return PROC.joinpath("self", "statm").exists()


def resident(pid: int) -> int:
    """A process's resident memory, bytes; 0 if that can't be told."""
    if not counted():
        return 0
    pages = int(PROC.joinpath(str(pid), "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    fields = PROC.joinpath(str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
