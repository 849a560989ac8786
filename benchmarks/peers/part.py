"""One measurement of one peer, within the peer's own environment: the standard library and the adapter, nothing else.

    python part.py ADAPTER enqueue|bulk|drain|pickup|lateness|idle JOBS

prints one line of JSON. Before and after what is measured it prints ``"mark"`` and waits for a line, so that whoever
started it can read the server's meters. The environment says where and how: PEERS_URL, PEERS_STYLE, PEERS_NOTES.

An adapter is a module with ``push(n)`` and, where its peer can, ``push_many(numbers)`` and ``push_at(n, due)``, ``due``
in seconds since the epoch; with ``start()`` if the producer has something to open or create; and with ``work()``, which
runs a worker until it is killed, or ``WORKER``, the arguments of the program that does. Each may be ``async def``.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import notes

PATIENCE = 20.0
"""Seconds without progress until a measurement is given up."""
SPREAD = 4.0
"""Seconds over which scheduled jobs are spread."""
LEAD = 1.5
"""Seconds from when all are scheduled to the first one's moment."""
IDLE = 0.02, 0.3
"""Seconds for which a queue has been idle when a job is pushed."""
WATCH = 4.0
"""Seconds for which an idle worker is watched."""
BATCH = 1_000
WARM = 10
SECOND = 1_000_000_000


class Failed(Exception):
    """The peer did not do what it was asked for."""


class Producer:
    """The adapter's producer, plain or asynchronous, from plain code or within one coroutine."""

    def __init__(self, adapter: ModuleType) -> None:
        self.adapter = adapter
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        if hasattr(adapter, "start"):
            self.do(adapter.start)

    def do(self, function: Any, *args: Any) -> None:
        """Call it and wait."""
        if inspect.iscoroutinefunction(function):
            self.loop.run_until_complete(function(*args))
        else:
            function(*args)

    def each(self, function: Any, calls: list[tuple[Any, ...]]) -> None:
        """Call it again and again; the loop is entered once."""

        async def all_of_them() -> None:
            for args in calls:
                await function(*args)

        if inspect.iscoroutinefunction(function):
            self.loop.run_until_complete(all_of_them())
        else:
            for args in calls:
                function(*args)

    def fill(self, jobs: int) -> None:
        """Push many, in bulk where the peer can."""
        if hasattr(self.adapter, "push_many"):
            self.each(self.adapter.push_many, batches(jobs))
        else:
            self.each(self.adapter.push, [(n,) for n in range(jobs)])


def batches(jobs: int) -> list[tuple[list[int]]]:
    """The numbers, a thousand in each."""
    return [(list(range(first, min(first + BATCH, jobs))),) for first in range(0, jobs, BATCH)]


def mark() -> None:
    """Let the meters be read."""
    print(json.dumps("mark"), flush=True)
    sys.stdin.readline()


def enqueue(producer: Producer, jobs: int) -> dict[str, Any]:
    """One by one, from one thread."""
    producer.each(producer.adapter.push, [(n,) for n in range(WARM)])
    return _timed(producer, producer.adapter.push, [(n,) for n in range(jobs)], jobs)


def bulk(producer: Producer, jobs: int) -> dict[str, Any]:
    """A thousand at once."""
    if not hasattr(producer.adapter, "push_many"):
        raise Failed("has no enqueueing in bulk")
    producer.do(producer.adapter.push_many, list(range(WARM)))
    return _timed(producer, producer.adapter.push_many, batches(jobs), jobs)


def _timed(producer: Producer, push: Any, calls: list[tuple[Any, ...]], jobs: int) -> dict[str, Any]:
    mark()
    began = time.perf_counter()
    producer.each(push, calls)
    rate = jobs / (time.perf_counter() - began)
    mark()
    return {"rate": rate}


def drain(producer: Producer, jobs: int) -> dict[str, Any]:
    """Everything is there before the worker: from the first start to the last."""
    producer.fill(jobs)
    mark()
    with worker(producer.adapter):
        wait(jobs)
    mark()  # when its connections are gone: an idle Postgres backend may keep to itself for ten seconds what it did
    starts = sorted(at for _, at, _ in notes.read())
    return {"rate": jobs * SECOND / (starts[-1] - starts[0]), "ran": len(starts)}


def pickup(producer: Producer, jobs: int) -> dict[str, Any]:
    """From the call of push to the handler's start, on an idle queue."""
    called = {}
    with worker(producer.adapter):
        warm_up(producer)
        for n in range(jobs):
            time.sleep(random.uniform(*IDLE))  # noqa: S311 - so that no period of a waiting worker is met
            called[n] = time.monotonic_ns()
            producer.do(producer.adapter.push, n)
            wait(WARM + n + 1)
    return {"took": [at - called[n] for n, at in first_starts().items() if n >= 0]}


def lateness(producer: Producer, jobs: int) -> dict[str, Any]:
    """From the moment that a job was scheduled for to its start."""
    if not hasattr(producer.adapter, "push_at"):
        raise Failed("has no jobs for a moment in its queue")
    with worker(producer.adapter):
        warm_up(producer)
        begin = time.time() + LEAD
        due = [begin + random.uniform(0, SPREAD) for _ in range(jobs)]  # noqa: S311 - a spread
        producer.each(producer.adapter.push_at, list(enumerate(due)))
        if time.time() > begin:
            raise Failed("scheduling took longer than the time until the first was due")
        wait(WARM + jobs)
    walls = {n: wall for n, _, wall in reversed(notes.read())}
    return {"took": [walls[n] - int(due[n] * SECOND) for n in range(jobs)]}


def idle(producer: Producer, jobs: int) -> dict[str, Any]:
    """What a worker takes that has nothing to do, its children included."""
    with worker(producer.adapter) as process:
        warm_up(producer)
        time.sleep(1.0)
        mark()
        before, began = usage(process.pid), time.monotonic()
        time.sleep(WATCH)
        after, seconds = usage(process.pid), time.monotonic() - began
        mark()
    return {"memory": after[0], "cpu": (after[1] - before[1]) / seconds, "seconds": seconds, "jobs": jobs}


def warm_up(producer: Producer) -> None:
    """A few jobs, so that whatever is imported and connected at the first one is there."""
    time.sleep(2.0)  # a worker that is not listening yet may look again only much later
    for n in range(WARM):
        producer.do(producer.adapter.push, -1 - n)
        wait(n + 1)


def first_starts() -> dict[int, int]:
    """When each job was first called."""
    return {n: at for n, at, _ in reversed(notes.read())}


def wait(jobs: int) -> None:
    """Wait until so many runs were noted."""
    seen, until = 0, time.monotonic() + PATIENCE
    while (ran := notes.count()) < jobs:
        if ran > seen:
            seen, until = ran, time.monotonic() + PATIENCE
        elif time.monotonic() > until:
            raise Failed(f"{ran:,} of {jobs:,} jobs ran, and nothing more for {PATIENCE:.0f} s")
        time.sleep(0.002)


@contextmanager
def worker(adapter: ModuleType) -> Iterator[subprocess.Popen[bytes]]:
    """The peer's worker in a process group of its own, killed at the end."""
    bin = Path(sys.executable).parent
    if hasattr(adapter, "WORKER"):
        program, *arguments = adapter.WORKER
        command = [str(bin / program), *arguments]
    else:
        command = [sys.executable, __file__, adapter.__name__.rpartition(".")[2], "work"]
    with subprocess.Popen(  # noqa: S603 - an adapter's own worker
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is not None:
                print(f"The worker ended by itself, with {process.returncode}.", file=sys.stderr)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def usage(pid: int) -> tuple[int, float]:
    """Resident bytes and seconds of CPU of a process and its descendants."""
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / tick
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            more, longer = usage(int(child))
            memory, cpu = memory + more, cpu + longer
    return memory, cpu


MEASURES = {"enqueue": enqueue, "bulk": bulk, "drain": drain, "pickup": pickup, "lateness": lateness, "idle": idle}


def main() -> None:
    """Work, or measure and print."""
    name, what, *rest = sys.argv[1:]
    adapter = importlib.import_module(f"adapters.{name}")
    if what == "work":
        ran = adapter.work()
        if inspect.isawaitable(ran):
            asyncio.run(_awaited(ran))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the worker is killed on the way out
    try:
        found = MEASURES[what](Producer(adapter), int(rest[0]))
    except Failed as failure:
        found = {"failed": str(failure)}
    print(json.dumps(found), flush=True)
    os._exit(0)  # a producer's own threads and loops have nothing more to do


async def _awaited(ran: Any) -> None:
    await ran


if __name__ == "__main__":
    main()
