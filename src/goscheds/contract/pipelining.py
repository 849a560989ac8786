"""S, and with it C and L: what settling and claiming in one round trip promises, of stores that can."""

from __future__ import annotations

import time
from functools import partial
from itertools import chain

import pytest
from msgspec.structs import replace

from goscheds.contract.bench import (
    HOUR,
    LATE,
    MILLISECOND,
    PATIENCE,
    PROMPT,
    background,
    hire,
    ids,
    job,
    jobs,
    picture,
    recover_all,
    row,
    settle_in,
    state,
    take,
    take_one,
    together,
)
from goscheds.contract.case import Case, Clients
from goscheds.record import Claim, Outcome, State
from goscheds.store import Pipelined, Store


class Pipelining(Case):
    """The laws of ``settle`` and of ``claim``, for both at once."""

    @pytest.fixture
    def both(self, store: Store) -> Pipelined:
        """The store, as one that can."""
        return _pipelined(store)

    def test_s1_what_is_stale_is_refused_and_the_rest_settled_and_claimed(self, store: Store, both: Pipelined) -> None:
        worker, (one, two) = take(store, *jobs(2))
        store.push([job("next")])
        stale = replace(two, fence=two.fence + 1)
        outcomes = [Outcome.done(stale, jobs=[job("follow-up")]), Outcome.done(one)]
        accepted, claims = both.settle_and_claim(worker, outcomes, "default", 10)
        assert (accepted, ids(claims)) == ([one.record.id], ["next"])
        assert [state(store, id) for id in (one.record.id, two.record.id, "follow-up")] == ["done", "active", None]

    def test_s2_it_settles_first_so_that_the_claim_sees_what_was_settled(self, store: Store, both: Pipelined) -> None:
        pushed = jobs(5)
        worker, (done, released, again, later, dead) = take(store, *pushed)
        store.push([job("waiting")])
        outcomes = [
            Outcome.done(done, b"meta", b"result", jobs=[job("follow-up")]),
            Outcome.released(released),
            Outcome.retry(again, b"again"),
            Outcome.retry(later, delay=HOUR),
            Outcome.dead(dead, keep=False),
        ]
        accepted, claims = both.settle_and_claim(worker, outcomes, "default", 10)
        assert accepted == ids(pushed)
        assert [claims[0].record.id, claims[1].record.id] == [released.record.id, "waiting"], "the front comes first"
        assert sorted(ids(claims)[2:]) == sorted(["follow-up", again.record.id]), "their order is left open"
        fences = {claim.record.id: claim.fence for claim in claims}
        assert (fences["follow-up"], fences[again.record.id], fences[released.record.id]) == (1, 2, 2)
        assert row(store, done.record.id).result == b"result"
        assert [state(store, claim.record.id) for claim in (done, later, dead)] == ["done", "scheduled", None]

    def test_s3_repeated_it_settles_nothing_further_and_claims_what_is_next(
        self, store: Store, both: Pipelined
    ) -> None:
        worker, (one, two) = take(store, *jobs(2))
        store.push([job("a"), job("b")])
        outcomes = [Outcome.done(one, jobs=[job("follow-up", queue="after")]), Outcome.dead(two)]
        first = both.settle_and_claim(worker, outcomes, "default", 1)
        again = both.settle_and_claim(worker, outcomes, "default", 1)
        assert first[0] == again[0] == ids([one, two])
        assert [ids(first[1]), ids(again[1])] == [["a"], ["b"]]
        assert store.counts().jobs[("after", State.READY)] == 1

    def test_s3_settle_repeats_it_when_its_answer_was_lost(self, store: Store, both: Pipelined) -> None:
        worker, claim = take_one(store)
        store.push([job("next")])
        outcomes = [Outcome.done(claim, jobs=[job("follow-up", queue="after")])]
        both.settle_and_claim(worker, outcomes, "default", 1)
        before = picture(store)
        assert store.settle(worker, outcomes) == [claim.record.id]
        assert picture(store) == before

    def test_u2_a_follow_up_job_has_the_key_or_the_id_that_an_earlier_outcome_freed(
        self, store: Store, both: Pipelined
    ) -> None:
        worker, (keyed, gone, last) = take(store, job("keyed", unique_key="key"), job("gone"), job("last"))
        heirs = [job("heir", unique_key="key"), job("gone", payload=b"anew")]
        outcomes = [Outcome.done(keyed), Outcome.done(gone, keep=False), Outcome.done(last, jobs=heirs)]
        accepted, claims = both.settle_and_claim(worker, outcomes, "default", 10)
        assert (accepted, ids(claims)) == (["keyed", "gone", "last"], ["heir", "gone"])
        assert claims[1].record.payload == b"anew"

    def test_s2_either_half_may_be_empty(self, store: Store, both: Pipelined) -> None:
        worker, claims = take(store, *jobs(3))
        assert both.settle_and_claim(worker, [Outcome.done(one) for one in claims], "default", 9) == (ids(claims), [])
        store.push([job("one")])
        accepted, claims = both.settle_and_claim(worker, [], "default", 9)
        assert (accepted, ids(claims)) == ([], ["one"])
        assert both.settle_and_claim(worker, [], "default", 9) == ([], [])

    def test_c1_what_is_claimed_with_a_settle_has_one_holder(self, store: Store, clients: Clients) -> None:
        pushed = jobs(300)
        store.push(pushed)
        rivals = [clients.another() for _ in range(4)]
        taken = together([partial(_work_off, rival, hire(rival)) for rival in rivals])
        assert sorted(ids(chain(*taken))) == ids(pushed)
        assert {claim.fence for claim in chain(*taken)} == {1}
        assert store.counts().jobs == {("default", State.DONE): 300}

    def test_c2_it_claims_by_priority_then_order_and_no_more_than_it_may(self, store: Store, both: Pipelined) -> None:
        worker, claim = take_one(store)
        store.push([job("low", priority=-1), job("a"), job("b"), job("high", priority=1), job("else", queue="else")])
        _, claims = both.settle_and_claim(worker, [Outcome.done(claim)], "default", 3)
        assert ids(claims) == ["high", "a", "b"]

    def test_c4_it_never_waits_and_wakes_those_who_do(self, store: Store, both: Pipelined, clients: Clients) -> None:
        worker, (one, two) = take(store, *jobs(2))
        other = clients.another()
        idle = background(partial(other.claim, "after", hire(other), 1, PATIENCE))
        settle_in()
        began = time.monotonic()
        assert both.settle_and_claim(worker, [Outcome.done(one)], "default", 1)[1] == []
        assert time.monotonic() - began < PROMPT
        both.settle_and_claim(worker, [Outcome.done(two, jobs=[job("follow-up", queue="after")])], "default", 1)
        assert ids(idle.result(LATE)) == ["follow-up"]

    def test_c5_of_a_paused_queue_it_settles_and_hands_out_nothing(self, store: Store, both: Pipelined) -> None:
        worker, claim = take_one(store)
        store.push([job("waiting")])
        store.pause("default", paused=True)
        accepted, claims = both.settle_and_claim(worker, [Outcome.done(claim)], "default", 5)
        assert (accepted, claims) == ([claim.record.id], [])
        store.pause("default", paused=False)
        assert ids(both.settle_and_claim(worker, [], "default", 5)[1]) == ["waiting"]

    def test_t1_it_claims_nothing_before_its_time(self, store: Store, both: Pipelined) -> None:
        worker, claim = take_one(store)
        store.push([job("later", delay=HOUR)])
        assert both.settle_and_claim(worker, [Outcome.retry(claim, delay=HOUR)], "default", 5)[1] == []

    def test_l2_a_worker_without_a_good_lease_is_given_nothing_with_it(self, store: Store, both: Pipelined) -> None:
        worker, _ = take_one(store)
        store.push([job("waiting")])
        store.heartbeat(worker, 0, b"")
        assert both.settle_and_claim(worker, [], "default", 5) == ([], [])
        assert state(store, "waiting") is State.READY

    def test_l4_what_it_claims_has_a_deadline(self, store: Store, both: Pipelined) -> None:
        worker, claim = take_one(store)
        store.push([job("late", timeout=20 * MILLISECOND)])
        _, (late,) = both.settle_and_claim(worker, [Outcome.done(claim)], "default", 5)
        (taken,) = recover_all(store, hire(store), 1)
        assert (taken.record.id, taken.fence) == ("late", late.fence + 1)

    def test_l7_what_it_claimed_is_found_when_its_answer_was_lost(self, store: Store, both: Pipelined) -> None:
        worker, claim = take_one(store)
        store.push(jobs(3, "next"))
        _, claims = both.settle_and_claim(worker, [Outcome.done(claim)], "default", 3)
        assert sorted(store.held(worker), key=lambda one: one.record.id) == claims


def _pipelined(store: Store) -> Pipelined:
    if not isinstance(store, Pipelined):
        pytest.skip("the store is not Pipelined")
    return store


def _work_off(store: Store, worker: str) -> list[Claim]:
    taken: list[Claim] = []
    outcomes: list[Outcome] = []
    while True:
        accepted, claims = _pipelined(store).settle_and_claim(worker, outcomes, "default", 7)
        assert accepted == [outcome.id for outcome in outcomes]
        if not claims:
            return taken
        taken += claims
        outcomes = [Outcome.done(claim) for claim in claims]
