"""Jobs to records and back: the only room that knows what the opaque bytes mean.

A payload carries the version of its format, ``v``: a later goscheds reads every earlier one, and an earlier one leaves
a later one's job for others. An account has none: versions only ever add fields to it, and keep those that they don't
know. So workers of any two versions work on one store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Annotated, Any

import msgspec
from msgspec import Raw, Struct

from goscheds.clock import LATEST, duration_micros, from_micros, to_micros
from goscheds.errors import BadArguments, GoschedsError, PayloadTooLarge
from goscheds.job import Job, JobInfo
from goscheds.record import Record, Row
from goscheds.retry import DEFAULT_RETRY, Retry

VERSION = 1
MAX_PAYLOAD = 1_048_576
"""Bytes of an encoded job, by default."""
TIMEOUT_MARGIN = 2_000_000
"""Microseconds. The worker itself ends an attempt at its timeout; the store takes the job back this much later, when
the worker did not. A claim also waits its turn in a batch for some milliseconds before it begins."""
MAX_DEPTH = 500
"""Lists and dicts within each other. Decoders end where Python's stack does, at some 1,000 less what stands on it
already: what a producer can still write a worker must be able to read."""
NO_ARGUMENTS = Raw(b"{}")
NAIVE = re.compile(rb'"\d{4}-\d\d-\d\dT[\d:.]+"')
"""What a datetime without a time zone looks like in JSON, and some text as well."""


TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
UNREADABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""What decoders say of bytes that are not what they should be."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class BrokenRecord(GoschedsError):
    """A stored job can't be read: it was written by something else."""


class LaterRecord(GoschedsError):
    """A stored job was written by a later goscheds."""


class Payload(Struct, frozen=True, omit_defaults=True, gc=False):
    """The unchanging part of a job: its arguments and policy."""

    v: Annotated[int, msgspec.Meta(ge=1)]
    args: Raw = NO_ARGUMENTS
    retry: Retry | None = None
    timeout: Annotated[int, msgspec.Meta(ge=0, le=LATEST)] = 0  # microseconds, without the margin


class Versioned(Struct, frozen=True):
    """What a payload of any version has."""

    v: int


class Meta(Struct, frozen=True, omit_defaults=True, gc=False):
    """The running account of a job."""

    attempts: Count = 0
    crashes: Count = 0
    misses: Count = 0  # how often a worker got it that has no handler of its name
    error: str = ""
    trace: str = ""


NEW = Meta()
_encode = msgspec.json.Encoder().encode
_payload = msgspec.json.Decoder(Payload).decode
_versioned = msgspec.json.Decoder(Versioned).decode
_meta = msgspec.json.Decoder(Meta).decode
_fields = msgspec.json.Decoder(dict[str, Raw]).decode


UNWRITTEN = object()
"""In a Context: it is a struct, and would be written as others are, the payload of its job with it."""


def _plain(value: Any) -> Any:
    """What msgspec can't encode by itself: models that know how to become JSON, as pydantic's do."""
    if value is UNWRITTEN:
        raise TypeError("a Context is not JSON")
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode_user = msgspec.json.Encoder(enc_hook=_plain).encode
PLAIN = frozenset((str, int, bool, type(None)))
"""What can't hold what JSON can't carry; half surrogate pairs apart, which the encoder refuses."""


def to_json(value: Any, what: str) -> bytes:
    """A user's value as JSON. Raises BadArguments if it is none."""
    try:
        encoded = _encode_user(value)
        if type(value) is dict and PLAIN.issuperset(map(type, value.values())):  # half of the time of looking closer
            return encoded
        lossy = b"null" in encoded or NAIVE.search(encoded)  # only then is it worth a walk
        plain = msgspec.to_builtins(value, builtin_types=(datetime,), enc_hook=_plain) if lossy else None
        flaw = next(_flaws(plain), "") or _too_deep(encoded)
    except Exception as error:
        raise BadArguments(
            f"{what} can't be written as JSON: {error}. Use text, numbers, booleans, None, lists, dicts, or types that "
            "have a JSON form (datetime, UUID, Decimal, Enum, dataclass, pydantic models)."
        ) from error
    if flaw:
        raise BadArguments(f"{what} can't be written as JSON: it contains {flaw}.")
    return encoded


def _flaws(value: Any) -> Iterator[str]:
    """What JSON can't carry, and msgspec writes all the same: NaN as null, so that it is not what went in (P4)."""
    if isinstance(value, float) and value - value != 0:
        yield "NaN or an infinity; use None or text instead"
    elif isinstance(value, datetime) and value.utcoffset() is None:
        yield f"{value!r}, a naive datetime; give it a time zone, e.g. datetime.now(UTC)"
    elif isinstance(value, dict):
        for item in value.values():
            yield from _flaws(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _flaws(item)


def _too_deep(encoded: bytes) -> str:
    if len(encoded) <= MAX_DEPTH or encoded.count(b"[") + encoded.count(b"{") <= MAX_DEPTH:
        return ""
    steps = (1 if bracket in b"[{" else -1 for bracket in TEXT.sub(b"", encoded).translate(None, NO_BRACKETS))
    return f"lists and dicts nested more than {MAX_DEPTH} deep" if max(accumulate(steps), default=0) > MAX_DEPTH else ""


def encode(job: Job, arguments: bytes, limit: int = MAX_PAYLOAD, *, execute_at: int = 0, delay: int = 0) -> Record:
    """A job, with its arguments as JSON already, as a record due as told. Raises PayloadTooLarge over ``limit``."""
    timeout = duration_micros(job.timeout, "timeout") if job.timeout else 0
    retry = None if job.retry == DEFAULT_RETRY else job.retry
    payload = _encode(Payload(VERSION, Raw(arguments), retry, timeout))
    if len(payload) > limit:
        raise PayloadTooLarge(
            f"Job {job.name!r} ({job.id}) is {len(payload):,} bytes encoded, over the limit of {limit:,}. Store the "
            "data elsewhere and push a reference to it, or raise Scheduler(max_payload=…)."
        )
    return Record(
        job.id,
        job.name,
        job.queue,
        payload,
        execute_at=execute_at,
        delay=delay,
        priority=job.priority,
        timeout=timeout + TIMEOUT_MARGIN if timeout else 0,
        unique_key=job.unique_key or "",
    )


def due(job: Job) -> int:
    """A job's own moment, microseconds; 0 = now."""
    return to_micros(job.execute_at) if job.execute_at else 0


def decode_payload(record: Record) -> Payload:
    """The unchanging part of a stored job. Raises BrokenRecord or LaterRecord."""
    try:
        payload = _payload(record.payload)
    except UNREADABLE as error:
        _refuse_later(record, _version(record.payload))
        raise BrokenRecord(
            f"Job {record.id!r}: its payload can't be read ({error}). It was not written by goscheds."
        ) from error
    if payload.v > VERSION:
        _refuse_later(record, payload.v)
    return payload


def _version(payload: bytes) -> int:
    """A payload's version, whatever else is in it; 0 where there is none."""
    try:
        return _versioned(payload).v
    except UNREADABLE:
        return 0


def _refuse_later(record: Record, version: int) -> None:
    if version > VERSION:
        raise LaterRecord(
            f"Job {record.id!r} was pushed by a later goscheds (format {version}; this one reads {VERSION})"
        )


def decode_meta(meta: bytes) -> Meta:
    """The running account; an unreadable one counts from zero again, and says so."""
    if not meta:
        return NEW
    try:
        return _meta(meta)
    except UNREADABLE as error:
        return Meta(error=f"The job's account could not be read ({error}) and was begun anew.")


def encode_meta(meta: Meta, before: bytes = b"") -> bytes:
    """The running account as bytes, with what a later goscheds has in the one before."""
    fields: dict[str, Raw] = {}
    with suppress(*UNREADABLE):
        fields = _fields(before or b"{}")
    foreign = {name: value for name, value in fields.items() if name not in Meta.__struct_fields__}
    return _encode({**msgspec.to_builtins(meta), **foreign}) if foreign else _encode(meta)


def decode_args(payload: Payload) -> Any:
    """The arguments as plain JSON values. Raises BrokenRecord."""
    try:
        return msgspec.json.decode(payload.args)
    except UNREADABLE as error:
        raise BrokenRecord(f"The arguments can't be read ({error}). They were not written by goscheds.") from error


def decode_job(record: Record) -> Job:
    """A stored job as the value that was pushed, with ``execute_at`` the moment at which it became due."""
    payload = decode_payload(record)
    return Job(
        record.name,
        decode_args(payload),
        id=record.id,
        queue=record.queue,
        execute_at=from_micros(record.execute_at),
        priority=record.priority,
        timeout=timedelta(microseconds=payload.timeout) if payload.timeout else None,
        retry=payload.retry or DEFAULT_RETRY,
        unique_key=record.unique_key or None,
    )


def describe(row: Row) -> JobInfo:
    """A row of the store as users see it. Of one that can't be read it shows what can be, and says so."""
    meta = decode_meta(row.record.meta)
    error, result = meta.error, None
    try:
        job = decode_job(row.record)
    except GoschedsError as broken:
        error = error or str(broken)
        job = Job.unread(row.record.name, row.record.id, row.record.queue)
    try:
        result = msgspec.json.decode(row.result) if row.result else None
    except UNREADABLE as broken:
        error = f"its result can't be read ({broken}). It was not written by goscheds."
    return JobInfo(
        job,
        row.state,
        row.fence,
        row.worker,
        meta.attempts,
        meta.crashes,
        error,
        meta.trace,
        from_micros(row.pushed_at),
        from_micros(row.changed_at),
        result,
        row.cancelling,
    )
