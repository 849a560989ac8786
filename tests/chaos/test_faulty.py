"""Every store, failing by chance, with workers on it; and the wrapper itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from unreliable import Unreliable

from goscheds.backends.memory import MemoryStore
from goscheds.chaos.journal import Journal, Reader
from goscheds.chaos.recorder import Recorder
from goscheds.errors import StoreUnavailable
from goscheds.faulty import Fate, Faulty, by_chance
from goscheds.record import Outcome, Query, Record
from goscheds.store import Erasable, Interruptible, Pipelined


class TestMemory(Unreliable):
    @pytest.fixture
    def store_url(self) -> str:
        return f"memory://{uuid4().hex}"


class TestSQLite(Unreliable):
    @pytest.fixture
    def store_url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/jobs.db"


class TestRedis(Unreliable):
    @pytest.fixture
    def store_url(self, redis_url: str) -> str:
        return redis_url


class TestPostgres(Unreliable):
    @pytest.fixture
    def store_url(self, postgres_url: str) -> str:
        return postgres_url


def test_a_refused_call_does_nothing_and_a_lost_one_acts():
    inside = MemoryStore()
    for fate, stored in ((Fate.REFUSED, []), (Fate.LOST, ["one"])):
        store = Faulty(inside, lambda verb, fate=fate: fate)
        with pytest.raises(StoreUnavailable):
            store.push([Record("one", "job", "default")])
        assert [row.record.id for row in inside.find(Query()).rows] == stored
        store.calm()
        assert store.push([Record("two", "job", "default")]) == ["two"]
        inside.erase()


def test_a_call_has_the_same_fate_whatever_other_verbs_do():
    def alone():
        fates = by_chance(7)
        return [fates("claim") for _ in range(200)]

    mixed = by_chance(7)
    assert [(mixed("push"), mixed("claim"), mixed("push"))[1] for _ in range(200)] == alone()


def test_the_chances_are_as_said():
    fates = by_chance(1, refused=0.2, lost=0.3)
    met = Counter(fates("push") for _ in range(10_000))
    assert met[Fate.REFUSED] == pytest.approx(2000, abs=150)
    assert met[Fate.LOST] == pytest.approx(3000, abs=150)


def test_what_the_store_can_do_beyond_the_law_the_wrapper_can():
    store = Faulty(MemoryStore(), by_chance(1))
    assert isinstance(store, Interruptible)
    assert isinstance(store, Erasable)
    assert isinstance(store, Pipelined)
    assert store.capabilities == MemoryStore.capabilities


def test_a_store_that_can_do_less_stays_one():
    class Plain(MemoryStore):
        interrupt = settle_and_claim = None  # type: ignore[assignment]

    store = Faulty(Plain(), by_chance(1))
    assert not isinstance(store, Interruptible)
    assert not isinstance(store, Pipelined)


def test_an_optional_verb_meets_its_fate_like_any():
    inside = MemoryStore()
    inside.heartbeat("worker", 10, b"")
    inside.push([Record("one", "job", "default")])
    store = Faulty(inside, lambda verb: Fate.LOST if verb == "settle_and_claim" else Fate.FINE)
    with pytest.raises(StoreUnavailable):
        store.settle_and_claim("worker", [], "default", 1)
    assert [claim.record.id for claim in store.held("worker")] == ["one"]


def test_a_recorder_writes_down_both_halves_of_a_settle_and_claim(tmp_path: Path):
    inside = MemoryStore()
    inside.heartbeat("worker", 10, b"")
    inside.push([Record("one", "job", "default"), Record("two", "job", "default")])
    store = Recorder(inside, Journal(tmp_path / "journal"))
    [claim] = store.claim("default", "worker", 1, 0)
    store.settle_and_claim("worker", [Outcome.done(claim)], "default", 1)
    first, settling, settled, second = Reader(tmp_path / "journal").read()
    assert ([end.id for end in settling.ends], settled.ids, settled.call) == (["one"], ["one"], settling.call)
    assert [[taken.id for taken in one.claims] for one in (first, second)] == [["one"], ["two"]]
