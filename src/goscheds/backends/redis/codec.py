"""Values as batches for the scripts, and stored jobs as values. The layout of a job is explained in ``constants.lua``.

A batch is one argument, however many values it has: for each its numbers, then the texts whose lengths are among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, repeat
from struct import Struct
from typing import Any

from goscheds.foreign import BITS, TOP, flaw, stored, texts
from goscheds.record import Claim, Lost, Outcome, Record, Row, State, Verb

Texts = Sequence[bytes]
JOB = Struct(">BBQQIQ16sQbQHHHIII")
RECORD = Struct(">QQHbQHHHII4x")  # from the priority on as a job has it stored, with room for the size of a result
OUTCOME = Struct(">B?QQQHIII")
VERBS = {Verb.RETRY: 1, Verb.RELEASED: 2, Verb.DONE: 4, Verb.DEAD: 5, Verb.CANCELLED: 6}  # the state that it leads to


def jobs(records: Sequence[Record]) -> bytes:
    """New jobs as one argument for a script."""
    parts = list[bytes]()
    for one in records:
        id, texts = stored(one.id), (stored(one.queue), stored(one.unique_key), stored(one.name), one.payload, one.meta)
        head = RECORD.pack(one.execute_at, one.delay, len(id), one.priority, one.timeout, *map(len, texts))
        parts += (head, *texts, id)
    return b"".join(parts)


def outcomes(values: Sequence[Outcome]) -> bytes:
    """Outcomes as one argument for a script."""
    parts = list[bytes]()
    for one in values:
        texts = stored(one.id), one.meta, one.result, jobs(one.jobs)
        numbers = VERBS[one.verb], one.keep, one.fence, one.execute_at, one.delay
        parts += (OUTCOME.pack(*numbers, *map(len, texts)), *texts)
    return b"".join(parts)


def claims(tickets: Texts = (), jobs: Texts = (), at: int = 0, why: Texts = ()) -> list[Claim]:
    """Claims: their tickets; the jobs, as they were before a claim at a moment if that is told; why each was lost."""
    return [
        Claim(job, min(fence + (at > 0), 1 << BITS), at or changed, Lost(lost.decode()) if lost else Lost.NOT, odd)
        for ticket, value, lost in zip(tickets, jobs, why or repeat(b""), strict=False)
        for job, (_, _, fence, changed, *_), _, odd in [_job(ticket[16:], value)]
    ]


def rows(found: Sequence[Texts]) -> list[tuple[str, Row]]:
    """Where jobs are, and how they stand: their positions, ids, the workers that hold them, and the jobs."""
    return [
        (where, Row(job, [*State][state - 1], fence, worker, pushed, changed, value[end:], bool(cancel)))
        for position, id, holder, value in zip(*found, strict=True)
        for (where, worker), _ in [texts(position, holder)]
        for job, (state, cancel, fence, changed, _, _, _, pushed, *_), end, _ in [_job(id, value)]
    ]


def _job(id: bytes, value: bytes) -> tuple[Record, tuple[Any, ...], int, str]:
    """A job as it was pushed with what outcomes changed, all numbers, where its result begins, what is odd in it."""
    numbers = JOB.unpack_from(value)
    fence, due, priority, timeout = numbers[2], numbers[5], *numbers[8:10]
    queue, key, name, payload, meta, end = accumulate(numbers[10:15], initial=JOB.size)
    (told, line, unique, called), odd = texts(id, value[queue:key], value[key:name], value[name:payload])
    job = Record(told, called, line, value[payload:meta], value[meta:end], due, 0, priority, timeout, unique)
    odd = odd or (fence | due | timeout) >> BITS > 0 or not -TOP <= priority <= TOP
    return job, numbers, end, flaw(job, fence) if odd else ""
