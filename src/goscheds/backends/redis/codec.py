"""Values as batches for the scripts, and stored jobs as values. The layout of a job is explained in ``prelude.lua``.

A batch is one argument, however many values it has: for each its numbers, then the texts whose lengths are among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from operator import attrgetter
from struct import Struct
from typing import Any

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
    parts = [p if isinstance(p, bytes) else p.encode() if isinstance(p, str) else batch(p) for p in texts(value)]
    return plan.pack(*numbers(value), *map(len, parts)) + b"".join(parts)


def claims(reply: Sequence[bytes]) -> list[Claim]:
    """Jobs in their holder's hands; the remark says why one was taken over."""
    return [Claim(job, numbers[2], numbers[6], Lost(remark)) for remark, job, numbers, _ in _jobs(reply)]


def rows(reply: Sequence[bytes]) -> list[tuple[str, Row]]:
    """Jobs as they stand, each behind its remark. A worker's name stays behind when the job has left it."""
    return [
        (remark, Row(job, state, fence, worker if state is State.ACTIVE else "", pushed, changed, result, bool(cancel)))
        for remark, job, (number, cancel, fence, _, _, pushed, changed, *_), (worker, result) in _jobs(reply)
        for state in [STATES[number]]
    ]


def _jobs(reply: Sequence[bytes]) -> Iterator[tuple[str, Record, tuple[int, ...], tuple[str, bytes]]]:
    """Remark, job as it was pushed with what outcomes changed, all numbers, and worker and result.

    They come as pairs: the id, behind a remark and a newline where there is one, and the job as it is stored.
    """
    for n in range(0, len(reply), 2):
        remark, _, id = reply[n].decode().rpartition("\n")
        stored = reply[n + 1]
        numbers = JOB.unpack_from(stored)
        due, worker_size, result_size, priority, timeout = numbers[4], *numbers[7:11]
        ends = accumulate((worker_size, *numbers[11:], result_size), initial=JOB.size)
        worker, queue, key, name, payload, meta, result = [stored[begin:end] for begin, end in pairwise(ends)]
        job = Record(id, name.decode(), queue.decode(), payload, meta, due, 0, priority, timeout, key.decode())
        yield remark, job, numbers, (worker.decode(), result)
