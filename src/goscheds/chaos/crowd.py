"""The processes of a run: started, killed, stopped, told to go on, and replaced when they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

import msgspec
from msgspec.structs import replace

from goscheds.chaos.actor import PRODUCER, SUPERVISOR, WORKER, Part
from goscheds.chaos.journal import Claimed, Event, Hello, Led, Reader, Started

PROMPT = 45.0
"""Seconds in which a process must have reached the store, or have ended when it was told to: a push that began on a
half-open connection takes 20."""


class Member:
    """A process, and its journal; of a supervisor, its children's journals."""

    def __init__(self, part: Part, log: IO[bytes]) -> None:
        self.part = part
        self.journal = Path(part.journal)
        self.leads = False
        self.here = False  # it has reached the store
        self.started: dict[str, int] = {}  # when a job last began there; nanoseconds of the monotonic clock
        self.took: dict[str, int] = {}  # the process that last claimed a job there
        self._readers: dict[Path, Reader] = {}
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "goscheds.chaos.actor", msgspec.json.encode(part).decode()],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self.pid = self._process.pid

    def news(self) -> list[Event]:
        """What it wrote since the last time."""
        for path in self.journals():
            self._readers.setdefault(path, Reader(path))
        events = [event for reader in self._readers.values() for event in reader.read()]
        for event in events:
            if isinstance(event, Led):
                self.leads = event.leads
            if isinstance(event, Started):
                self.started[event.id] = event.at
            if isinstance(event, Claimed):
                self.took |= {claim.id: int(event.worker.split(":")[-2]) for claim in event.claims}
            self.here |= isinstance(event, Hello)
        return events

    def journals(self) -> list[Path]:
        """What it writes into, and its children."""
        return sorted(self.journal.parent.glob(f"{self.journal.stem}*.jsonl"))

    def children(self) -> dict[int, Path]:
        """The journals of a supervisor's children by their processes, which may have ended."""
        return {int(path.stem.rpartition("-")[2]): path for path in self.journals() if path != self.journal}

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there to hear it."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. A supervisor's children notice, and end by themselves."""
        self._process.kill()
        self._process.wait()
        self._hang_up()

    def bury(self) -> None:
        """SIGKILL, also to its children."""
        self.kill()
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self, by: signal.Signals | None = None) -> int | None:
        """Tell it to end, by a signal or by the end of its pipe, and wait; its exit code; None if it took a SIGKILL."""
        if by is not None:
            self.send(by)
        else:
            self._hang_up()
        try:
            return self._process.wait(PROMPT)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self.kill()

    def _hang_up(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()


class Crowd:
    """Workers and producers on one namespace; a context manager, after which none of them is left."""

    def __init__(self, folder: Path, part: Part, workers: int, producers: int, supervisors: int = 0) -> None:
        self._folder = folder
        self._part = part
        self._log = (folder / "log").open("ab")
        self._started = 0
        self.past: list[Member] = []
        self.workers = [self.start(WORKER) for _ in range(workers)]
        self.supervisors = [self.start(SUPERVISOR) for _ in range(supervisors)]
        self.producers = [self.start(PRODUCER) for _ in range(producers)]

    def start(self, role: str) -> Member:
        """One more process; whoever starts it ends it, or leaves it to the others' end."""
        self._started += 1
        journal = self._folder / f"{role}-{self._started:03}.jsonl"
        seed = f"{self._part.seed} {self._started}"
        return Member(replace(self._part, role=role, journal=str(journal), seed=seed), self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in (*self.past, *self.members()):
            member.bury()
        self._log.close()

    def members(self) -> Iterator[Member]:
        """Every process that is at work."""
        yield from self.workers
        yield from self.supervisors
        yield from self.producers

    def follow(self) -> None:
        """Read what they wrote, and replace those that ended."""
        self.follow_workers()
        self._follow(self.producers, PRODUCER)

    def follow_workers(self) -> None:
        """Read what the workers wrote, and replace those that ended."""
        self._follow(self.workers, WORKER)
        self._follow(self.supervisors, SUPERVISOR)

    def _follow(self, team: list[Member], role: str) -> None:
        for at, member in enumerate(team):
            member.news()
            if not member.alive:
                team[at] = self._replace(member, role)

    def _replace(self, member: Member, role: str) -> Member:
        member.kill()
        self.past.append(member)
        return self.start(role)

    def muster(self) -> None:
        """Wait until all have reached the store. Raises TimeoutError."""
        until = time.monotonic() + PROMPT
        self.follow()
        while not all(member.here for member in self.members()):
            if time.monotonic() > until:
                raise TimeoutError(f"Not every process has reached the store within {PROMPT:g} s:\n{self.log()}")
            time.sleep(0.02)
            self.follow()

    def leader(self) -> Member:
        """The worker that does the duties, as far as is known; any, if none is."""
        return next((member for member in self.workers if member.leads), self.workers[0])

    def log(self, size: int = 4000) -> str:
        """The end of what they printed."""
        return (self._folder / "log").read_text(errors="replace")[-size:]
