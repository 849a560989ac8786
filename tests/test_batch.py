from __future__ import annotations

import threading
from collections import deque
from random import Random

import pytest
from kit import claim

from goscheds.batch import LONG, MAX_BATCH, PATIENCE, RISK, SHORT, Backlog, Batch, Pace, apart
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
        pace.learn(pace.limit, seconds, LONG)
        limits.append(pace.limit)
    assert limits == [2, 4, 8, 16, 32, 64, 100, 100, 100, 50, 25, 12, 6, 3, 1, 1, 1, 1]
    assert limits[8] == MAX_BATCH


@pytest.mark.parametrize(("ran", "seconds"), [(8, (SHORT + LONG) / 2), (7, SHORT / 2), (0, 0)])
def test_a_pace_stays_when_it_is_right_or_nothing_was_learnt(ran, seconds):
    pace = Pace()
    pace.limit = 8
    pace.learn(ran, seconds, 0)
    assert pace.limit == 8


def grown(pace: Pace, jobs: int) -> int:
    """Its limit after so many short jobs."""
    for _ in range(jobs):
        pace.learn(1, 0, 0)
    pace.learn(pace.limit, 0, 0)
    return pace.limit


def test_where_every_nth_job_is_long_the_batch_is_so_small_that_few_wait_behind_one():
    dice, behind, jobs = Random(1), 0, 0  # noqa: S311 - for a test
    pace = Pace()
    for number in range(20_000):
        size = pace.limit
        seconds = [0.05 if dice.random() < 0.01 else 0.0001 for _ in range(size)]
        longest = max(seconds)
        pace.learn(size, sum(seconds), longest)
        if number > 100:
            behind += size - 1 - seconds.index(longest) if longest > LONG else 0
            jobs += size
    assert behind < RISK * jobs


def test_a_queue_that_becomes_mixed_is_known_by_a_few_long_jobs():
    pace = Pace()
    for _ in range(300):
        pace.learn(pace.limit, 0, 0)
    assert pace.limit == MAX_BATCH
    for _ in range(4):
        grown(pace, 10)
        pace.slow()
    assert grown(pace, 10) == 1


def test_one_stall_of_all_slots_among_thousands_of_short_jobs_costs_little():
    pace = Pace()
    for _ in range(60):
        pace.learn(pace.limit, 0, 0)
    for _ in range(8):
        pace.learn(pace.limit, LONG * 2, LONG * 2)
    assert pace.limit == 1
    for _ in range(7):
        pace.learn(pace.limit, 0, 0)
    assert pace.limit > MAX_BATCH / 2


def test_a_batch_is_late_when_one_run_or_all_of_it_takes_long(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("goscheds.batch.time.monotonic", lambda: now[0])
    batch = Batch([run(), run(), run()])
    batch.next()
    assert not batch.late(99.999 + LONG)
    assert batch.late(100.001 + LONG)
    now[0] += LONG
    batch.next()
    assert batch.longest == pytest.approx(LONG)
    assert not batch.late(99.999 + PATIENCE)
    assert batch.late(100.001 + PATIENCE)


def test_a_backlog_is_late_when_its_oldest_is():
    backlog, first, second = Backlog(lambda: None), run("1"), run("2")
    assert not backlog.late(float("inf"))
    backlog.add([first, second])
    assert not backlog.late(first.taken + PATIENCE / 2)
    assert backlog.late(first.taken + PATIENCE * 2)


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
