"""C: what claim promises."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from itertools import chain
from statistics import median

import pytest

from goscheds import record
from goscheds.contract.bench import (
    HOUR,
    LATE,
    MILLISECOND,
    PATIENCE,
    PROMPT,
    background,
    eventually,
    gather,
    hire,
    ids,
    job,
    jobs,
    pass_moment,
    row,
    settle_in,
    state,
    take,
    take_one,
    together,
)
from goscheds.contract.case import Case, Clients
from goscheds.contract.processes import Start
from goscheds.record import Move, Outcome, State
from goscheds.store import Interruptible, Store

Claims = list[record.Claim]


class Claim(Case):
    """C1 to C5."""

    def test_c1_a_claimed_job_is_nobody_elses(self, store: Store, clients: Clients) -> None:
        worker, claims = take(store, *jobs(5))
        other = clients.another()
        assert other.claim("default", hire(other), 10, 0) == []
        assert store.claim("default", worker, 10, 0) == []
        assert [(claim.fence, claim.lost) for claim in claims] == [(1, record.Lost.NOT)] * 5

    def test_c1_each_claim_stamps_a_fence_one_higher(self, store: Store) -> None:
        worker, claim = take_one(store)
        for fence, outcome in enumerate([Outcome.released, Outcome.retry, Outcome.done, Outcome.dead], start=2):
            assert store.settle(worker, [outcome(claim)]) == [claim.record.id]
            store.move([Move.retry(claim.record.id)])
            (claim,) = store.claim("default", worker, 1, 0)
            assert claim.fence == fence

    def test_c1_a_claim_takes_no_more_than_its_limit(self, store: Store) -> None:
        store.push(jobs(10))
        worker = hire(store)
        assert [len(store.claim("default", worker, limit, 0)) for limit in (1, 3, 4, 5, 6)] == [1, 3, 4, 2, 0]

    def test_c1_a_claim_is_of_its_own_queue(self, store: Store) -> None:
        store.push([job("a", queue="one"), job("b", queue="two")])
        worker = hire(store)
        assert ids(store.claim("two", worker, 10, 0)) == ["b"]
        assert store.claim("three", worker, 10, 0) == []
        assert ids(store.claim("one", worker, 10, 0)) == ["a"]

    @pytest.mark.slow
    def test_c1_eight_threads_that_race_take_each_of_2000_jobs_once(self, store: Store, clients: Clients) -> None:
        pushed = jobs(2_000)
        store.push(pushed)
        racers = [clients.another() for _ in range(8)]
        claims = together([partial(_race, racer) for racer in racers])
        assert sorted(ids(chain(*claims))) == ids(pushed)

    @pytest.mark.slow
    def test_c1_eight_processes_that_race_take_each_of_2000_jobs_once(self, store: Store, start: Start) -> None:
        pushed = jobs(2_000)
        store.push(pushed)
        racers = [start("race", limit=limit) for limit in (1, 1, 2, 3, 5, 8, 13, 21)]
        for racer in racers:
            assert racer.hear() == "ready"
        for racer in racers:
            racer.tell()
        claims = [claim for racer in racers for claim in racer.hear(within=3 * PATIENCE)]
        assert sorted(claims) == [[id, 1] for id in ids(pushed)]

    def test_c2_jobs_come_in_the_order_in_which_they_were_pushed(self, store: Store) -> None:
        pushed = jobs(30)[::-1]
        store.push(pushed[:10])
        for one in pushed[10:20]:
            store.push([one])
        store.push(pushed[20:])
        assert ids(gather(store, hire(store), batch=7)) == ids(pushed)

    def test_c2_higher_priority_comes_first(self, store: Store) -> None:
        priorities = (0, -100, 100, 1, -1, 0, 100, -100, 10, 9)
        pushed = [job(f"{number}", priority=priority) for number, priority in enumerate(priorities)]
        store.push(pushed)
        pushed.sort(key=lambda one: -one.priority)
        expected = ids(pushed)
        worker = hire(store)
        assert ids(store.claim("default", worker, 1, 0)) == expected[:1]
        assert ids(gather(store, worker, batch=4)) == expected[1:]

    def test_c2_due_jobs_join_the_end_of_their_queue_earliest_first(self, store: Store) -> None:
        soon = 30 * MILLISECOND  # by the store's clock: scheduled, however late the push comes
        delays = {"third": 3, "first": 1, "second": 2}
        store.push([job(id, delay=soon + after * MILLISECOND) for id, after in delays.items()])
        store.push([job("ready")])
        pass_moment(store, max(row(store, id).record.execute_at for id in delays))
        store.push([job("late")])
        assert store.promote("duty", 10, 1.0) == 3
        assert ids(gather(store, hire(store))) == ["ready", "late", "first", "second", "third"]

    def test_c2_of_jobs_due_at_one_moment_a_waiting_worker_gets_the_higher_priority(self, store: Store) -> None:
        worker, due = hire(store), store.now() + 100 * MILLISECOND
        store.push([job("low", execute_at=due), job("high", execute_at=due, priority=1)])
        claim = background(partial(eventually, partial(store.claim, "default", worker, 1, PATIENCE)))
        promotion = background(partial(store.promote, worker, 10, 1.0))
        assert ids(claim.result(2 * PATIENCE)) == ["high"]
        promotion.result(PATIENCE)

    def test_c2_released_jobs_join_the_front_in_the_order_of_the_batch(self, store: Store) -> None:
        worker, claims = take(store, job("a"), job("b"), job("c"))
        store.push([job("d"), job("urgent", priority=1)])
        a, b, c = claims
        assert store.settle(worker, [Outcome.released(c)]) == ["c"]
        assert store.settle(worker, [Outcome.released(b), Outcome.released(a)]) == ["b", "a"]
        assert ids(gather(store, worker)) == ["urgent", "b", "a", "c", "d"]

    def test_c2_a_job_retried_at_once_joins_the_end(self, store: Store) -> None:
        worker, (by_worker, by_hand) = take(store, job("by worker"), job("by hand"))
        store.push([job("waiting")])
        store.settle(worker, [Outcome.retry(by_worker), Outcome.dead(by_hand)])
        assert store.move([Move.retry("by hand")]) == [State.READY]
        store.push([job("last")])
        assert ids(gather(store, worker)) == ["waiting", "by worker", "by hand", "last"]

    @pytest.mark.slow
    def test_c3_a_claim_costs_the_same_in_front_of_100000_waiting_jobs(self, store: Store) -> None:
        worker = hire(store)
        store.push(jobs(10))
        few = [_seconds_of_a_claim(store, worker) for _ in range(30)]
        for _ in range(8):
            store.push(jobs(10_000))
        store.push(jobs(10_000, queue="other"))
        store.push(jobs(10_000, delay=HOUR))
        many = [_seconds_of_a_claim(store, worker) for _ in range(30)]
        assert median(many) < 10 * median(few) + 0.001, "a claim that walks the queue takes thousands of times as long"

    def test_c4_an_idle_claim_returns_empty_after_its_timeout(self, store: Store) -> None:
        worker = hire(store)
        for timeout in (0.0, 0.2):
            began = time.monotonic()
            assert store.claim("default", worker, 1, timeout) == []
            assert timeout * 0.9 <= time.monotonic() - began < timeout + LATE

    def test_c4_a_push_wakes_an_idle_claim_promptly(self, store: Store, clients: Clients) -> None:
        other, worker = clients.another(), hire(store)
        assert min(_seconds_to_wake(store, worker, other) for _ in range(3)) < PROMPT

    def test_c4_whatever_makes_a_job_ready_wakes_an_idle_claim(self, store: Store, clients: Clients) -> None:
        other, waiting = clients.another(), hire(store)
        hands, (one, two) = take(other, job("retried"), job("released"))
        other.push([job("by hand", delay=HOUR), job("rescheduled", delay=HOUR), job("due", delay=HOUR)])
        other.move([Move.cancel("by hand")])
        doors: dict[str, Callable[[], object]] = {
            "pushed": lambda: other.push([job("pushed")]),
            "urgent": lambda: other.push([job("urgent", priority=100)]),
            "humble": lambda: other.push([job("humble", priority=-100)]),
            "retried": lambda: other.settle(hands, [Outcome.retry(one)]),
            "released": lambda: other.settle(hands, [Outcome.released(two)]),
            "by hand": lambda: other.move([Move.retry("by hand")]),
            "rescheduled": lambda: other.move([Move.reschedule("rescheduled")]),
        }
        for id, make_ready in doors.items():
            claim = _waiting_claim(store, waiting)
            make_ready()
            assert ids(claim.result(LATE)) == [id]

    def test_c4_a_promoted_job_wakes_an_idle_claim(self, store: Store, clients: Clients) -> None:
        claim = _waiting_claim(store, hire(store))
        other = clients.another()
        other.push([job("due", delay=20 * MILLISECOND)])
        assert other.promote("duty", 10, PATIENCE) == 1
        assert ids(claim.result(LATE)) == ["due"]

    def test_c4_of_many_idle_claims_each_gets_one_of_as_many_jobs(self, store: Store, clients: Clients) -> None:
        idle = [clients.another() for _ in range(4)]
        claims = [background(partial(one.claim, "default", hire(one), 1, PATIENCE)) for one in idle]
        settle_in()
        pushed = jobs(4)
        store.push(pushed)
        assert sorted(ids(chain(*[claim.result(LATE) for claim in claims]))) == ids(pushed)

    def test_c4_one_job_wakes_one_of_two_idle_claims(self, store: Store, clients: Clients) -> None:
        idle = [clients.another() for _ in range(2)]
        claims = [background(partial(one.claim, "default", hire(one), 1, 0.3)) for one in idle]
        settle_in()
        store.push([job("one")])
        assert sorted(ids(claim.result(PATIENCE)) for claim in claims) == [[], ["one"]]

    def test_c4_a_cut_wake_up_channel_costs_latency_and_no_job(self, store: Store, polling: Store) -> None:
        claim = _waiting_claim(polling, hire(polling))
        store.push([job("pushed")])
        assert ids(claim.result(LATE)) == ["pushed"]
        claim = _waiting_claim(store, hire(store))
        polling.push([job("unannounced")])
        assert ids(claim.result(LATE)) == ["unannounced"]

    def test_c4_an_interrupted_worker_waits_no_more(self, store: Store) -> None:
        if not isinstance(store, Interruptible):
            pytest.skip("the store is not Interruptible")
        worker, other = hire(store), hire(store)
        claim, promote = _waiting_claim(store, worker), background(lambda: store.promote(worker, 1, PATIENCE))
        settle_in()
        store.interrupt(worker)
        assert (claim.result(LATE), promote.result(LATE)) == ([], 0)
        began = time.monotonic()
        assert store.claim("default", worker, 1, PATIENCE) == []
        assert time.monotonic() - began < LATE
        left_alone = _waiting_claim(store, other)
        store.push([job("one")])
        assert ids(left_alone.result(LATE)) == ["one"]

    def test_c5_a_paused_queue_hands_out_nothing_and_loses_nothing(self, store: Store) -> None:
        pushed = jobs(5)
        store.push(pushed[:3])
        worker = hire(store)
        store.pause("default", paused=True)
        store.pause("default", paused=True)
        store.push([*pushed[3:], job("elsewhere", queue="other")])
        assert store.claim("default", worker, 10, 0.1) == []
        assert store.counts().paused == {"default"}
        assert ids(gather(store, worker, "other")) == ["elsewhere"]
        store.pause("default", paused=False)
        assert store.counts().paused == frozenset()
        assert ids(gather(store, worker)) == ids(pushed)

    def test_c5_a_pause_reaches_a_claim_that_is_waiting(self, store: Store, clients: Clients) -> None:
        worker, other = hire(store), clients.another()
        claim = background(lambda: store.claim("default", worker, 1, 0.3))
        settle_in()
        other.pause("default", paused=True)
        other.push([job("one")])
        assert claim.result(PATIENCE) == []
        assert state(other, "one") is State.READY
        assert store.held(worker) == []

    def test_c5_resuming_wakes_an_idle_claim(self, store: Store, clients: Clients) -> None:
        store.pause("default", paused=True)
        store.push([job("one")])
        claim = _waiting_claim(store, hire(store))
        clients.another().pause("default", paused=False)
        assert ids(claim.result(LATE)) == ["one"]

    def test_c5_what_is_held_when_the_pause_comes_can_be_settled(self, store: Store) -> None:
        worker, (one, two, three) = take(store, *jobs(3))
        store.pause("default", paused=True)
        assert len(store.settle(worker, [Outcome.done(one), Outcome.released(two), Outcome.retry(three)])) == 3
        assert store.claim("default", worker, 10, 0) == []
        store.pause("default", paused=False)
        assert ids(gather(store, worker)) == ids([two, three])


def _race(store: Store) -> Claims:
    return gather(store, hire(store), batch=3)


def _waiting_claim(store: Store, worker: str) -> Future[Claims]:
    """A claim of one job that is under way and waits."""
    claim = background(lambda: store.claim("default", worker, 1, PATIENCE))
    settle_in()
    return claim


def _seconds_to_wake(store: Store, worker: str, other: Store) -> float:
    claim = _waiting_claim(store, worker)
    began = time.monotonic()
    other.push([job()])
    assert claim.result(LATE)
    return time.monotonic() - began


def _seconds_of_a_claim(store: Store, worker: str) -> float:
    store.push([job()])
    began = time.perf_counter()
    (claim,) = store.claim("default", worker, 1, 0)
    took = time.perf_counter() - began
    assert store.settle(worker, [Outcome.done(claim, keep=False)])
    return took
