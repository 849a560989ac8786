"""Jobs in Redis whose bytes somebody else has changed: whatever they are, they end, and are in nobody's way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from kit import SECOND, ends, leave, until, working
from kit import redis_key as key
from redis import Redis

from goscheds import Job, Retry, Scheduler, Worker
from goscheds.backends.redis.codec import JOB
from goscheds.codec import describe
from goscheds.record import LIVE, Outcome, Query, Row, State

FAR = datetime(2190, 1, 1, tzinfo=UTC)
WAITING = ("ready", "scheduled", "orphaned")


NUMBERS = (
    "state", "cancelling", "fence", "changed_at", "worker", "execute_at", "place", "pushed_at", "priority", "timeout",
    "queue", "unique key", "name", "payload", "meta", "result",
)  # fmt: skip
"""What the numbers of a job are, in the order of its layout; a text's name stands for its size."""
TEXTS = ("queue", "unique key", "name", "payload", "meta", "result")
"""The texts behind the numbers."""
HUGE = (2**53, 2**63)
OVERFLOWING = 2**64 - 1
"""The server's Lua makes another number of it when it writes the job again."""


class Stored:
    """A job's bytes, taken apart."""

    def __init__(self, value: bytes) -> None:
        self.numbers: dict[str, Any] = dict(zip(NUMBERS, JOB.unpack_from(value), strict=True))
        self.texts, at = {}, JOB.size
        for name in TEXTS:
            self.texts[name], at = value[at : at + self.numbers[name]], at + self.numbers[name]

    def but(self, name: str, new: Any) -> bytes:
        """The bytes with another number, or with another text and its size."""
        numbers, texts = {**self.numbers, name: new}, self.texts
        if isinstance(new, bytes) and name in TEXTS:
            numbers, texts = {**numbers, name: len(new)}, {**texts, name: new}
        return JOB.pack(*numbers.values()) + b"".join(texts.values())


Kind = Callable[[bytes], Mapping[str, bytes]]
"""From a job's bytes to hostile ones, by name."""


def unreadable(value: bytes) -> dict[str, bytes]:
    """Values that can't be taken apart."""
    stored = Stored(value)
    lies = [(name, n) for name in TEXTS for n in (0, 1, 255, 65535) if n != stored.numbers[name]]
    lies += [(name, 2**32 - 1) for name in ("payload", "meta", "result")]
    return {
        **{f"state {state}": stored.but("state", state) for state in (0, 7, 255)},
        **{f"{name} of {n} bytes": stored.but(name, n) for name, n in lies},
        **{f"{n} bytes": value[:n] for n in (0, 1, 78, 79, 80)},
        "cut": value[:-1],
        "more": value + b"x",
        "noise": b"\xff" * 100,
        "zeros": b"\0" * 1000,
        "ones": b"\1" * 500,
        "text": "☃".encode() * 99,
    }


def odd(value: bytes) -> dict[str, bytes]:
    """Values that can be taken apart, with what goscheds never writes."""
    stored = Stored(value)
    no_text = (b"\xff\xfe", b"\x80", b"a\xc3", b"\xed\xa0\x80", b"\xe0\x80\x80", b"\xf4\x90\x80\x80")
    return {
        **{f"{name} {text!r}": stored.but(name, text)
           for name in ("queue", "unique key", "name") for text in no_text},
        **{f"fence {n}": stored.but("fence", n) for n in HUGE},
        **{f"execute_at {n}": stored.but("execute_at", n) for n in HUGE},
        **{f"timeout {n}": stored.but("timeout", n) for n in HUGE},
        **{f"priority {n}": stored.but("priority", n) for n in (-128, -101, 101, 127)},
        "no name": stored.but("name", b""),
        "name with NUL": stored.but("name", b"\0"),
        "payload": stored.but("payload", b"\xff"),
    }  # fmt: skip


def strange(value: bytes) -> dict[str, bytes]:
    """Values that say something else than before, and may be run, ended or left where they are."""
    stored, moments = Stored(value), ("execute_at", "pushed_at", "changed_at")
    return {
        **{f"cancelling {n}": stored.but("cancelling", n) for n in (1, 2, 255)},
        **{f"fence {n}": stored.but("fence", n) for n in (0, 7, 2**53 - 1, OVERFLOWING)},
        **{f"place {place!r}": stored.but("place", place)
           for place in (b"\xff" * 16, b" " * 16, b"\n" * 16, b"9" * 16, b"nan\0".ljust(16), b"0x1f".ljust(16))},
        **{f"{n} {moment}": stored.but(n, moment) for n in moments for moment in (0, 1, 2**53 - 1, OVERFLOWING)},
        **{f"{n} {huge}": stored.but(n, huge) for n in moments[1:] for huge in HUGE},
        **{f"timeout {n}": stored.but("timeout", n) for n in (1, 2**53 - 1)},
        **{f"{name} {text!r}": stored.but(name, text)
           for name in ("queue", "unique key", "meta", "result")
           for text in (b"", b"\n", b"\0", b"\xff" * 300, b"x" * 60000) if (name, text[:1]) != ("unique key", b"\xff")
           and (name, text[:1]) != ("queue", b"\xff")},
        **{f"worker {n}": stored.but("worker", n) for n in (0, 1, 2, 2**32 - 1)},
        **{f"state {state}": stored.but("state", state) for state in range(1, 7)},
    }  # fmt: skip


def disturb(scheduler: Scheduler, server: Redis, stage: str, kind: Kind) -> dict[str, bytes]:
    """Jobs in a state, every second of them replaced by a hostile value; those by id."""
    sample = server.get(stand(scheduler, server, stage, ["sample"]).pop())
    names = list(kind(sample))
    ids = [f"{how} {n:03} {name:.60}" for n, name in enumerate(names) for how in ("good", "bad")]
    hostile = {}
    for name, id, at in zip(names, ids[1::2], stand(scheduler, server, stage, ids)[1::2], strict=True):
        hostile[id] = kind(server.get(at))[name]
        server.set(at, hostile[id])
    return hostile


def stand(scheduler: Scheduler, server: Redis, stage: str, ids: list[str]) -> list[str]:
    """Jobs in a state, all of them due; their keys."""
    jobs = [Job("greet", id=id, unique_key=f"key of {id}", retry=Retry.never()) for id in ids]
    if stage == "scheduled":
        scheduler.push_many([replace(job, execute_at=FAR) for job in jobs])
        agenda = key(scheduler, "scheduled")
        server.zadd(agenda, dict.fromkeys(server.zrange(agenda, 0, -1), 1))
    else:
        scheduler.push_many(jobs)
    if stage in ("orphaned", "done"):
        leave(scheduler.store, len(ids), Outcome.done if stage == "done" else None)
    return [key(scheduler, f"job:{id}") for id in ids]


def listed(scheduler: Scheduler, ids: Iterable[str]) -> dict[str, Row]:
    """Everything that looks, looks; the jobs as they are found by id."""
    scheduler.counts()
    scheduler.workers()
    pages = [info.id for info in scheduler.jobs()]
    assert len(pages) == len(set(pages)), "paging sees each job once"
    found = scheduler.store.find(Query(ids=tuple(ids))).rows
    assert all(describe(row) for row in found)
    return {row.record.id: row for row in found}


def work(scheduler: Scheduler, hostile: Iterable[str]) -> dict[str, Row]:
    """A worker runs until the good jobs are done, and then has nothing to do; how the hostile ones stand."""
    good = [id.replace("bad", "good", 1) for id in hostile]

    def over() -> bool:
        return all(info.state is State.DONE for info in listed(scheduler, good).values())

    with working(scheduler, lease=SECOND):
        until(over)
        until(lambda: not any(worker.held for worker in scheduler.workers()))
    drained = Worker(scheduler).drain()
    assert drained <= len(hostile), "what a drain after that finds was left for a while, once"
    assert Worker(scheduler).drain() == 0
    assert over()
    return listed(scheduler, hostile)


@pytest.mark.parametrize("stage", WAITING)
def test_what_cant_be_taken_apart_is_dead_with_its_bytes(scheduler, server, stage):
    hostile = disturb(scheduler, server, stage, unreadable)
    found = work(scheduler, hostile)
    for id, value in hostile.items():
        row = found[id]
        assert (row.state, row.record.payload) == (State.DEAD, value), id
        assert "was not written by goscheds" in describe(row).error
    if stage == "ready":
        assert counted(scheduler) == scheduler.counts().jobs
    assert purged(scheduler) == {}


@pytest.mark.parametrize("stage", WAITING)
def test_what_goscheds_never_writes_is_dead_with_a_reason_and_its_payload(scheduler, server, stage):
    hostile = disturb(scheduler, server, stage, odd)
    found = work(scheduler, hostile)
    for id, value in hostile.items():
        row = found[id]
        assert row.state is State.DEAD, id
        assert row.record.payload in (Stored(value).texts["payload"], value)
        assert describe(row).error
    assert purged(scheduler) == {}


@pytest.mark.parametrize("kind", [unreadable, odd])
def test_whatever_wakes_a_worker_that_waits_is_dead_and_the_next_job_is_done(scheduler, server, kind):
    (at,) = stand(scheduler, server, "ready", ["sample"])
    sample, line = server.get(at), key(scheduler, "queue:0:default")
    (ticket,) = server.lrange(line, 0, -1)
    with working(scheduler):
        ends(scheduler, "sample")
        for n, value in enumerate(kind(sample).values()):
            with server.pipeline() as both:
                both.set(key(scheduler, f"job:bad {n}"), value).rpush(line, ticket[:16] + b"bad %d" % n)
                both.execute()
            until(lambda n=n: [row.state for row in listed(scheduler, [f"bad {n}"]).values()] == [State.DEAD])
            scheduler.push(Job("greet", id=f"good {n}"))
            ends(scheduler, f"good {n}")


@pytest.mark.parametrize("stage", WAITING)
def test_what_says_something_else_is_in_nobodys_way(scheduler, server, stage):
    work(scheduler, disturb(scheduler, server, stage, strange))
    purged(scheduler)


@pytest.mark.parametrize("kind", [unreadable, odd, strange])
def test_whatever_is_done_is_looked_at_and_purged(scheduler, server, kind):
    hostile = disturb(scheduler, server, "done", kind)
    found = work(scheduler, hostile)
    for id, value in hostile.items():
        assert server.get(key(scheduler, f"job:{id}")) == value
        assert (id in found) is (kind is not unreadable)
    assert set(purged(scheduler)) <= {id for id in hostile if "state" in id or "place" in id}


TICKETS = {
    "place": [
        place + b"%d" for place in (b"\xff" * 16, b" " * 16, b"\n" * 16, b"nan".ljust(16), b"\0" * 16, b"x" * 16)
    ],
    "id": [
        b"4000000000000001" + id for id in (b"\xff%d", b"\xed\xa0\x80%d", b"a\nb%d", b"\n%d", b"%d\n\n\n\n", b"\0%d")
    ],
}


@pytest.mark.parametrize("what", TICKETS)
@pytest.mark.parametrize("stage", WAITING)
def test_whatever_stands_on_a_ticket_the_others_are_done(scheduler, server, stage, what):
    tickets = [template % n for n, template in enumerate(TICKETS[what])]
    ids = [f"{how} {n:03}" for n in range(len(tickets)) for how in ("good", "bad")]
    keys = stand(scheduler, server, stage, ids)
    for id, at, ticket in zip(ids[1::2], keys[1::2], tickets, strict=True):
        stored = Stored(server.get(at))
        old = stored.numbers["place"] + id.encode()
        server.rename(at, key(scheduler, "job:").encode() + ticket[16:])
        server.set(key(scheduler, "job:").encode() + ticket[16:], stored.but("place", ticket[:16]))
        if stage == "scheduled":
            server.zadd(key(scheduler, "scheduled"), {ticket: 1})
            server.zrem(key(scheduler, "scheduled"), old)
        elif stage == "ready":
            server.linsert(key(scheduler, "queue:0:default"), "before", old, ticket)
            server.lrem(key(scheduler, "queue:0:default"), 1, old)
        else:
            server.sadd(key(scheduler, "active:gone"), ticket)
            server.srem(key(scheduler, "active:gone"), old)
    work(scheduler, ids[1::2])
    ended = [server.get(key(scheduler, "job:").encode() + ticket[16:])[0] for ticket in tickets]
    assert set(ended) <= {4, 5}, "they are done, or dead"
    purged(scheduler)


def counted(scheduler: Scheduler) -> Mapping[tuple[str, State], int]:
    return Counter((info.job.queue, info.state) for info in scheduler.jobs())


def purged(scheduler: Scheduler) -> dict[str, State]:
    """What is left when everything that has ended is purged."""
    for state in set(State) - LIVE:
        scheduler.purge(state)
    return {info.id: info.state for info in scheduler.jobs()}


CHANGE = st.tuples(
    st.sampled_from(["overwrite", "insert", "delete", "cut"]), st.integers(0, 400), st.binary(min_size=1, max_size=9)
)


def changed(value: bytes, changes: Iterable[tuple[str, int, bytes]]) -> bytes:
    for how, place, new in changes:
        at = place % (len(value) + 1)
        kept = {"overwrite": at + len(new), "insert": at, "delete": at + len(new), "cut": len(value)}[how]
        value = value[:at] + (new if how in ("overwrite", "insert") else b"") + value[kept:]
    return value


@fuzzed(10)
@given(st.sampled_from(WAITING), st.lists(st.lists(CHANGE, min_size=1, max_size=3), min_size=20, max_size=20))
def test_whatever_bytes_are_changed_the_others_are_done(scheduler, server, stage, changes):
    hostile = disturb(
        scheduler, server, stage, lambda value: {f"{n}": changed(value, each) for n, each in enumerate(changes)}
    )
    work(scheduler, hostile)
    scheduler.store.erase()
