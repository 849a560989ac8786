"""What somebody wrote into Redis behind the library's back: it is ended as dead, looked at, and never in the way."""

from __future__ import annotations

from typing import Any

import pytest
from kit import SECOND, leave
from kit import redis_key as key
from redis import Redis

from goscheds import Scheduler, Worker
from goscheds.backends.redis.store import RedisStore
from goscheds.contract.bench import LONG, hire, ids, jobs
from goscheds.errors import JobNotFound, NotMoved, StoreError
from goscheds.job import Job
from goscheds.record import Outcome, State

STAGES = ("ready", "scheduled", "orphaned", "done", "dead")


def prepare(scheduler: Scheduler, server: Redis, stage: str) -> None:
    """Three jobs in a state, the one in the middle to be broken; all of them are due."""
    jobs = [Job("greet", id=id) for id in ("before", "broken", "after")]
    if stage == "scheduled":
        for job in jobs:
            scheduler.push_in(SECOND * 3600, job)
        agenda = key(scheduler, "scheduled")
        server.zadd(agenda, dict.fromkeys(server.zrange(agenda, 0, -1), 1))
        return
    scheduler.push_many(jobs)
    if stage == "ready":
        return
    leave(scheduler.store, 3, {"done": Outcome.done, "dead": Outcome.dead}.get(stage))


def look(scheduler: Scheduler) -> dict[str, State]:
    """Everything that looks, looks; the jobs that are listed."""
    scheduler.counts()
    scheduler.workers()
    for id in ("before", "broken", "after"):
        attempt(scheduler.get, id)
    return {info.id: info.state for state in State for info in scheduler.jobs(state=state)}


def attempt(verb: Any, *args: Any) -> None:
    """Which may refuse, in its own words."""
    try:
        verb(*args)
    except (JobNotFound, NotMoved):
        return


@pytest.mark.parametrize("stage", STAGES)
def test_a_job_that_was_deleted_by_hand_is_in_nobodys_way(scheduler, server, stage):
    prepare(scheduler, server, stage)
    server.delete(key(scheduler, "job:broken"))
    look(scheduler)
    Worker(scheduler).drain()
    assert look(scheduler) == dict.fromkeys(("before", "after"), State.DEAD if stage == "dead" else State.DONE)
    scheduler.purge("done")
    scheduler.purge("dead")
    assert look(scheduler) == {}


def test_a_unique_key_whose_holder_was_deleted_by_hand_is_free(scheduler, server):
    scheduler.push(Job("greet", id="gone", unique_key="key"))
    server.delete(key(scheduler, "job:gone"))
    assert scheduler.push(Job("greet", id="next", unique_key="key")) == "next"
    assert scheduler.push(Job("greet", id="third", unique_key="key")) == "next"
    Worker(scheduler).drain()
    assert scheduler.push(Job("greet", id="fourth", unique_key="key")) == "fourth"


def test_a_key_of_another_type_in_the_place_of_a_job_is_no_job(scheduler, server):
    prepare(scheduler, server, "ready")
    server.delete(key(scheduler, "job:broken"))
    server.rpush(key(scheduler, "job:broken"), "a list")
    look(scheduler)
    Worker(scheduler).drain()
    assert look(scheduler) == {"before": State.DONE, "after": State.DONE}
    assert server.lrange(key(scheduler, "job:broken"), 0, -1) == [b"a list"]


@pytest.mark.parametrize("age", [0, 100])
def test_what_workers_hold_stays_theirs_when_the_numbers_are_deleted_by_hand(scheduler, server, age):
    store = scheduler.store
    if age:
        server.hset(key(scheduler, "numbers"), "", store.now() // 1_000_000 - age)
    store.push(jobs(8, "job"))
    old, other, dying = (hire(store) for _ in range(3))
    claims = {worker: store.claim("default", worker, 2, 0) for worker in (old, other, dying)}
    given = set(server.hvals(key(scheduler, "numbers")))
    server.delete(key(scheduler, "numbers"))
    for worker in (other, old):
        assert not store.heartbeat(worker, LONG, b"").lapsed
        claims[worker] += store.claim("default", worker, 1, 0)
    assert sorted(ids(store.held(old))) == sorted(ids(claims[old])), "held by either number"
    for worker in (old, other):
        outcomes = [Outcome.done(claim) for claim in claims[worker]]
        assert store.settle(worker, outcomes) == ids(claims[worker])
    store.heartbeat(dying, 0, b"")
    assert sorted(ids(store.recover(old, 10))) == sorted(ids(claims[dying]))
    if age:
        assert not given & set(server.hvals(key(scheduler, "numbers"))), "no number is given twice"


JUNK = [b"", b"junk", b"\xff" * 30, b"9" * 16, b"0000000000000001ghost", b"4000000000000001\n", "☃".encode() * 9]


def test_tickets_of_no_job_are_dropped_where_they_are_met(scheduler, server):
    prepare(scheduler, server, "ready")
    for junk in JUNK:
        server.lpush(key(scheduler, "queue:0:default"), junk)
        for index in ("scheduled", "deadlines", "done", "dead"):
            server.zadd(key(scheduler, index), {junk: 1})
        server.rpush(key(scheduler, "taken:gone"), junk)
        server.sadd(key(scheduler, "active:gone"), junk)
        server.hset(key(scheduler, "numbers"), b"of " + junk, junk)
        server.zadd(
            key(scheduler, "workers"), {b"gone": 1, b"\xff": 2, junk + b"for ever": "inf", junk + b"+": 2e15 + 0.5}
        )
        server.hset(key(scheduler, "info"), junk + b"for ever", junk)
        server.zadd(key(scheduler, "levels:default"), {b"junk": 3, b"\xff\n": 2, b"1\n": 1, b"0x7": -1})
        server.sadd(key(scheduler, "cancelling:gone"), junk)
        server.sadd(key(scheduler, "paused"), b"\xff")
        server.hset(key(scheduler, "counts"), b"ready:\xff", 1)
        server.hset(key(scheduler, "counts"), b"zombie:default", 1)
    look(scheduler)
    Worker(scheduler).drain()
    assert look(scheduler) == dict.fromkeys(("before", "broken", "after"), State.DONE)
    scheduler.purge("done")
    scheduler.purge("dead")
    assert look(scheduler) == {}


@pytest.mark.parametrize("structure", ["queue:0:default", "done"])
def test_jobs_are_listed_once_among_any_number_of_tickets_of_none(scheduler, server, structure):
    prepare(scheduler, server, "done" if structure == "done" else "ready")
    junk = [b"%c%d" % (lead, n) for n in range(700) for lead in b"\0/z\xff"]
    for some in (junk[:1400], junk[1400:]):
        if structure == "done":
            score = server.zscore(key(scheduler, "done"), server.zrange(key(scheduler, "done"), 0, 0)[0])
            server.zadd(key(scheduler, "done"), dict.fromkeys(some, score))
        else:
            server.lpush(key(scheduler, structure), *some)
            server.rpush(key(scheduler, structure), *some)
    assert sorted(info.id for info in scheduler.jobs()) == ["after", "before", "broken"]


STRUCTURES = ("queue:0:default", "levels:default", "counts", "workers", "scheduled", "unique", "back", "duty", "paused")


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_structure_of_another_type_is_a_clear_store_error(scheduler, server, structure):
    prepare(scheduler, server, "ready")
    server.delete(key(scheduler, structure))
    if structure in ("back", "duty"):
        server.rpush(key(scheduler, structure), "not a text")
    else:
        server.set(key(scheduler, structure), "no structure")

    def touch_all() -> None:
        scheduler.push(Job("greet", unique_key="key"))
        scheduler.push_in(SECOND, Job("greet"))
        Worker(scheduler).drain()

    with pytest.raises(StoreError, match=r"answered with an error: .*(WRONGTYPE|wrong kind of value)"):
        touch_all()


def test_a_schema_that_is_no_number_is_a_clear_store_error(scheduler, server, url):
    server.set(key(scheduler, "schema"), "abc")
    with pytest.raises(StoreError, match="holds no number"):
        RedisStore(url, scheduler.namespace).open()
    server.delete(key(scheduler, "schema"))
