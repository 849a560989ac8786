from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from kit import until

from goscheds import trips
from goscheds.errors import StoreError
from goscheds.trips import FULL, MOST, Trips

AWAY = 2


class Way:
    """A way to the store on which each trip waits until it is let go, and brings back as many as it was asked for."""

    def __init__(self):
        self.asked: list[tuple[list[str], int]] = []
        self.gates = [threading.Event() for _ in range(9)]
        self.errors: dict[int, Exception] = {}
        self.brings = MOST
        self.trips = Trips(self, AWAY)
        self._threads = ThreadPoolExecutor(9)

    def __call__(self, outcomes, limit):
        nth = len(self.asked)
        self.asked.append((outcomes, limit))
        assert self.gates[nth].wait(9)
        if nth in self.errors:
            raise self.errors[nth]
        return [f"run {number} of trip {nth}" for number in range(min(limit, self.brings))]

    def go(self, outcome: str, limit: int = 2, count: int = 1) -> Future[list[str]]:
        """A slot that has something to settle; it is on its way, or waits for a place."""
        before = len(self.asked) + len(self.trips._waiting)
        gone = self._threads.submit(self.trips.go, [outcome] * count, limit)
        until(lambda: len(self.asked) + len(self.trips._waiting) > before)
        return gone

    def fill(self) -> list[Future[list[str]]]:
        """As many as may be away at a time."""
        return [self.go(f"first {nth}") for nth in range(AWAY)]

    def end(self, nth: int) -> None:
        self.gates[nth].set()


@pytest.fixture
def way():
    way = Way()
    yield way
    for gate in way.gates:
        gate.set()
    way._threads.shutdown()


def test_a_slot_goes_at_once_while_there_is_a_place(way):
    gone = way.fill()
    assert way.asked == [(["first 0"], 2), (["first 1"], 2)]
    way.end(1)
    assert gone[1].result(9) == ["run 0 of trip 1", "run 1 of trip 1"]
    assert not gone[0].done()


def test_those_who_wait_for_a_place_go_together_and_share_what_is_brought(way):
    way.fill()
    waiting = [way.go(name) for name in "abc"]
    assert len(way.asked) == AWAY
    way.end(0)
    until(lambda: len(way.asked) > AWAY)
    assert way.asked[AWAY] == (["a", "b", "c"], 6)
    way.brings = 5
    way.end(AWAY)
    assert [one.result(9) for one in waiting] == [
        ["run 0 of trip 2", "run 3 of trip 2"],
        ["run 1 of trip 2", "run 4 of trip 2"],
        ["run 2 of trip 2"],
    ]


def test_a_trip_asks_for_no_more_than_a_server_does_at_a_time(way):
    way.fill()
    waiting = [way.go(name, MOST // 2) for name in "abc"]
    way.end(0)
    until(lambda: len(way.asked) > AWAY)
    assert way.asked[AWAY] == (["a", "b"], MOST)
    way.end(1)
    until(lambda: len(way.asked) > AWAY + 1)
    assert way.asked[AWAY + 1] == (["c"], MOST // 2)
    way.end(AWAY)
    way.end(AWAY + 1)
    assert [len(one.result(9)) for one in waiting] == [MOST // 2] * 3


@pytest.mark.parametrize(("late", "together"), [(3600, 1), (0, 3)])
def test_full_batches_go_together_if_they_have_waited_long(way, monkeypatch, late, together):
    monkeypatch.setattr("goscheds.trips.LATE", late)
    way.fill()
    for name in "abc":
        way.go(name, FULL, FULL)
    way.end(0)
    until(lambda: len(way.asked) > AWAY)
    assert len(way.asked[AWAY][0]) == together * FULL


def test_both_places_that_become_free_are_taken(way):
    way.fill()
    waiting = [way.go(name, MOST) for name in "ab"]
    with way.trips._lock:  # both end before anybody who waits has looked
        way.end(0)
        way.end(1)
    until(lambda: len(way.asked) == AWAY + 2)
    assert [asked for asked, _ in way.asked[AWAY:]] == [["a"], ["b"]]
    assert not any(one.done() for one in waiting)


def test_all_who_went_learn_of_an_error(way):
    way.fill()
    waiting = [way.go(name) for name in "abc"]
    way.errors[AWAY] = StoreError("no")
    way.end(0)
    way.end(AWAY)
    for one in waiting:
        with pytest.raises(StoreError, match="no"):
            one.result(9)
    assert way.go("d").done() is False  # there is a place again
    way.end(AWAY + 1)


def test_trips_that_hang_keep_nobody_from_going(way, monkeypatch):
    monkeypatch.setattr(trips, "HUNG", 0.05)
    way.fill()
    waiting = way.go("a")
    until(lambda: len(way.asked) > AWAY)
    assert way.asked[AWAY] == (["a"], 2)
    way.end(AWAY)
    assert len(waiting.result(9)) == 2


def test_who_was_taken_along_by_a_trip_that_hangs_leaves_it_and_what_it_brings_goes_to_the_others(way, monkeypatch):
    way.fill()
    waiting = [way.go(name) for name in "abc"]
    monkeypatch.setattr(trips, "HUNG", 0.05)
    way.end(0)
    assert [one.result(9) for one in waiting[1:]] == [[], []]
    assert not waiting[0].done()
    assert way.asked[AWAY] == (["a", "b", "c"], 6)
    way.end(AWAY)
    assert len(waiting[0].result(9)) == 6
