"""A job as a value, and a job as it is found in the store."""

from __future__ import annotations

import copy
import dataclasses
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self
from unicodedata import category

import msgspec
from msgspec import Struct, field, structs

from goscheds.clock import duration_micros, to_micros
from goscheds.errors import InvalidJob
from goscheds.record import Record, State
from goscheds.retry import DEFAULT_RETRY, Retry

MAX_TEXT = 255
PRIORITIES = range(-100, 101)
RANDOM = 10
"""Bytes of an id that are drawn by chance."""
_drawn: list[str] = []  # in hexadecimal; to ask the system for the bytes of one id took a quarter of its time
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_drawn.clear)
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def new_id() -> str:
    """A UUID version 7 (RFC 9562): the time in milliseconds, then 74 random bits, so that ids sort by time."""
    while True:
        try:
            drawn = _drawn.pop()  # one step: no other thread gets the same
            break
        except IndexError:
            _drawn.extend(os.urandom(256 * RANDOM).hex("-", RANDOM).split("-"))
    return f"{_begin(time.time_ns() // 1_000_000)}{drawn[:3]}-{_VARIANT[drawn[3]]}{drawn[4:7]}-{drawn[7:19]}"


@lru_cache(1)
def _begin(milliseconds: int) -> str:
    text = f"{milliseconds:012x}"
    return f"{text[:8]}-{text[8:]}-7"


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
    if type(args) is dict or isinstance(args, Mapping):
        for key in args:  # in a quarter of the time of any() over them
            if not isinstance(key, str):
                break
        else:
            return
    raise InvalidJob(f"Job {name!r}: its arguments are {args!r:.80}; they must be a dict with text keys.")


class _Call(Struct, frozen=True):
    """The part of a job that may be given by place."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    """JSON values by the handler's parameter names."""


class Job(_Call, frozen=True, kw_only=True):
    """What to run: a handler's name and its arguments, and how. Raises InvalidJob or BadMoment where it can't be.

    A frozen dataclass to everybody, `dataclasses.replace` included, that is made in a tenth of the time of one.
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

    id: str = field(default_factory=new_id)
    """Pushing the same id twice is one job, so that a producer may retry blindly."""
    queue: str = "default"
    execute_at: datetime | None = None
    """When to run it, an aware datetime; None = as soon as possible."""
    priority: int = 0
    """-100 to 100; within a queue, higher runs first."""
    timeout: timedelta | None = None
    """How long one attempt may take; None = no limit."""
    retry: Retry = DEFAULT_RETRY
    unique_key: str | None = None
    """At most one live job has it; pushing another gives the id of the one that has it."""

    def __post_init__(self) -> None:
        check_text(self.name, "A job's name")
        check_text(self.id, "A job's id")
        check_text(self.queue, "A job's queue")
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

    def like(self, **unchecked: object) -> Self:
        """Another of the kind, with fields that are known to be right, and looked at no more."""
        job = copy.copy(self)
        for name, value in unchecked.items():
            structs.force_setattr(job, name, value)
        return job

    def __reduce__(self) -> tuple[object, ...]:
        return _restored, (type(self), structs.astuple(self))

    @classmethod
    def unread(cls, name: str, id: str, queue: str) -> Self:
        """What is left of a stored job that can't be read, unchecked: for looking at."""
        return cls("unread").like(name=name, id=id, queue=queue)


def _restored(kind: type[Job], values: tuple[object, ...]) -> Job:
    """A job out of a pickle, unchecked: one that can't be read is to be looked at elsewhere as well."""
    return kind("unread").like(**dict(zip(kind.__struct_fields__, values, strict=True)))


def _as_dataclasses_know(one: structs.FieldInfo) -> tuple[str, Any, Any]:
    made = {
        name: value for name in ("default", "default_factory") if (value := getattr(one, name)) is not msgspec.NODEFAULT
    }
    return one.name, one.type, dataclasses.field(**made, kw_only=one.name not in Job.__match_args__)


Job.__dataclass_fields__ = {
    one.name: one
    for one in dataclasses.fields(dataclasses.make_dataclass("Job", map(_as_dataclasses_know, structs.fields(Job))))
}


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
