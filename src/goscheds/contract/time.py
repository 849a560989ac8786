"""T: what a store promises about time."""

from __future__ import annotations

import time
from functools import partial

import pytest

from goscheds.clock import LATEST
from goscheds.contract.bench import (
    HOUR,
    LATE,
    MILLISECOND,
    PATIENCE,
    SECOND,
    background,
    eventually,
    gather,
    hire,
    ids,
    job,
    pass_moment,
    row,
    settle_in,
    state,
    take_one,
)
from goscheds.contract.case import Case, Clients
from goscheds.contract.processes import Start
from goscheds.record import Claim, Move, Outcome, State
from goscheds.store import DUTY_LEASE, Store

MOMENTS = (1, 2, 999_999, 1_000_001, 1_234_567_890_123_457, LATEST - 1, LATEST)
"""1970 to 2200, and microseconds that neither a float of seconds nor a millisecond can keep."""


class Time(Case):
    """T1 to T3."""

    def test_t1_no_job_starts_a_microsecond_early(self, store: Store) -> None:
        worker = hire(store)
        for number in range(60):
            due = store.now() + 2 * MILLISECOND + number * 7
            store.push([job(execute_at=due)])
            claim = _first_claim(store, worker)
            assert store.now() >= due
            assert claim.claimed_at >= due
            assert row(store, claim.record.id).fence == 1

    def test_t1_a_waiting_promotion_makes_nothing_ready_early(self, store: Store) -> None:
        for _ in range(10):
            one = job(delay=5 * MILLISECOND)
            before = store.now()
            store.push([one])
            assert eventually(lambda: store.promote("duty", 10, 1.0)) == 1
            ready = row(store, one.id)
            assert store.now() >= ready.record.execute_at >= before + 5 * MILLISECOND
            assert ready.changed_at >= ready.record.execute_at

    def test_t1_an_hour_away_is_not_due(self, store: Store, clients: Clients) -> None:
        worker, claim = take_one(store, job("retried"))
        store.settle(worker, [Outcome.retry(claim, delay=HOUR)])
        worker, claim = take_one(store)
        follow_up = job("follow-up", delay=HOUR)
        store.settle(worker, [Outcome.done(claim, jobs=[follow_up])])
        store.push([job("pushed", delay=HOUR), job("at", execute_at=store.now() + HOUR), job("moved")])
        assert store.move([Move.reschedule("moved", delay=HOUR)]) == [State.SCHEDULED]
        for client in (store, clients.another()):
            assert client.promote("duty", 10, 0.1) == 0
            assert client.claim("default", worker, 10, 0) == []
        waiting = ("retried", "follow-up", "pushed", "at", "moved")
        assert {state(store, id) for id in waiting} == {State.SCHEDULED}

    def test_t1_what_is_due_already_is_ready_at_once(self, store: Store) -> None:
        store.push([job("past", execute_at=store.now() - HOUR), job("epoch", execute_at=1), job("now")])
        assert ids(gather(store, hire(store))) == ["past", "epoch", "now"]

    @pytest.mark.slow
    @pytest.mark.parametrize("skew", [3600, -3600])
    def test_t1_clients_whose_clocks_are_an_hour_wrong_change_nothing(
        self, store: Store, start: Start, skew: int
    ) -> None:
        store.push([job("held", queue="held")])
        actor = start("skewed", skew=skew, worker="skewed", lease=30.0, due_in=700)
        said = actor.hear()
        assert abs(said["clock"] - time.time() - skew) < 60, "the test's own clock was not bent"
        assert abs(said["now"] - store.now()) < 60 * SECOND, "the store's clock is the client's"
        expires_at = next(one.expires_at for one in store.workers() if one.id == "skewed")
        assert 0 < expires_at - store.now() <= 30 * SECOND
        worker = hire(store)
        assert ids(store.claim("default", worker, 10, 0)) == ["now"]
        assert store.recover(worker, 10) == []
        actor.tell()
        assert actor.hear(within=2 * LATE) == 2
        for id in ("at", "in"):
            found = row(store, id)
            assert found.changed_at >= found.record.execute_at >= said["due"] - SECOND
            assert found.changed_at - found.record.execute_at < PATIENCE * SECOND
        assert sorted(ids(store.claim("default", worker, 10, 0))) == ["at", "in"]
        actor.tell()
        assert actor.hear() == said["held"] == ["held"]
        pass_moment(store, row(store, "held").record.execute_at)

    def test_t2_moments_come_back_to_the_microsecond(self, store: Store) -> None:
        store.push([job(f"{moment}", execute_at=moment) for moment in MOMENTS])
        assert {moment: row(store, f"{moment}").record.execute_at for moment in MOMENTS} == {m: m for m in MOMENTS}
        past = [moment for moment in MOMENTS if moment < store.now()]
        claims = gather(store, hire(store))
        assert [claim.record.execute_at for claim in claims] == past

    def test_t2_moments_of_moves_and_retries_come_back_to_the_microsecond(self, store: Store) -> None:
        worker, claim = take_one(store, job("retried"))
        store.push([job("moved")])
        for moment in MOMENTS[-2:]:
            store.settle(worker, [Outcome.retry(claim, execute_at=moment)])
            assert row(store, "retried").record.execute_at == moment
            store.move([Move.retry("retried"), Move.reschedule("moved", execute_at=moment)])
            assert row(store, "moved").record.execute_at == moment
            (claim,) = store.claim("default", worker, 1, 0)

    def test_t2_a_delay_counts_from_its_moment_or_from_now(self, store: Store) -> None:
        moment = store.now() + HOUR + 1
        before = store.now()
        store.push([job("sum", execute_at=moment, delay=3), job("delay", delay=HOUR), job("now")])
        after = store.now()
        found = {id: row(store, id).record for id in ("sum", "delay", "now")}
        assert {record.delay for record in found.values()} == {0}
        assert found["sum"].execute_at == moment + 3
        assert before + HOUR <= found["delay"].execute_at <= after + HOUR
        assert before <= found["now"].execute_at <= after
        store.move([Move.reschedule("now", execute_at=moment, delay=5)])
        assert row(store, "now").record.execute_at == moment + 5

    def test_t2_what_happened_when_is_kept(self, store: Store) -> None:
        before = store.now()
        worker, claim = take_one(store, job(delay=0))
        held = row(store, claim.record.id)
        assert before <= held.pushed_at <= held.changed_at <= store.now()
        assert held.changed_at == claim.claimed_at
        pass_moment(store, store.now() + MILLISECOND)
        store.settle(worker, [Outcome.done(claim)])
        settled = row(store, claim.record.id)
        assert settled.pushed_at == held.pushed_at
        assert held.changed_at < settled.changed_at <= store.now()

    def test_t2_the_clock_is_that_of_every_client(self, store: Store, clients: Clients) -> None:
        other = clients.another()
        times = [client.now() for _ in range(20) for client in (store, other)]
        assert times == sorted(times)
        assert 1_600_000_000 * SECOND < times[0] < LATEST

    def test_t3_a_due_job_is_made_ready_with_no_traffic_at_all(self, store: Store) -> None:
        store.push([job("due", delay=200 * MILLISECOND), job("later", delay=HOUR)])
        assert store.promote("duty", 10, PATIENCE) == 1
        ready = row(store, "due")
        assert ready.state is State.READY
        assert ready.changed_at - ready.record.execute_at < LATE * SECOND

    def test_t3_an_earlier_job_is_not_held_up_by_a_later_one(self, store: Store, clients: Clients) -> None:
        other = clients.another()
        worker, claim = take_one(other, job("retried"))
        store.push([job("later", delay=HOUR), job("moved", delay=HOUR)])
        soon = 50 * MILLISECOND
        for id, schedule in (
            ("pushed", lambda: other.push([job("pushed", delay=soon)])),
            ("moved", lambda: other.move([Move.reschedule("moved", delay=soon)])),
            ("retried", lambda: other.settle(worker, [Outcome.retry(claim, delay=soon)])),
        ):
            promotion = background(lambda: store.promote("duty", 10, PATIENCE))
            settle_in()
            schedule()
            assert promotion.result(LATE) == 1
            assert ids(gather(store, worker)) == [id]

    def test_t3_an_earlier_job_is_not_held_up_with_the_wake_up_channel_cut(self, store: Store, polling: Store) -> None:
        for sleeper, other in ((polling, store), (store, polling)):
            promotion = background(partial(sleeper.promote, "duty", 10, PATIENCE))
            settle_in()
            other.push([job(delay=50 * MILLISECOND)])
            assert promotion.result(LATE) == 1

    def test_t3_an_idle_promotion_returns_after_its_timeout(self, store: Store) -> None:
        for timeout in (0.0, 0.2):
            began = time.monotonic()
            assert store.promote("duty", 10, timeout) == 0
            assert timeout * 0.9 <= time.monotonic() - began < timeout + LATE

    def test_t3_one_worker_holds_the_duties(self, store: Store, clients: Clients) -> None:
        other = clients.another()
        one, two = hire(store), hire(store)
        store.push([job(delay=1)])
        assert store.promote(one, 10, 1.0) == 1
        assert other.promote(two, 10, 0.1) is None
        store.heartbeat(one, 0, b"")
        assert other.promote(two, 10, 0) == 0
        assert store.promote(one, 10, 0) is None

    @pytest.mark.slow
    def test_t3_the_duties_of_a_worker_that_died_are_taken_over(self, store: Store) -> None:
        store.promote("dead", 10, 0)
        store.push([job(delay=1)])
        began = time.monotonic()
        assert eventually(lambda: store.promote("heir", 10, 1.0)) == 1
        assert time.monotonic() - began < DUTY_LEASE + LATE


def _first_claim(store: Store, worker: str) -> Claim:
    """Promote and claim as tightly as it goes."""
    while True:
        store.promote("duty", 10, 0)
        if claims := store.claim("default", worker, 10, 0):
            return claims[0]
