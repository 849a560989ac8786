"""Another type of value, put by somebody where a script of the Redis store writes: a call fails, and no job is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest
from redis import Redis

from goscheds.contract.bench import HOUR, eventually, hire, ids, job, pass_moment, row, state
from goscheds.errors import StoreError
from goscheds.plugins import open_store
from goscheds.record import LIVE, Move, Outcome, State
from goscheds.store import Store

ME, GONE = "me", "gone"
JOBS = [
    job("plain"),
    job("high", priority=5),
    job("timed", timeout=HOUR),
    job("unique", unique_key="key"),
    job("low", priority=-5),
    job("other", queue="other"),
    job("later", delay=1),
]
FOLLOW = [job("next", unique_key="key"), job("next high", priority=9), job("next other", queue="other")]
Verb = Callable[[], object]


@pytest.fixture
def store(url) -> Iterator[Store]:
    store = open_store(url, "foreign")
    store.open()
    yield store
    store.erase()
    store.close()


def push(store: Store) -> Verb:
    return lambda: store.push(JOBS)


def push_one(store: Store) -> Verb:
    return lambda: [store.push([one]) for one in JOBS]


def claim(store: Store) -> Verb:
    store.push(JOBS)
    return lambda: store.claim("default", ME, 10, 0)


def claim_behind_a_wait(store: Store) -> Verb:
    store.push(JOBS)
    begin_claim(store, ME)
    return lambda: store._server.run("claim", "default", ME, 10, b"?")


def held(store: Store) -> Verb:
    store.push(JOBS)
    store.claim("default", ME, 1, 0)
    begin_claim(store, ME)
    begin_claim(store, ME)
    return lambda: store.held(ME)


def settle(store: Store) -> Verb:
    store.push(JOBS)
    store.push([job(f"more {n}", timeout=HOUR) for n in range(5)])
    one = {one.record.id: one for one in store.claim("default", ME, 20, 0)}
    outcomes = [
        Outcome.done(one["more 0"]),
        Outcome.retry(one["high"]),
        Outcome.released(one["low"]),
        Outcome.dead(one["more 1"]),
        Outcome.retry(one["timed"], delay=HOUR),
        Outcome.done(one["plain"], b"meta", b"result"),
        Outcome.released(one["more 2"]),
        Outcome.done(one["unique"], jobs=FOLLOW),
        Outcome.cancelled(one["more 3"]),
        Outcome.done(one["more 4"], b"meta", keep=False, jobs=[job("more 4", delay=HOUR)]),
    ]
    return lambda: store.settle(ME, outcomes)


def promote(store: Store) -> Verb:
    store.push([job(f"{priority} {queue}", queue=queue, priority=priority, delay=1)
                for priority in (0, 5) for queue in ("default", "other")])  # fmt: skip
    pass_moment(store, store.now())
    return lambda: store.promote(ME, 10, 0)


def recover(store: Store) -> Verb:
    store.push([*JOBS, job("cancelled"), job("overdue", timeout=1)])
    store.claim("default", ME, 1, 0)
    store.claim("default", GONE, 10, 0)
    store.claim("other", "gone as well", 1, 0)
    store.move([Move.cancel("cancelled")])
    store.push([job("taken"), job("taken next")])
    begin_claim(store, GONE)
    begin_claim(store, GONE)
    for worker in (GONE, "gone as well"):
        store.heartbeat(worker, 0, b"")
    return lambda: store.recover(ME, 10)


def move(store: Store) -> Verb:
    store.push([*JOBS, job("dead", unique_key="dead"), job("active")])
    claims = {claim.record.id: claim for claim in store.claim("default", ME, 20, 0)}
    held = claims.pop("active")
    store.settle(ME, [Outcome.released(claim) for id, claim in claims.items() if id != "dead"])
    store.settle(ME, [Outcome.dead(claims["dead"])])
    assert row(store, held.record.id).state is State.ACTIVE
    moves = [
        Move.cancel("unique"), Move.reschedule("plain", delay=HOUR), Move.reschedule("high"), Move.retry("dead"),
        Move.reschedule("later", delay=HOUR), Move.cancel("active"), Move.cancel("timed"),
    ]  # fmt: skip
    return lambda: [store.move([one]) for one in moves]


VERBS = (push, push_one, claim, claim_behind_a_wait, held, settle, promote, recover, move)
STRUCTURES = (
    "queue:0:default", "queue:5:default", "queue:-5:default", "queue:9:default", "levels:default", "queue:0:other",
    "queue:5:other", "scheduled", "deadlines", "done", "dead", "cancelled", "unique", "counts", "numbers", "workers",
    f"active:{ME}", f"taken:{ME}", f"cancelling:{ME}", f"active:{GONE}", f"taken:{GONE}", f"cancelling:{GONE}",
    "back", "front",
)  # fmt: skip


@pytest.mark.parametrize("prepare", VERBS)
def test_what_stands_in_a_scripts_way_fails_the_call_and_strands_no_job(store, server, prepare):
    for structure in STRUCTURES:
        for worker in (ME, GONE, "gone as well"):
            store.heartbeat(worker, 3600.0, b"")
        verb = prepare(store)
        with foreign(server, f"{store._tag}:{structure}"):
            for _ in range(2):
                with suppress(StoreError):
                    verb()
            if prepare is push and structure != "counts":
                stored = [one.id for one in JOBS if state(store, one.id)]
                assert stored in ([], ids(JOBS)), "a batch lands whole or not at all"
        with suppress(StoreError):
            verb()
        if prepare is settle:
            assert all(state(store, one.id) for one in FOLLOW), f"{structure}: the outcome came without its jobs"
        end_all(store, server, structure)
        store.erase()


def test_a_line_that_can_not_be_joined_keeps_nothing_else_waiting(store, server):
    store.push([job("stuck", queue="broken", delay=1), job("due", delay=1), job("lost")])
    store.heartbeat(GONE, 3600.0, b"")
    store.claim("default", GONE, 1, 0)
    store.heartbeat(GONE, 0, b"")
    pass_moment(store, store.now())
    worker = hire(store)
    with foreign(server, f"{store._tag}:queue:0:broken"):
        assert store.promote(worker, 1, 0) == 0, "the one that is due first"
        assert store.promote(worker, 1, 0) == 1
        begun = store.work()["commands"]
        assert store.promote(worker, 1, 0.2) == 0
        assert store.work()["commands"] - begun < 20, "looked for again and again"
    assert ids(store.claim("default", worker, 9, 0)) == ["due"]
    assert state(store, "stuck") is State.SCHEDULED
    assert store.promote(worker, 9, 5.0) == 1
    assert ids(store.claim("broken", worker, 9, 0)) == ["stuck"]


def test_counts_are_right_of_what_a_claim_that_failed_found_broken(store, server):
    worker = hire(store)
    store.push([job("broken"), job("whole")])
    server.setrange(f"{store._tag}:job:broken", 0, b"\xff")
    with foreign(server, f"{store._tag}:active:{worker}"), suppress(StoreError):
        store.claim("default", worker, 9, 0)
    assert ids(store.claim("default", worker, 9, 0)) == ["whole"]
    assert store.counts().jobs == {("default", State.ACTIVE): 1, ("default", State.DEAD): 1}


@contextmanager
def foreign(server: Redis, name: str) -> Iterator[None]:
    """A value of another type in the place of a key, which is put back."""
    was = server.type(name)
    if was != b"none":
        server.rename(name, f"{name} as it was")
    if was == b"string" or name.endswith((":back", ":front")):
        server.rpush(name, "a list")
    else:
        server.set(name, "a text")
    yield
    server.delete(name)
    if was != b"none":
        server.rename(f"{name} as it was", name)


def begin_claim(store: Store, worker: str) -> None:
    """What BLMOVE does before the claim's script."""
    store._server.client.lmove(f"{store._tag}:queue:0:default", f"{store._tag}:taken:{worker}", "LEFT", "LEFT")


def end_all(store: Store, server: Redis, structure: str) -> None:
    """All workers are gone, and another one ends every job there is, wherever it stands."""
    stem = f"{store._tag}:job:"
    left = [name.decode().removeprefix(stem) for name in server.scan_iter(f"{stem}*", 1000)]
    for worker in (ME, GONE, "gone as well"):
        store.heartbeat(worker, 0, b"")
    worker = hire(store)
    eventually(partial(finished, store, worker, left), within=5.0)
    counted = {queue: n for queue, n in store.counts().jobs.items() if n}
    if structure != "counts":
        assert all(state not in LIVE for _, state in counted), f"{structure}: {counted}"


def finished(store: Store, worker: str, left: list[str]) -> bool:
    """Whether none of these jobs is live, after a round of everything."""
    store.move([Move.reschedule(id) for id in left if state(store, id) is State.SCHEDULED])
    store.promote(worker, 100, 0)
    claims = [*store.recover(worker, 100), *store.claim("default", worker, 100, 0), *store.claim("other", worker, 9, 0)]
    store.settle(worker, [Outcome.done(claim) for claim in claims])
    return all(state(store, id) not in LIVE for id in left)
