"""What really happened, kept where no store and no SIGKILL can change it: a file that every worker appends to.

A line is one ``write`` to a file opened with O_APPEND, so lines of several processes don't mix, and what was written
stays when the writer is killed.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

BEGAN, FAILED, REPORTED = "began", "failed", "reported"


class Journal:
    """The pen: it belongs to the workers."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def began(self, id: str) -> None:
        """A run of a job begins."""
        self._write(BEGAN, id)

    def failed(self, id: str) -> None:
        """A run of a job fails, on purpose."""
        self._write(FAILED, id)

    def reported(self, late: int) -> None:
        """The report begins, so many microseconds after it was due."""
        self._write(REPORTED, str(late))

    def _write(self, fact: str, about: str) -> None:
        os.write(self._file, f"{fact} {about}\n".encode())


class Reading:
    """What the journal says so far."""

    def __init__(self, path: Path) -> None:
        path.touch(0o600)
        self._file = path.open("rb")
        self._rest = b""
        self.runs: Counter[str] = Counter()
        """How often each job's handler began."""
        self.failed: set[str] = set()
        self.late: int | None = None
        """Microseconds by which the report was late, once it has begun."""

    def read_on(self) -> None:
        """Read what was added."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            fact, _, about = line.decode().partition(" ")
            if fact == BEGAN:
                self.runs[about] += 1
            elif fact == FAILED:
                self.failed.add(about)
            elif self.late is None:
                self.late = int(about)

    def twice(self) -> set[str]:
        """The jobs that began more than once."""
        return {id for id, runs in self.runs.items() if runs > 1}

    def close(self) -> None:
        """Close the file."""
        self._file.close()
