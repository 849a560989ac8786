"""What the contract's processes do. Each says where it is, as a line of JSON, and waits for a line to go on."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from uuid import uuid4

from goscheds.contract.bench import LONG, MILLISECOND, gather, ids, job, jobs
from goscheds.record import Claim, Outcome
from goscheds.store import Store

_told: queue.SimpleQueue[object] = queue.SimpleQueue()


def listen() -> None:
    """Hear the test from now on, and end with it: its end closes the pipe, however it came about."""
    threading.Thread(target=_listen, daemon=True).start()


def _listen() -> None:
    for line in sys.stdin:
        _told.put(json.loads(line))
    os._exit(1)


def say(what: object) -> None:
    """Tell the test."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def hear() -> object:
    """Wait for the test."""
    return _told.get()


def push(store: Store, prefix: str, batch: int) -> None:
    """Push batch after batch until killed."""
    store.open()
    number = 0
    while True:
        store.push(jobs(batch, f"{prefix}{number:04}"))
        say(number)
        number += 1


def push_keys(store: Store, keys: list[str]) -> None:
    """Push one job for each unique key."""
    store.open()
    say("ready")
    hear()
    say([store.push([job(unique_key=key)])[0] for key in keys])


def founding(store: Store) -> None:
    """Open the store, all at the same moment."""
    say("ready")
    hear()
    store.open()
    say(store.push([job()]))


def race(store: Store, limit: int) -> None:
    """Claim until nothing is left."""
    store.open()
    worker = f"racer-{uuid4().hex[:8]}"
    store.heartbeat(worker, LONG, b"")
    say("ready")
    hear()
    say([[claim.record.id, claim.fence] for claim in gather(store, worker, batch=limit)])


def hold(store: Store, worker: str, lease: float) -> None:
    """Claim what there is, and settle it when told to."""
    store.open()
    store.heartbeat(worker, lease, b"")
    claims = gather(store, worker)
    say(ids(claims))
    hear()
    say(_finish(store, worker, claims))


def wait(store: Store, worker: str, lease: float, timeout: float = 2.0) -> None:
    """Block in a claim, and settle what it gives."""
    store.open()
    store.heartbeat(worker, lease, b"")
    say("waiting")
    claims = store.claim("default", worker, 1, timeout)
    say({"claimed": ids(claims), "accepted": _finish(store, worker, claims)})


def _finish(store: Store, worker: str, claims: list[Claim]) -> list[str]:
    return store.settle(worker, [Outcome.done(claim, result=worker.encode()) for claim in claims])


def churn(store: Store, worker: str, lease: float) -> None:
    """Recover, claim and settle as fast as it goes, until killed. Every done job leaves one follow-up job."""
    store.open()
    say("churning")
    while True:
        store.heartbeat(worker, lease, b"")
        orphans = store.recover(worker, 10)
        store.settle(worker, [Outcome.released(orphan) for orphan in orphans])
        claims = store.claim("default", worker, 5, 0.01)
        outcomes = [Outcome.released(claim) if claim.fence % 3 == 1 else _done(claim) for claim in claims]
        store.settle(worker, outcomes)


def _done(claim: Claim) -> Outcome:
    follow_up = job(f"after-{claim.record.id}", queue="after")
    return Outcome.done(claim, result=b"%d" % claim.fence, jobs=[follow_up])


def scavenge(store: Store, worker: str, lease: float) -> None:
    """Recover over and over and settle nothing, until killed."""
    store.open()
    store.heartbeat(worker, lease, b"")
    say("scavenging")
    while True:
        store.recover(worker, 1)


def skewed(store: Store, worker: str, lease: float, due_in: int) -> None:
    """Use the store with a wrong clock: push, hold, promote."""
    store.open()
    store.heartbeat(worker, lease, b"")
    claims = store.claim("held", worker, 1, 0)
    due = store.now() + due_in * MILLISECOND
    store.push([job("now"), job("at", execute_at=due), job("in", delay=due_in * MILLISECOND)])
    say({"now": store.now(), "clock": time.time(), "held": ids(claims), "due": due})
    hear()
    promoted = 0
    while promoted < 2:
        promoted += store.promote(worker, 10, 5.0) or 0
    say(promoted)
    hear()
    say(store.settle(worker, [Outcome.retry(claim, delay=due_in * MILLISECOND) for claim in claims]))
