"""A supervised worker's end of the line to its supervisor: reports go out, orders come in.

The line is the process's stdin, a socket. Its end means that the supervisor is gone, however it went, so that no
worker is left behind: SIGKILL closes a dead process's sockets like any other death.

Out, one JSON object a line: ``{"vitals": {…}}`` each second, ``{"freed": worker, "held": jobs}`` as an answer.
In, one order a line: ``drain``, ``leave`` (at once), ``free WORKER`` (which is dead).
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict

from goscheds.crew import Crew
from goscheds.errors import ConfigError
from goscheds.vitals import Vitals

log = logging.getLogger("goscheds")
EVERY = 1.0
"""Seconds between reports."""


@contextmanager
def reporting(crew: Crew, tell: Callable[[Vitals], None]) -> Iterator[None]:
    """Tell at once how a crew does, and then every second until it has ended."""
    over = threading.Event()

    def report() -> None:
        while not over.wait(EVERY):
            tell(crew.vitals())

    tell(crew.vitals())
    thread = threading.Thread(target=report, name="goscheds-report", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


class Line:
    """Ties a worker to its supervisor."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    @classmethod
    def on_stdin(cls) -> Line:
        """Take the line over from stdin, and leave an empty one for handlers and their programs. Raises ConfigError."""
        try:
            connection = socket.socket(fileno=os.dup(0))
        except OSError as error:
            raise ConfigError("--supervised is for a supervisor's children: use --processes.") from error
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        return cls(connection)

    @contextmanager
    def beside(self, stop: Callable[[], None], crew: Crew) -> Iterator[None]:
        """Report on a crew, and do for it what the supervisor says, until it has ended. ``stop`` begins its end."""
        obeying = threading.Thread(target=self._obey, args=(stop, crew), name="goscheds-line", daemon=True)
        with reporting(crew, self._report):
            obeying.start()
            yield

    def _report(self, vitals: Vitals) -> None:
        self._send({"vitals": asdict(vitals)})

    def _send(self, message: Mapping[str, object]) -> None:
        with self._sending, suppress(OSError):  # a line that ended is noticed where it is read
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def _obey(self, stop: Callable[[], None], crew: Crew) -> None:
        with suppress(OSError), self._connection.makefile() as orders:
            for order in orders:
                self._do(order.strip(), stop, crew)
        if not crew.vitals().stopping:
            log.warning("Worker %s: its supervisor is gone; it stops.", crew.id)
        stop()

    def _do(self, order: str, stop: Callable[[], None], crew: Crew) -> None:
        match order.split(" ", 1):
            case ["free", worker]:  # in a thread: a store that hangs must not hold up the order to stop
                threading.Thread(target=self._free, args=(crew, worker), name="goscheds-free", daemon=True).start()
            case ["drain"]:
                stop()
            case ["leave"]:
                crew.hurry()
                stop()

    def _free(self, crew: Crew, worker: str) -> None:
        try:
            held = crew.free(worker)
        except Exception as error:  # noqa: BLE001 - whatever a store raises: the supervisor will ask again
            log.warning("The jobs of the dead worker %s can't be taken back yet: %s", worker, error)
        else:
            self._send({"freed": worker, "held": held})
