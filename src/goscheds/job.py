"""A job as a value, and a job as it is found in the store."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self
from unicodedata import category

from goscheds.clock import duration_micros, to_micros
from goscheds.errors import InvalidJob
from goscheds.record import Record, State
from goscheds.retry import DEFAULT_RETRY, Retry

MAX_TEXT = 255
PRIORITIES = range(-100, 101)


def new_id() -> str:
    """A UUID version 7 (RFC 9562): the time in milliseconds, then 74 random bits, so that ids sort by time."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"  # in half the time that uuid.UUID takes
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def check_text(text: object, what: str) -> None:
    """Names, queues, ids and unique keys: what every store can carry. Raises InvalidJob."""
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_TEXT:
        raise InvalidJob(f"{what} is {text!r:.80}; it must be text of 1 to {MAX_TEXT} characters.")
    if not text.isprintable() and any(category(character) in ("Cc", "Cs") for character in text):
        raise InvalidJob(f"{what} is {text!r:.80}; it must not contain control characters or half surrogate pairs.")


def label(record: Record) -> str:
    """A job as logs name it. What got into the store past the checks must not forge lines there, or break them."""
    return " ".join(text if text.isprintable() else ascii(text) for text in (record.id, f"({record.name})"))


def check_args(args: object, name: str) -> None:
    """A job's arguments are named. Raises InvalidJob."""
    if not isinstance(args, Mapping) or any(not isinstance(key, str) for key in args):
        raise InvalidJob(f"Job {name!r}: its arguments are {args!r:.80}; they must be a dict with text keys.")


@dataclass(frozen=True, slots=True)
class Job:
    """What to run: a handler's name and its arguments, and how. Raises InvalidJob or BadMoment where it can't be."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    """JSON values by the handler's parameter names."""
    id: str = field(default_factory=new_id, kw_only=True)
    """Pushing the same id twice is one job, so that a producer may retry blindly."""
    queue: str = field(default="default", kw_only=True)
    execute_at: datetime | None = field(default=None, kw_only=True)
    """When to run it, an aware datetime; None = as soon as possible."""
    priority: int = field(default=0, kw_only=True)
    """-100 to 100; within a queue, higher runs first."""
    timeout: timedelta | None = field(default=None, kw_only=True)
    """How long one attempt may take; None = no limit."""
    retry: Retry = field(default=DEFAULT_RETRY, kw_only=True)
    unique_key: str | None = field(default=None, kw_only=True)
    """At most one live job has it; pushing another gives the id of the one that has it."""

    def __post_init__(self) -> None:
        for value, what in ((self.name, "A job's name"), (self.id, "A job's id"), (self.queue, "A job's queue")):
            check_text(value, what)
        if self.unique_key is not None:
            check_text(self.unique_key, "A job's unique key")
        check_args(self.args, self.name)
        if self.execute_at is not None:
            to_micros(self.execute_at)
        if type(self.priority) is not int or self.priority not in PRIORITIES:
            raise InvalidJob(f"Job {self.name!r}: the priority {self.priority!r} is not a whole number, -100 to 100.")
        if not isinstance(self.retry, Retry):
            raise InvalidJob(f"Job {self.name!r}: its retry policy is {self.retry!r:.80}; it must be a Retry.")
        if self.timeout is not None and duration_micros(self.timeout, f"The timeout of job {self.name!r}") == 0:
            raise InvalidJob(f"Job {self.name!r}: a timeout of zero lets nothing run. Leave it out for no limit.")

    @classmethod
    def unread(cls, name: str, id: str, queue: str) -> Self:
        """What is left of a stored job that can't be read, unchecked: for looking at."""
        job = cls("unread")
        for field_name, value in (("name", name), ("id", id), ("queue", queue)):
            object.__setattr__(job, field_name, value)
        return job


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job as it stands in the store."""

    job: Job
    state: State
    fence: int
    """How often it was claimed."""
    worker: str
    """Who holds it, while active; empty otherwise."""
    attempts: int
    """Runs that failed."""
    crashes: int
    """Runs that ended with their worker."""
    error: str
    """What happened last, or why it waits or is dead; empty if nothing."""
    trace: str
    """The traceback of the last failure, shortened."""
    pushed_at: datetime
    changed_at: datetime
    """When it came into its state."""
    result: Any
    """What the handler returned, as JSON; None unless done."""
    cancelling: bool
    """Active, and its cancellation was asked for."""

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job.id
