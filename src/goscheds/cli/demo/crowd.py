"""The demonstration's workers: processes of their own, started, killed and cleared away."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from goscheds.cli.demo.plan import FILES, REPORTS, SLOTS, VARIABLE, Settings

APP = "goscheds.cli.demo.app:scheduler"
LEASE = "2s"
PATIENCE = 5.0
"""Seconds that workers are given to stop."""


class Crowd:
    """The workers. Leaving the ``with`` block ends them all; so does the death of this process, however it comes."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._environment = {**os.environ, VARIABLE: msgspec.json.encode(settings).decode()}
        self._log = log.open("ab")
        self.log = log
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start a worker. The pipe that is its standard input closes when we are gone, and it ends with that."""
        command = [sys.executable, "-P", "-m", "goscheds", "worker", APP, "--lease", LEASE]
        command += ["--queues", f"{FILES}={SLOTS},{REPORTS}=1", "--grace", f"{PATIENCE:g}s"]
        process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            process_group=0,  # Ctrl-C is for the demonstration, which stops them
        )
        self.processes.append(process)

    def kill(self, pid: int) -> None:
        """Kill one with SIGKILL, and see that it is dead."""
        process = next(process for process in self.processes if process.pid == pid)
        process.kill()
        process.wait()

    def alive(self) -> int:
        """How many run."""
        return sum(process.poll() is None for process in self.processes)

    def last_words(self) -> str:
        """The end of what they logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()
        self._log.close()
