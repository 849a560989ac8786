"""Everything that moves jobs, at once and at random, in processes that may be killed at any moment."""

from __future__ import annotations

import subprocess
import sys

STORM = """
import random
import sys
import threading

from goscheds import Scheduler
from goscheds.contract.bench import HOUR, job
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.job import new_id
from goscheds.record import Move, Outcome, Query, State

scheduler, store = Scheduler(sys.argv[1], namespace="shop"), None
while not store:
    try:
        store = scheduler.store
    except StoreUnavailable:  # it was cut off as it opened
        pass


def some(most):
    return [job(new_id(), queue=random.choice("abc"), priority=random.choice((0, 0, 5)),
                delay=random.choice((0, 0, 20_000, HOUR)),
                unique_key=random.choice(("", "", f"key-{random.randrange(40)}")))
            for _ in range(random.randrange(1, most))]


def outcome(claim):
    return random.choice([
        Outcome.done(claim), Outcome.done(claim, keep=False), Outcome.dead(claim), Outcome.released(claim),
        Outcome.retry(claim), Outcome.retry(claim, delay=10_000), Outcome.done(claim, jobs=tuple(some(3))),
    ])


def work(worker):
    store.heartbeat(worker, 0.4, b"")
    claims = store.claim(random.choice("abc"), worker, 8, 0)
    for _ in range(random.randrange(6)):
        _, claims = store.settle_and_claim(worker, [outcome(claim) for claim in claims], random.choice("abc"), 8)
    store.settle(worker, [outcome(claim) for claim in claims[1:]])


def steer(worker):
    ids = [one.record.id for one in store.find(Query(states=(random.choice(list(State)),), limit=20)).rows]
    store.move([random.choice((Move.cancel, Move.retry, Move.reschedule))(id) for id in ids])
    store.purge(random.choice(list(State)), 2**60, 5, random.choice(("", "a")))


def duties(worker):
    store.heartbeat(worker, 0.4, b"")
    store.promote(worker, 50, 0)
    store.settle(worker, [outcome(claim) for claim in store.recover(worker, 20)])


def forget(worker):
    if random.random() < 0.003:
        store.erase()


def storm():
    while True:
        try:
            random.choice([
                work, work, steer, steer, duties, forget, lambda _: store.push(some(2)), lambda _: store.push(some(30)),
            ])(new_id())
        except StoreUnavailable:
            pass


for _ in range(3):
    threading.Thread(target=storm, daemon=True).start()
sys.stdin.read()  # until the test ends, whichever way
"""
LISTS = "SELECT queue, state, count(*) FROM goscheds_jobs WHERE ns = {} GROUP BY queue, state"
"""What a tally should say."""


def begin(url: str, before: str = "") -> subprocess.Popen[str]:
    """Let it rage on the namespace "shop" of a store, after some other code."""
    program, pipe = [sys.executable, "-c", before + STORM, url], subprocess.PIPE
    return subprocess.Popen(program, stdin=pipe, stderr=pipe, text=True)


def end(process: subprocess.Popen[str]) -> None:
    """Kill it. What it did was no error."""
    process.kill()
    told = process.communicate()[1]
    assert "Traceback" not in told, told
