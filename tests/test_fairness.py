"""Who waits for whom: short jobs for long ones, a queue for another's backlog, workers for each other."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles

import pytest
from kit import dice, until, working

from goscheds import Job, Scheduler, Worker
from goscheds.batch import Pace

ROUNDS, LEARNING, TRIES = 16, 3, 3
TOLERANCE = 0.04
"""Seconds. Batches that hold short jobs behind long ones of 50 to 100 ms, for 50 ms, make 70 to 90 of it."""


@pytest.fixture(
    params=["memory://{0.name}-{1}", pytest.param("sqlite:///{0}/{1}.db", marks=pytest.mark.slow)],
    ids=["memory", "sqlite"],
)
def opened(request, tmp_path) -> Iterator[Callable[[str], Scheduler]]:
    """Opens a store of its own for each name."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(Scheduler(request.param.format(tmp_path, name)))


@pytest.fixture
def scheduler(opened) -> Scheduler:
    return opened("jobs")


@contextmanager
def at_work(scheduler: Scheduler, queues: dict[str, int], handler=None) -> Iterator[list]:
    """A worker that waits for jobs already, and its lanes."""
    worker = Worker(scheduler, queues)
    if handler:
        worker.register_handler("handle", handler)
    with working(scheduler, worker):
        until(lambda: worker._shift._crew and len(worker._shift._crew._lanes) == len(queues))
        yield worker._shift._crew._lanes


class One(Pace):
    """One job at a time."""

    def learn(self, *_) -> None: ...


def test_a_short_job_starts_as_soon_as_with_a_batch_of_one(opened):
    """Once a queue is known to be mixed. What else keeps the machine busy disturbs a try; batches that hold, each."""
    tries = (p99s(opened, f"{number}") for number in range(TRIES))
    assert any(many < one + TOLERANCE for one, many in tries)


def p99s(opened: Callable[[str], Scheduler], name: str) -> tuple[float, float]:
    """Start delays, seconds, with a batch of one, and with batches as they come.

    Bunches of 20 jobs, two of them long, come to four slots that keep up easily.
    """
    random, schedulers = dice(1), {"one": opened(f"one{name}"), "many": opened(f"many{name}")}
    delays: dict[str, list[float]] = {"one": [], "many": []}

    def handle(job: Job) -> None:
        if job.args["measured"]:
            delays[job.args["to"]].append(time.monotonic() - job.args["pushed"])
        time.sleep(job.args["seconds"])

    def push(to: str, seconds: list[float], measured: bool) -> None:
        args = {"to": to, "pushed": time.monotonic(), "measured": measured}
        schedulers[to].push_many([Job("handle", {**args, "seconds": each}) for each in seconds])

    with ExitStack() as stack:
        lanes = {to: stack.enter_context(at_work(each, {"default": 4}, handle)) for to, each in schedulers.items()}
        lanes["one"][0]._pace = One()
        for number in range(ROUNDS):
            began = time.monotonic()
            seconds = [0.0001] * 18 + [random.uniform(0.05, 0.1) for _ in range(2)]
            random.shuffle(seconds)
            for to in sorted(schedulers, reverse=number % 2 == 0):  # the same load on the machine for both
                push(to, seconds, number >= LEARNING)
            time.sleep(max(0.0, began + 0.12 - time.monotonic()))
        until(lambda: {len(each) for each in delays.values()} == {20 * (ROUNDS - LEARNING)})
    one, many = (quantiles(each, n=100)[98] for each in delays.values())
    return one, many


def test_a_backlog_starves_neither_another_queue_nor_another_worker(scheduler):
    delays: dict[str, list[float]] = {"mail": [], "other": []}
    left = itertools.count(6_000, -1)
    backlog = [6_000]

    def handle(job: Job) -> None:
        if job.queue == "bulk":
            time.sleep(0.0004)
            backlog[0] = next(left) - 1
        else:
            delays[job.queue].append(time.monotonic() - job.args["pushed"])

    scheduler.push_many([Job("handle", queue="bulk") for _ in range(6_000)])
    with at_work(scheduler, {"bulk": 4, "mail": 1}, handle), at_work(scheduler, {"other": 1}, handle):
        until(lambda: backlog[0] < 5_900)
        began = time.monotonic()
        for number in itertools.count(1):
            for queue in delays:
                scheduler.push(Job("handle", {"pushed": time.monotonic()}, queue=queue))
            until(lambda number=number: {len(each) for each in delays.values()} == {number})
            if backlog[0] < 1_000:
                break
        took = time.monotonic() - began
    for queue, each in delays.items():
        assert len(each) >= 10, queue
        assert median(each) < 0.05, queue
        assert max(each) < took / 3, queue


def test_workers_share_a_queue_evenly(scheduler):
    ran: Counter[int] = Counter()
    with ExitStack() as stack:
        for number in range(4):

            def handle(job: Job, number: int = number) -> None:
                ran[number] += 1
                time.sleep(0.0004)

            stack.enter_context(at_work(scheduler, {"default": 1}, handle))
        scheduler.push_many([Job("handle") for _ in range(2_000)])
        until(lambda: ran.total() == 2_000)
    assert min(ran[number] for number in range(4)) >= 2_000 / 4 / 2, ran
