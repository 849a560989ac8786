"""A worker's process as its supervisor sees it: the line to it, what it last said, and when it must be gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from math import inf
from typing import Any, NamedTuple

from goscheds.vitals import Vitals

START = 300.0
"""Seconds until a child must have begun to work: applications that load models take long."""
SILENCE = 3
"""Leases without a report after which a child is stuck: an interpreter that is held, a process that is stopped."""


class Freed(NamedTuple):
    """A dead worker's jobs were taken back."""

    worker: str
    held: int


class Child:
    """A worker's process, from its start to its end. A file object by its line, for a selector."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.vitals: Vitals | None = None  # before its first report it has claimed nothing
        self.leaves_by = inf  # monotonic seconds; inf: nobody asked it to go
        self.hung_up = False  # its line has ended; so will it, or its silence ends it
        self.killed = ""  # why its supervisor killed it
        self._line, theirs = socket.socketpair()
        with (
            theirs
        ):  # a group of its own: a terminal's Ctrl-C reaches the supervisor alone, which says what is to be done
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), process_group=0)  # noqa: S603 - our own program
        self._line.setblocking(False)
        self._heard = b""
        self.started = self.heard_at = time.monotonic()

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def serving(self) -> bool:
        """Whether it works, and is to go on."""
        return self.vitals is not None and self.leaves_by == inf

    def fileno(self) -> int:
        """Readable when it has said something."""
        return self._line.fileno()

    def ready(self, now: float) -> bool:
        """Whether it takes jobs and its store answers, by all that was heard of it."""
        if self.vitals is None or not self.serving:
            return False
        return self.vitals.ready and now - self.heard_at < self.vitals.lease

    def read(self, now: float) -> list[Freed]:
        """Hear what it has to say of itself, and give what it says of others."""
        try:
            while heard := self._line.recv(65536):
                self._heard += heard
            self.hung_up = True
        except BlockingIOError:
            pass
        except OSError:
            self.hung_up = True
        *lines, self._heard = self._heard.split(b"\n")
        return [freed for line in lines if (freed := self._understand(line, now))]

    def _understand(self, line: bytes, now: float) -> Freed | None:
        with suppress(ValueError, TypeError):  # what makes no sense is no sign of life
            match json.loads(line):
                case {"vitals": dict(told)}:
                    self.vitals = _vitals(told)
                    self.heard_at = now
                case {"freed": str(worker), "held": int(held)}:
                    return Freed(worker, held)
        return None

    def say(self, order: str) -> None:
        """Give it an order. One that can't hear it is found by its end, or by its silence."""
        with suppress(OSError):
            self._line.sendall(order.encode() + b"\n")

    def drain(self, by: float) -> None:
        """Let it finish what it runs, until a monotonic moment."""
        if self.leaves_by == inf:
            self.leaves_by = by
            self._order("drain")

    def leave(self, by: float) -> None:
        """Let it give back what it runs, and go at once."""
        self.leaves_by = min(self.leaves_by, by)
        self._order("leave")

    def _order(self, order: str) -> None:
        if self.vitals:
            self.say(order)
        else:  # it holds nothing, and may be importing for minutes before it reads its line
            self._process.terminate()

    def overdue(self, now: float) -> str:
        """Why it has to be killed, if it has."""
        if now > self.leaves_by:
            return "it did not leave in time"
        patience = self.vitals.lease * SILENCE if self.vitals else START
        return f"it said nothing for {patience:g} s" if now - self.heard_at > patience else ""

    def kill(self, why: str) -> None:
        """End it now, with the programs that its handlers started: their jobs will run elsewhere."""
        self.killed = self.killed or why
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit status once it has ended, negative for a signal; None before."""
        return self._process.poll()

    def close(self) -> None:
        """Let go of its line."""
        self._line.close()


def ending(status: int) -> str:
    """An exit status in words."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _vitals(told: Mapping[str, Any]) -> Vitals:
    """A later version's child, after a rolling restart, may say more than this supervisor knows."""
    return Vitals(**{field.name: told[field.name] for field in fields(Vitals) if field.name in told})
