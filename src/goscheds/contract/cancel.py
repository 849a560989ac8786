"""X: what move promises, cancel above all."""

from __future__ import annotations

import pytest

from goscheds.contract.bench import (
    HOUR,
    LONG,
    MILLISECOND,
    gather,
    hire,
    ids,
    job,
    jobs,
    pass_moment,
    picture,
    recover_all,
    row,
    state,
    take,
    take_one,
    together,
)
from goscheds.contract.case import Case, Clients
from goscheds.contract.processes import Start
from goscheds.record import Move, Outcome, State
from goscheds.store import Store


class Cancel(Case):
    """X1 to X3."""

    def test_x1_a_cancelled_job_never_starts(self, store: Store) -> None:
        due = store.now() + 20 * MILLISECOND
        store.push([job("ready"), job("scheduled", execute_at=due), job("left alone")])
        assert store.move([Move.cancel("ready"), Move.cancel("scheduled")]) == [State.CANCELLED] * 2
        pass_moment(store, due)
        assert store.promote("duty", 10, 0) == 0
        assert ids(gather(store, hire(store))) == ["left alone"]
        assert [row(store, id).fence for id in ("ready", "scheduled")] == [0, 0]

    def test_x1_cancelling_twice_is_cancelling_once(self, store: Store) -> None:
        store.push([job("one")])
        store.move([Move.cancel("one")])
        before = picture(store)
        assert store.move([Move.cancel("one")]) == [State.CANCELLED]
        assert picture(store) == before

    def test_x1_a_job_that_is_over_stays_as_it_ended(self, store: Store) -> None:
        worker, (done, dead) = take(store, job("done"), job("dead"))
        store.settle(worker, [Outcome.done(done, result=b"result"), Outcome.dead(dead)])
        before = picture(store)
        moves = [Move.cancel("done"), Move.cancel("dead"), Move.cancel("unknown")]
        assert store.move(moves) == [State.DONE, State.DEAD, None]
        assert picture(store) == before

    def test_x1_a_retried_job_may_be_cancelled_while_it_waits(self, store: Store) -> None:
        worker, (later, now) = take(store, job("later"), job("now"))
        store.settle(worker, [Outcome.retry(later, delay=HOUR), Outcome.released(now)])
        assert store.move([Move.cancel("later"), Move.cancel("now")]) == [State.CANCELLED] * 2
        assert store.claim("default", worker, 10, 0) == []

    def test_x2_the_holder_is_told_by_the_next_heartbeat_and_each_after_it(
        self, store: Store, clients: Clients
    ) -> None:
        worker, (one, two, three) = take(store, *jobs(3))
        bystander, _ = take_one(store, job(queue="other"))
        other = clients.another()
        assert other.move([Move.cancel(one.record.id), Move.cancel(three.record.id)]) == [State.ACTIVE] * 2
        assert [row(store, id).cancelling for id in ids([one, two, three])] == [True, False, True]
        for _ in range(2):
            assert sorted(store.heartbeat(worker, LONG, b"").cancel) == ids([one, three])
        assert store.heartbeat(bystander, LONG, b"").cancel == ()
        store.settle(worker, [Outcome.cancelled(one)])
        assert store.heartbeat(worker, LONG, b"").cancel == (three.record.id,)

    def test_x2_a_job_to_be_cancelled_is_not_run_again(self, store: Store) -> None:
        worker, claims = take(store, *jobs(6))
        store.move([Move.cancel(id) for id in ids(claims)])
        retried, later, released, done, dead, cancelled = claims
        outcomes = [
            Outcome.retry(retried, b"meta"),
            Outcome.retry(later, delay=HOUR),
            Outcome.released(released),
            Outcome.done(done, result=b"result"),
            Outcome.dead(dead),
            Outcome.cancelled(cancelled),
        ]
        assert store.settle(worker, outcomes) == ids(claims)
        expected = [State.CANCELLED] * 3 + [State.DONE, State.DEAD, State.CANCELLED]
        assert [state(store, id) for id in ids(claims)] == expected
        assert row(store, retried.record.id).record.meta == b"meta"
        assert not any(row(store, id).cancelling for id in ids(claims))
        assert store.heartbeat(worker, LONG, b"").cancel == ()

    def test_x2_a_job_cancelled_and_retried_starts_with_a_clean_slate(self, store: Store) -> None:
        worker, claim = take_one(store, job("one"))
        store.move([Move.cancel("one")])
        store.settle(worker, [Outcome.cancelled(claim)])
        assert store.move([Move.retry("one")]) == [State.READY]
        (claim,) = store.claim("default", worker, 1, 0)
        assert store.heartbeat(worker, LONG, b"").cancel == ()
        store.settle(worker, [Outcome.released(claim)])
        assert state(store, "one") is State.READY

    def test_x2_cancelling_outlives_its_holder(self, store: Store) -> None:
        worker, claim = take_one(store)
        store.move([Move.cancel(claim.record.id)])
        store.heartbeat(worker, 0, b"")
        heir = hire(store)
        (orphan,) = recover_all(store, heir, 1)
        assert store.heartbeat(heir, LONG, b"").cancel == (claim.record.id,)
        store.settle(heir, [Outcome.released(orphan)])
        assert state(store, claim.record.id) is State.CANCELLED

    def test_x3_cancel_against_claim_has_exactly_one_winner(self, store: Store, clients: Clients) -> None:
        pushed = jobs(150)
        store.push(pushed)
        claimer, canceller = clients.another(), clients.another()
        worker = hire(store)

        def claim() -> list[str]:
            return ids(gather(claimer, worker, batch=2))

        def cancel() -> list[str]:
            order = [id for pair in zip(ids(pushed), ids(pushed)[::-1], strict=True) for id in pair]
            return [id for id in order if canceller.move([Move.cancel(id)]) == [State.CANCELLED]]

        claimed, cancelled = together([claim, cancel])
        _check_race(store, len(pushed), claimed, cancelled)

    @pytest.mark.slow
    def test_x3_cancel_against_claims_of_other_processes_has_exactly_one_winner(
        self, store: Store, start: Start
    ) -> None:
        pushed = jobs(600)
        store.push(pushed)
        racers = [start("race", limit=limit) for limit in (1, 3)]
        for racer in racers:
            racer.hear()
        for racer in racers:
            racer.tell()
        cancelled = [id for id in ids(pushed)[::-1] if store.move([Move.cancel(id)]) == [State.CANCELLED]]
        claimed = [id for racer in racers for id, _ in racer.hear()]
        _check_race(store, len(pushed), claimed, cancelled)

    def test_x3_a_move_that_does_not_fit_the_state_changes_nothing(self, store: Store) -> None:
        worker, (done, _) = take(store, job("done"), job("active"))
        store.settle(worker, [Outcome.done(done, result=b"result")])
        store.push([job("ready")])
        before = picture(store)
        moves = [
            Move.reschedule("active", delay=HOUR),
            Move.retry("active", b"meta"),
            Move.retry("ready", b"meta"),
            Move.reschedule("done", delay=HOUR),
            Move.reschedule("unknown"),
            Move.retry("unknown"),
        ]
        assert store.move(moves) == [State.ACTIVE, State.ACTIVE, State.READY, State.DONE, None, None]
        assert picture(store) == before
        assert store.move([]) == []

    def test_x3_whatever_is_over_may_be_retried(self, store: Store) -> None:
        worker, claims = take(store, *jobs(3, meta=b"old"))
        done, dead, cancelled = claims
        store.settle(worker, [Outcome.done(done, result=b"result"), Outcome.dead(dead), Outcome.cancelled(cancelled)])
        store.push([job("scheduled", delay=HOUR)])
        names = [*ids(claims), "scheduled"]
        assert store.move([Move.retry(id, b"new") for id in names]) == [State.READY] * 4
        assert row(store, done.record.id).result == b"", "the result of an earlier run"
        again = gather(store, worker)
        assert ids(again) == names
        assert [(claim.fence, claim.record.meta) for claim in again] == [(2, b"new")] * 3 + [(1, b"new")]


def _check_race(store: Store, count: int, claimed: list[str], cancelled: list[str]) -> None:
    """Each job went one way, and stands where its winner left it."""
    assert not set(claimed) & set(cancelled), "started, although cancel had said yes"
    assert len(claimed) + len(set(cancelled)) == count
    assert {state(store, id) for id in cancelled} <= {State.CANCELLED}
    assert {state(store, id) for id in claimed} <= {State.ACTIVE}
