"""Records that the core never makes, pushed straight at the boundary: kept as they are, or refused whole."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from goscheds.errors import InvalidJob, StoreError
from goscheds.job import Job, check_text
from goscheds.plugins import open_store
from goscheds.record import Outcome, Query, Record, Row, State
from goscheds.store import Store

numbers = count()
REFUSED = (StoreError, ValueError, struct.error)
"""What a store raises: not all of them ask before they write it as bytes, since the core does."""
EDGES = (0, 1, 2**15, 2**16, 2**31, 2**32, 2**53, 2**63, 2**64, 2**70)
INTEGERS = st.sampled_from([sign * (edge + step) for edge in EDGES for sign in (1, -1) for step in (-1, 0, 1)])
ODD = (
    "\0",
    "\n",
    "\ud800",
    "\udcff",
    "\x7f",
    "\ufffe",
    "a\0",
    "é",
    "e\u0301",
    "🦀",
    " ",
    "x" * 256,
    "x" * 70_000,
    "'",
    "\\",
)
TEXTS = st.sampled_from(["", *ODD]) | st.text(max_size=5)
RECORDS = st.builds(
    Record,
    id=TEXTS,
    name=TEXTS,
    queue=st.just("default") | TEXTS,
    payload=st.binary(max_size=5),
    meta=st.binary(max_size=5),
    execute_at=st.just(0) | INTEGERS,
    delay=st.just(0) | INTEGERS,
    priority=st.just(0) | INTEGERS,
    timeout=st.just(0) | INTEGERS,
    unique_key=st.just("") | TEXTS,
)


@pytest.fixture(params=["memory", "sqlite", "redis", "postgres"])
def store(request, tmp_path) -> Iterator[Store]:
    url = {"memory": f"memory://records-{next(numbers)}", "sqlite": f"sqlite:///{tmp_path}/jobs.db"}.get(request.param)
    store = open_store(url or request.getfixturevalue(f"{request.param}_url"), f"records-{next(numbers)}")
    store.open()
    yield store
    store.erase()
    store.close()


def stored(store: Store) -> dict[str, Row]:
    return {row.record.id: row for row in store.find(Query(limit=1000)).rows}


@fuzzed(60)
@example([Record("", "job", "default", unique_key="key")])
@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_a_batch_of_anything_is_kept_as_it_is_or_refused_whole(store, batch):
    store.erase()
    store.push([Record("here", "job", "default")])
    try:
        ids = store.push(batch)
    except REFUSED:
        assert stored(store).keys() == {"here"}
    else:
        assert len(ids) == len(batch)
        rows = stored(store)
        for pushed in batch:
            if pushed.id in rows and all(pushed.id != other.id for other in batch if other is not pushed):
                due = rows[pushed.id].record.execute_at
                assert rows[pushed.id].record == replace(pushed, execute_at=due, delay=0)
    store.heartbeat("worker", 60, b"")
    assert "here" in {claim.record.id for claim in store.claim("default", "worker", 10, 0)}
    assert store.counts().jobs["default", State.ACTIVE]


@fuzzed(40)
@given(TEXTS, INTEGERS, INTEGERS, st.binary(max_size=5))
def test_an_outcome_of_anything_is_taken_or_refused_whole(store, worker, number, moment, meta):
    store.erase()
    store.heartbeat("worker", 60, b"")
    store.push([Record("a", "job", "default"), Record("b", "job", "default")])
    a, b = store.claim("default", "worker", 2, 0)
    for outcome in (
        replace(Outcome.done(a), fence=number),
        Outcome.retry(a, meta, execute_at=moment, delay=number),
        Outcome.done(a, jobs=[Record("follow", "job", "default", execute_at=moment, priority=number)]),
    ):
        with suppress(*REFUSED):
            store.settle("worker", [Outcome.done(b), outcome])
    with suppress(*REFUSED):
        assert store.settle(worker, [Outcome.done(a)]) in ([], ["a"])
    assert store.settle("worker", [Outcome.done(b)]) == ["b"]
    assert {state for _, state in store.counts().jobs} >= {State.DONE}


@given(TEXTS)
@fuzzed(200)
def test_what_the_core_lets_pass_every_store_keeps(store, text):
    try:
        check_text(text, "it")
    except InvalidJob:
        with pytest.raises(InvalidJob):
            Job(text)
        return
    store.erase()
    pushed = Record(text, text, text, unique_key=text)
    assert store.push([pushed]) == [text]
    assert replace(stored(store)[text].record, execute_at=0) == pushed


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, 50_000])
def test_a_batch_of_any_size_with_ids_and_keys_twice_lands_whole(store, size):
    batch = [Record(f"{n:05}", "job", "default", unique_key=f"{n // 2}") for n in range(max(0, size - 10))]
    batch += batch[: size - len(batch)] or [Record("one", "job", "default")] * size
    ids = store.push(batch)
    assert len(ids) == size
    assert sum(store.counts().jobs.values()) == len(set(ids))
    assert store.push(batch) == ids, "repeated, it changes nothing"
    assert sum(store.counts().jobs.values()) == len(set(ids))
