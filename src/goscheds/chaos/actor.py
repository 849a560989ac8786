"""The program of the rig's processes: a worker, a supervisor with its children, or a producer.

Its end is the end of the pipe that it reads from. SIGUSR1 steps its clock, as a machine's may be.

python -m goscheds.chaos.actor '{"role": "worker", "url": "…", "namespace": "…", "journal": "…", "lease": 1.0}'
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from goscheds.chaos.journal import Journal, Returned, Started, moment
from goscheds.chaos.recorder import Recorder
from goscheds.clock import from_micros, to_micros
from goscheds.context import Context
from goscheds.contract.actor import bend
from goscheds.errors import RunAgain, StoreError
from goscheds.job import Job
from goscheds.retry import Retry
from goscheds.store import Store
from goscheds.supervisor.line import Line
from goscheds.supervisor.parent import Limits, Supervisor
from goscheds.worker import Worker
from goscheds.wrapping import WrappedScheduler

RETRY = Retry(max_attempts=0, max_crashes=0)  # no job is given up, so that a lost one is told from a dead one
WORKER, PRODUCER, SUPERVISOR, CHILD, DUTIES = "worker", "producer", "supervisor", "child", "duties"
CHILDREN = 2
"""Of a supervisor. Each has a journal of its own, named for it."""
STEPS = 3600, -3600, 0
"""Seconds by which a clock is wrong from one step to the next."""
GRACE = timedelta(seconds=2)
LINE = "line"
"""The queue whose jobs are to begin in the order of their pushes."""
QUEUES = {"sync": 4, "async": 8, LINE: 1}
LATER, FAILING, UNIQUE = 0.3, 0.05, 0.05
"""The chances that a job is due later, fails its first attempt, has a unique key."""
KEYS = 5
"""How many unique keys the producers quarrel over."""
PATIENCE = 60.0
"""Seconds for which a producer insists."""


class Part(Struct, frozen=True):
    """What a process is to do."""

    role: str
    url: str
    namespace: str
    journal: str
    lease: float = 1.0
    seed: str = ""
    rate: float = 20.0  # pushes a second, of a producer


class Actor:
    """A process of the rig."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.journal = Journal(Path(part.journal))
        self.scheduler = WrappedScheduler(part.url, self._record, part.namespace)

    def _record(self, store: Store) -> Recorder:
        recorder = Recorder(store, self.journal)
        recorder.greet()
        return recorder

    def work(self, line: Line | None = None) -> None:
        """Be a worker until SIGTERM, or until its supervisor says so."""

        @self.scheduler.job(name="sync", queue="sync")
        def sync(ms: int, fail: int, context: Context) -> None:
            with self._run(ms, fail, context):
                context.wait(ms / 1000)

        @self.scheduler.job(name="async", queue="async")
        async def asynchronous(ms: int, fail: int, context: Context) -> None:
            with self._run(ms, fail, context):
                await asyncio.sleep(ms / 1000)

        self.scheduler.now()  # connected, or it ends here
        queues = {} if self.part.role == DUTIES else QUEUES
        worker = Worker(self.scheduler, queues, lease=timedelta(seconds=self.part.lease), grace=GRACE)
        if line:
            worker.run(partial(line.beside, worker.stop))
        else:
            worker.run()

    @contextmanager
    def _run(self, ms: int, fail: int, context: Context) -> Iterator[None]:
        """A run, on record."""
        self.journal.write(Started(moment(), context.job.id, context.fence))
        yield
        if context.attempt <= fail:
            raise RunAgain(timedelta(milliseconds=ms), reason="It was told to fail.")
        self.journal.write(Returned(moment(), context.job.id, context.fence))

    def produce(self, stop: threading.Event) -> None:
        """Be a producer until told to stop: whatever is not acknowledged is pushed again."""
        zero = to_micros(self.scheduler.now()) - time.monotonic_ns() // 1000  # connected, or it ends here
        random = Random(self.part.seed)  # noqa: S311 - it guards nothing
        while not stop.wait(random.expovariate(self.part.rate)):
            jobs = some_jobs(random, zero + time.monotonic_ns() // 1000)
            later = timedelta(milliseconds=random.randrange(2000)) if random.random() < LATER else None
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                with suppress(StoreError):
                    self._push(jobs, later)
                    break

    def _push(self, jobs: list[Job], later: timedelta | None) -> None:
        if later is not None and jobs[0].queue != LINE:
            self.scheduler.push_in(later, jobs[0])
        else:
            self.scheduler.push_many(jobs)


def some_jobs(random: Random, now: int) -> list[Job]:
    """One job or a batch: sync, async or in line; now or later; some that fail at first, some with a unique key.

    ``now`` is the store's clock, microseconds: the machine's own may be stepped.
    """
    return [_some_job(random, now) for _ in range(random.choice((1, 1, 1, 1, 5, 20)))]


def _some_job(random: Random, now: int) -> Job:
    queue = random.choice(("sync", "sync", "async", LINE))
    in_line = queue == LINE  # these come one after the other: at once, short, and without trouble of their own
    return Job(
        "async" if queue == "async" else "sync",
        {"ms": 0 if in_line else random.choice((0, 0, 1, 5, 20, 300)), "fail": int(_happens(random, FAILING, in_line))},
        queue=queue,
        execute_at=from_micros(now + int(2_000_000 * random.random())) if _happens(random, LATER, in_line) else None,
        unique_key=f"key-{random.randrange(KEYS)}" if _happens(random, UNIQUE, in_line) else None,
        retry=RETRY,
    )


def _happens(random: Random, chance: float, in_line: bool) -> bool:
    return random.random() < chance and not in_line


def supervise(part: Part) -> int:
    """Be a supervisor until SIGTERM; its exit status."""
    told = msgspec.json.encode(replace(part, role=CHILD)).decode()
    command = [sys.executable, "-m", "goscheds.chaos.actor", told]
    return Supervisor(command, CHILDREN, GRACE.total_seconds(), Limits()).run()


def step_clock() -> None:
    """Let SIGUSR1 step what Python programs take for the time."""
    skews, skew = itertools.cycle(STEPS), 0

    def step(*_: object) -> None:
        nonlocal skew
        skew = next(skews)

    bend(lambda: skew)
    signal.signal(signal.SIGUSR1, step)


def main() -> None:
    """Play a part. The pipe's end tells a producer to stop; a worker is told by SIGTERM, and leaves with the rig."""
    part = msgspec.json.decode(sys.argv[1], type=Part)
    step_clock()
    line = Line.on_stdin() if part.role == CHILD else None
    stop = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        stop.set()
        if part.role != PRODUCER:
            os._exit(1)

    if line is None:
        threading.Thread(target=listen, daemon=True).start()
    try:
        if part.role == SUPERVISOR:
            sys.exit(supervise(part))
        if line:
            part = replace(part, journal=f"{Path(part.journal).with_suffix('')}-{os.getpid()}.jsonl")
        actor = Actor(part)
        actor.produce(stop) if part.role == PRODUCER else actor.work(line)
    except StoreError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
