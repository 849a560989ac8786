from __future__ import annotations

import threading
from collections import deque

import pytest
from kit import claim

from goscheds.batch import LONG, MAX_BATCH, SHORT, Batch, Pace, apart
from goscheds.codec import Meta
from goscheds.context import Context
from goscheds.execution import Run
from goscheds.record import Outcome


def run(id: str = "", crashes: int = 0) -> Run:
    held = claim(id=id or "a")
    return Run(held, Context(lambda: None, 1, 1, "w"), (id, 1), Meta(crashes=crashes))


def outcome() -> Outcome:
    return Outcome.done(claim())


def test_claims_are_run_in_their_order():
    runs = [run(), run(), run()]
    batch = Batch(runs)
    assert [batch.next() for _ in range(4)] == [*runs, None]


def test_what_is_not_begun_may_be_taken_away():
    runs = [run(), run(), run()]
    batch = Batch(runs)
    batch.next()
    assert batch.take_waiting() == runs[1:]
    assert batch.take_waiting() == []
    assert batch.next() is None


def test_outcomes_are_taken_once():
    batch, first, second = Batch([]), outcome(), outcome()
    batch.add(first)
    batch.add(second)
    assert batch.take_outcomes() == [first, second]
    assert batch.take_outcomes() == []


class Raced(deque):
    """Whenever one is taken from it, another thread takes the next."""

    def popleft(self):
        first = super().popleft()
        if self:
            super().popleft()
        return first


def test_what_is_taken_away_while_another_takes_too_is_what_is_left():
    batch, runs = Batch([]), [run(str(n + 1)) for n in range(7)]
    batch._waiting = Raced(runs)
    assert batch.take_waiting() == runs[::2]


def test_each_claim_goes_to_one_taker_however_they_race():
    for _ in range(50):
        runs = [run() for _ in range(20)]
        batch, mine, begin = Batch(runs), [], threading.Barrier(2)

        def take(batch=batch, mine=mine, begin=begin):
            begin.wait()
            while taken := batch.next():
                mine.append(taken)

        slot = threading.Thread(target=take)
        slot.start()
        begin.wait()
        theirs = batch.take_waiting()
        slot.join()
        assert len(mine) + len(theirs) == len(runs)
        assert set(map(id, [*mine, *theirs])) == set(map(id, runs))


def test_a_pace_doubles_while_batches_are_short_and_halves_when_they_are_long():
    pace = Pace()
    limits = []
    for seconds in [SHORT / 2] * 9 + [LONG * 2] * 9:
        pace.learn(pace.limit, seconds)
        limits.append(pace.limit)
    assert limits == [2, 4, 8, 16, 32, 64, 100, 100, 100, 50, 25, 12, 6, 3, 1, 1, 1, 1]
    assert limits[8] == MAX_BATCH


@pytest.mark.parametrize(("ran", "seconds"), [(8, (SHORT + LONG) / 2), (7, SHORT / 2), (0, 0)])
def test_a_pace_stays_when_it_is_right_or_nothing_was_learnt(ran, seconds):
    pace = Pace()
    pace.limit = 8
    pace.learn(ran, seconds)
    assert pace.limit == 8


@pytest.mark.parametrize(
    ("crashes", "begun", "back"),
    [
        ([], [], []),
        ([0, 0], [0, 1], []),
        ([1], [0], []),
        ([1, 0, 2], [0], [1, 2]),
        ([0, 1, 0, 2], [0, 2], [1, 3]),
    ],
)
def test_what_crashed_a_worker_runs_alone_in_its_batch(crashes, begun, back):
    runs = [run(str(n + 1), crashes=times) for n, times in enumerate(crashes)]
    assert apart(runs) == ([runs[n] for n in begun], [runs[n] for n in back])
