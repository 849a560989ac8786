"""Every store, failing by chance, with workers on it; and the wrapper itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from unreliable import Unreliable

from goscheds.backends.memory import MemoryStore
from goscheds.errors import StoreUnavailable
from goscheds.faulty import Fate, Faulty, by_chance
from goscheds.record import Query, Record
from goscheds.store import Erasable, Interruptible


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
    assert store.capabilities == MemoryStore.capabilities


def test_a_store_that_can_do_less_stays_one():
    class Plain(MemoryStore):
        interrupt = erase_later = None  # type: ignore[assignment]

    assert not isinstance(Faulty(Plain(), by_chance(1)), Interruptible)
