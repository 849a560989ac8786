"""What a process saw, line by line in a file of its own, so that it outlives a SIGKILL.

Moments are nanoseconds of the monotonic clock, which the processes of a machine share.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from goscheds.record import Claim, Lost, Outcome, Record, Verb


class Taken(Struct, array_like=True, frozen=True):
    """A claim as it was answered; moments by the store's clock."""

    id: str
    fence: int
    claimed_at: int
    execute_at: int
    lost: Lost

    @classmethod
    def of(cls, claim: Claim) -> Taken:
        """A claim, without what it carries."""
        return cls(claim.record.id, claim.fence, claim.claimed_at, claim.record.execute_at, claim.lost)


class Offer(Struct, array_like=True, frozen=True):
    """A job as it was pushed."""

    id: str
    queue: str
    execute_at: int
    delay: int
    unique_key: str

    @classmethod
    def of(cls, record: Record) -> Offer:
        """A record, without what it carries."""
        return cls(record.id, record.queue, record.execute_at, record.delay, record.unique_key)


class End(Struct, array_like=True, frozen=True):
    """An outcome as it was reported."""

    id: str
    fence: int
    verb: Verb

    @classmethod
    def of(cls, outcome: Outcome) -> End:
        """An outcome, without what it carries."""
        return cls(outcome.id, outcome.fence, outcome.verb)


class Hello(Struct, frozen=True, tag=True):
    """The process has reached the store, whose clock is ``at`` / 1000 + ``offset`` ± ``error``, microseconds."""

    at: int
    offset: int
    error: int


class Pushing(Struct, frozen=True, tag=True):
    """A push begins."""

    at: int
    call: int
    jobs: list[Offer]


class Pushed(Struct, frozen=True, tag=True):
    """A push was answered; without that it failed, or its process did not live to hear of it."""

    at: int
    call: int
    ids: list[str]


class Claimed(Struct, frozen=True, tag=True):
    """``claim``, ``recover`` or ``held`` was answered."""

    at: int
    began: int
    verb: str
    worker: str
    claims: list[Taken]


class Settling(Struct, frozen=True, tag=True):
    """A settle begins."""

    at: int
    call: int
    worker: str
    ends: list[End]


class Settled(Struct, frozen=True, tag=True):
    """A settle was answered."""

    at: int
    call: int
    ids: list[str]


class Beat(Struct, frozen=True, tag=True):
    """A heartbeat was answered; ``lease`` in seconds."""

    at: int
    began: int
    worker: str
    lease: float
    lapsed: bool


class Leaving(Struct, frozen=True, tag=True):
    """A worker is about to end its lease."""

    at: int
    worker: str


class Led(Struct, frozen=True, tag=True):
    """The process came to hold the duties, or no longer does."""

    at: int
    leads: bool


class Started(Struct, frozen=True, tag=True):
    """A handler begins."""

    at: int
    id: str
    fence: int


class Returned(Struct, frozen=True, tag=True):
    """A handler came to its end without an error."""

    at: int
    id: str
    fence: int


class Struck(Struct, frozen=True, tag=True):
    """The rig did something to them, or ended it."""

    at: int
    fault: str
    target: str
    over: bool


Event: TypeAlias = (
    Hello | Pushing | Pushed | Claimed | Settling | Settled | Beat | Leaving | Led | Started | Returned | Struck
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def moment() -> int:
    """Now."""
    return time.monotonic_ns()


class Journal:
    """Writes a process's events. Each is one write of one line: whole or not there, whoever kills the process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, event: Event) -> None:
        """Write an event."""
        os.write(self._file, _encoder.encode(event) + b"\n")

    def close(self) -> None:
        """Write no more."""
        os.close(self._file)


class Reader:
    """Reads a journal while it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[Event]:
        """The events since the last time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [_decoder.decode(line) for line in whole.splitlines()]
