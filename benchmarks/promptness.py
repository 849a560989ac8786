"""How soon a job starts at best: the bare queues of ``bare.py`` between two processes, in the driver's own way.

Pickup: one process pushes now and then, the other waits (BLPOP; LISTEN, and a claim by SKIP LOCKED; on SQLite, where
nobody tells of a commit, a look each millisecond). A push is durable when it returns and a claim before its job starts,
as far as the server is set so. Lateness: a process sleeps until the moment and claims once; nothing has to be promoted.

    python benchmarks/promptness.py postgresql://localhost/jobs
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from bare import Bare, connect

from goscheds.bench.figures import Spread
from goscheds.bench.latency import IDLE

WARM_UP = 20
"""Jobs before those that are timed."""
LEAD, APART = 0.5, 0.05
"""Seconds from when a process is told its moments to the first of them, and between two."""


def pickup(url: str, samples: int) -> Spread:
    """From a push to where another process has claimed it, on a queue that was idle for as long as in the bench."""
    with _other(url, _pick_up, samples) as (bare, pipe):
        called = []
        for n in range(WARM_UP + samples):
            time.sleep(random.uniform(*IDLE) if n >= WARM_UP else IDLE[0])  # noqa: S311 - as goscheds.bench.latency
            called.append(time.monotonic_ns())
            bare.tell(n)
        started = dict(pipe.recv())
    return Spread.of(started[n] - at for n, at in enumerate(called) if n >= WARM_UP)


def lateness(url: str, samples: int) -> Spread:
    """From the moment that another process sleeps for to where it has claimed one job."""
    with _other(url, _be_on_time, samples) as (bare, pipe):
        begin = time.monotonic_ns() + int(LEAD * 1e9)
        due = [begin + int(n * APART * 1e9) for n in range(WARM_UP + samples)]
        pipe.send(due)
        for n, at in enumerate(due):
            time.sleep(max(0.0, (at - time.monotonic_ns()) / 1e9 - APART / 2))  # alone there when its moment comes
            bare.push([n])
        started = dict(pipe.recv())
    return Spread.of(started[n] - at for n, at in enumerate(due) if n >= WARM_UP)


@contextmanager
def _other(url: str, work: Callable[..., None], samples: int) -> Iterator[tuple[Bare, Connection]]:
    """A queue, and a process that works on it as well, and tells of it through a pipe when it has."""
    bare, (pipe, end) = connect(url), multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(url, bare.name, end, WARM_UP + samples))
    process.start()
    end.close()  # so that it is noticed when the other one ends
    try:
        pipe.recv()  # it is there
        yield bare, pipe
        process.join()
    finally:
        process.kill()
        bare.close()


def _pick_up(url: str, name: str, pipe: Connection, jobs: int) -> None:
    bare, started = connect(url, name), list[tuple[int, int]]()
    pipe.send("ready")
    while len(started) < jobs:
        ids = bare.wait()
        started += [(id, time.monotonic_ns()) for id in ids]
    pipe.send(started)


def _be_on_time(url: str, name: str, pipe: Connection, _jobs: int) -> None:
    bare, started = connect(url, name), list[tuple[int, int]]()
    pipe.send("ready")
    for at in pipe.recv():
        time.sleep(max(0.0, (at - time.monotonic_ns()) / 1e9))
        ids = bare.claim()
        started += [(id, time.monotonic_ns()) for id in ids]
    pipe.send(started)


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--samples", type=int, default=100)
    told = parser.parse_args()
    for measure in (pickup, lateness):
        spread = measure(told.url, told.samples)
        print(f"{measure.__name__:8} {spread.p50:.2f} ms; p99 {spread.p99:.2f}, at most {spread.max:.2f}")


if __name__ == "__main__":
    main()
