"""Health, for whoever asks from outside: a file that is written anew each second, or two addresses over HTTP.

*Live* means that somebody here still looks after things: it says so every second. A store that is away makes nobody
less alive, since a restart would not bring it back. *Ready* means that jobs are taken: every worker is there, and each
one's store answered its last heartbeat.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from goscheds.errors import ConfigError
from goscheds.vitals import Vitals

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

log = logging.getLogger("goscheds")
LOOPBACK = "127.0.0.1"
STALE = 10.0
"""Seconds without a word after which nobody is alive."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How things stood at a moment."""

    ready: bool
    workers: Sequence[Vitals]
    at: float = field(default_factory=time.time)  # seconds since the epoch, by this machine's clock

    def to_json(self) -> str:
        """As it is shown."""
        workers = [{**asdict(vitals), "ready": vitals.ready} for vitals in self.workers]
        return json.dumps({"ready": self.ready, "at": self.at, "workers": workers})


class Health(Protocol):
    """Somewhere to say how things stand."""

    def tell(self, condition: Condition) -> None:
        """Say how things stand."""

    def close(self) -> None:
        """There is nobody here any more."""


class HealthFile:
    """A file that is replaced whole at each word. Its age says live, and ``"ready": true`` ready."""

    def __init__(self, path: Path) -> None:
        if not path.parent.is_dir():
            raise ConfigError(f"The health file {path} can't be written: there is no directory {path.parent}.")
        self._path = path
        self._draft = path.with_name(f"{path.name}.{os.getpid()}")
        self._failing = False

    def tell(self, condition: Condition) -> None:
        """Write it. Jobs matter more than this file: a full disk is said once."""
        try:
            self._draft.write_text(condition.to_json() + "\n")
            self._draft.replace(self._path)
        except OSError as error:
            if not self._failing:
                log.warning("The health file %s can't be written: %s", self._path, error)
            self._failing = True
        else:
            self._failing = False

    def close(self) -> None:
        """Remove it."""
        with suppress(OSError):
            self._path.unlink()
            self._draft.unlink()


class HealthServer:
    """Answers ``/live`` and ``/ready`` with 200 or 503, and how things stand."""

    def __init__(self, host: str, port: int) -> None:
        from goscheds.supervisor.endpoint import serve  # noqa: PLC0415 - 30 ms that only this needs

        self._condition = Condition(ready=False, workers=())
        self._told_at = inf  # who is still on the way to its first word lives
        self._server: ThreadingHTTPServer = serve(host, port, self.answer)

    def tell(self, condition: Condition) -> None:
        """Answer this from now on."""
        self._condition, self._told_at = condition, time.monotonic()

    def answer(self, path: str) -> tuple[int, str]:
        """Status and text for a path."""
        live = time.monotonic() - self._told_at < STALE
        good = {"/live": live, "/ready": live and self._condition.ready}
        if path not in good:
            return 404, '{"paths": ["/live", "/ready"]}'
        return 200 if good[path] else 503, self._condition.to_json()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def open_health(where: str) -> Health:
    """A health file, or the server at ``PORT``, ``HOST:PORT``. Raises ConfigError."""
    host, _, port = where.rpartition(":")
    return HealthServer(host.strip("[]") or LOOPBACK, int(port)) if port.isdecimal() else HealthFile(Path(where))
