"""Values as batches for the scripts, and stored jobs as values. The layout of a job is explained in ``prelude.lua``.

A batch is one argument, however many values it has: for each its numbers, then the texts whose lengths are among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from operator import attrgetter
from struct import Struct
from typing import Any

from goscheds.foreign import BITS, TOP, flaw, stored, texts
from goscheds.record import Claim, Lost, Move, Outcome, Record, Row, State

JOB = Struct(">BBQ16sQQQHIbQHHHII")
STATES = dict(enumerate(State, 1))


def _plan(form: str, numbers: str, texts: str) -> tuple[Struct, attrgetter[Any], attrgetter[Any]]:
    return Struct(form), attrgetter(*numbers.split()), attrgetter(*texts.split())


PLANS: dict[type, tuple[Struct, attrgetter[Any], attrgetter[Any]]] = {
    Record: _plan(">QQbQHHHIIH", "execute_at delay priority timeout", "queue unique_key name payload meta id"),
    Outcome: _plan(">QQQ?HHIII", "fence execute_at delay keep", "id verb meta result jobs"),
    Move: _plan(">QQHHI", "execute_at delay", "id verb meta"),
}


def batch(values: Sequence[Record] | Sequence[Outcome] | Sequence[Move]) -> bytes:
    """Values as one argument for a script."""
    return b"".join(map(_entry, values))


def _entry(value: Record | Outcome | Move) -> bytes:
    plan, numbers, texts = PLANS[type(value)]
    parts = [p if isinstance(p, bytes) else stored(p) if isinstance(p, str) else batch(p) for p in texts(value)]
    return plan.pack(*numbers(value), *map(len, parts)) + b"".join(parts)


def claims(reply: Sequence[bytes], lines: int = 0) -> list[Claim]:
    """Jobs in their holder's hands; the remark says why one was taken over."""
    return [Claim(job, numbers[2], numbers[6], Lost(why), odd) for why, job, numbers, _, odd in _jobs(reply, lines)]


def rows(reply: Sequence[bytes], lines: int = 0) -> list[tuple[str, Row]]:
    """Jobs as they stand, each behind its remark. A worker's name stays behind when the job has left it."""
    return [
        (remark, Row(job, state, fence, worker if state is State.ACTIVE else "", pushed, changed, result, bool(cancel)))
        for remark, job, (number, cancel, fence, _, _, pushed, changed, *_), (worker, result), _ in _jobs(reply, lines)
        for state in [STATES[number]]
    ]


def _jobs(reply: Sequence[bytes], lines: int) -> Iterator[tuple[str, Record, tuple[int, ...], tuple[str, bytes], str]]:
    """Remark, job as it was pushed with what outcomes changed, all numbers, worker and result, and what is odd in it.

    They come as pairs: the id, behind a remark of so many lines, and the job as it is stored.
    """
    for head, value in zip(reply[::2], reply[1::2], strict=True):
        numbers = JOB.unpack_from(value)
        due, worker_size, result_size, priority, timeout = numbers[4], *numbers[7:11]
        ends = accumulate((worker_size, *numbers[11:], result_size), initial=JOB.size)
        *names, payload, meta, result = [value[begin:end] for begin, end in pairwise(ends)]
        (named, worker, queue, key, name), odd = texts(head, *names)
        *remark, id = named.split("\n", lines)
        job = Record(id, name, queue, payload, meta, due, 0, priority, timeout, key)
        odd = odd or (numbers[2] | due | timeout) >> BITS > 0 or abs(priority) > TOP
        yield "\n".join(remark), job, numbers, (worker, result), flaw(job, numbers[2]) if odd else ""
