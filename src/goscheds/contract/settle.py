"""S: what settle promises, and that every verb may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from msgspec.structs import replace

from goscheds.contract.bench import (
    HOUR,
    MILLISECOND,
    eventually,
    gather,
    hire,
    ids,
    job,
    jobs,
    pass_moment,
    picture,
    row,
    rows,
    state,
    take,
    take_one,
)
from goscheds.contract.case import Case, Clients
from goscheds.record import Claim, Move, Outcome, State, Verb
from goscheds.store import Store

FOLLOW_UP = job("follow-up", queue="after")


def every_outcome(claim: Claim) -> list[Outcome]:
    """One of each kind, each with a follow-up job."""
    outcomes = [
        Outcome.done(claim, b"meta", b"result"),
        Outcome.done(claim, keep=False),
        Outcome.retry(claim, b"meta"),
        Outcome.retry(claim, b"meta", delay=HOUR),
        Outcome.dead(claim, b"meta"),
        Outcome.dead(claim, keep=False),
        Outcome.cancelled(claim, b"meta"),
        Outcome.released(claim, b"meta"),
    ]
    return [replace(outcome, jobs=(FOLLOW_UP,)) for outcome in outcomes]


class Settle(Case):
    """S1 to S3."""

    def test_s1_another_fence_is_refused_and_changes_nothing(self, store: Store) -> None:
        worker, claim = take_one(store)
        store.settle(worker, [Outcome.released(claim)])
        (claim,) = store.claim("default", worker, 1, 0)
        before = picture(store)
        for fence in (claim.fence - 1, claim.fence + 1, 0, 10**9):
            for outcome in every_outcome(replace(claim, fence=fence)):
                assert store.settle(worker, [outcome]) == []
        assert picture(store) == before
        assert store.settle(worker, [Outcome.done(claim)]) == [claim.record.id]

    def test_s1_another_worker_is_refused_and_changes_nothing(self, store: Store) -> None:
        _, claim = take_one(store)
        before = picture(store)
        for worker in (hire(store), "nobody"):
            for outcome in every_outcome(claim):
                assert store.settle(worker, [outcome]) == []
        assert picture(store) == before

    def test_s1_a_job_that_nobody_holds_can_not_be_settled(self, store: Store) -> None:
        worker = hire(store)
        store.push([job("ready"), job("scheduled", delay=HOUR)])
        before = picture(store)
        for known, fence in product(rows(store), (0, 1)):
            for outcome in every_outcome(Claim(known.record, fence, claimed_at=0)):
                assert store.settle(worker, [outcome]) == []
        assert store.settle(worker, every_outcome(Claim(job("unknown"), fence=1, claimed_at=0))[:1]) == []
        assert picture(store) == before

    def test_s1_a_stale_settle_after_recovery_is_refused(self, store: Store, clients: Clients) -> None:
        stale, claim = take_one(store)
        store.heartbeat(stale, 0, b"")
        heir, other = hire(store), clients.another()
        (recovered,) = store.recover(heir, 10)
        before = picture(store)
        for outcome in every_outcome(claim):
            assert other.settle(stale, [outcome]) == []
        assert picture(store) == before
        assert store.settle(heir, [Outcome.done(recovered, result=b"heir")]) == [claim.record.id]
        assert other.settle(stale, [Outcome.done(claim, result=b"stale")]) == []
        assert row(store, claim.record.id).result == b"heir"

    def test_s1_a_stale_outcome_in_a_batch_does_not_hurt_the_others(self, store: Store) -> None:
        worker, (one, two, three) = take(store, *jobs(3))
        stale = replace(two, fence=two.fence + 1)
        outcomes = [Outcome.done(one), Outcome.done(stale, jobs=[FOLLOW_UP]), Outcome.dead(three)]
        assert store.settle(worker, outcomes) == ids([one, three])
        assert [state(store, id) for id in ids([one, two, three])] == [State.DONE, State.ACTIVE, State.DEAD]
        assert state(store, FOLLOW_UP.id) is None

    def test_s2_a_batch_of_mixed_outcomes_puts_each_job_where_it_belongs(self, store: Store) -> None:
        worker, claims = take(store, *jobs(8, meta=b"old"))
        outcomes = [
            replace(outcome, id=claim.record.id)
            for claim, outcome in zip(claims, every_outcome(claims[0]), strict=True)
        ]
        assert store.settle(worker, outcomes) == ids(claims)
        expected = ["done", None, "ready", "scheduled", "dead", None, "cancelled", "ready"]
        assert [state(store, id) for id in ids(claims)] == expected
        assert store.held(worker) == []
        assert [one.record.meta for one in rows(store, queue="default")] == [b"meta"] * 6
        assert row(store, claims[0].record.id).result == b"result"

    def test_s2_an_outcome_without_meta_keeps_what_is_stored(self, store: Store) -> None:
        worker, claims = take(store, *jobs(2, meta=b"kept"))
        store.settle(worker, [Outcome.done(claims[0]), Outcome.retry(claims[1], b"new")])
        assert [row(store, id).record.meta for id in ids(claims)] == [b"kept", b"new"]

    def test_s2_follow_up_jobs_are_pushed_as_push_does_it(self, store: Store) -> None:
        worker, (one, two, three) = take(store, job("one", unique_key="key"), job("two"), job("three"))
        successor = job("successor", unique_key="key")  # free, as its holder is settled by the same outcome
        store.settle(worker, [Outcome.done(one, jobs=[successor, job("late", delay=HOUR)])])
        assert [state(store, id) for id in ("one", "successor", "late")] == ["done", "ready", "scheduled"]
        store.settle(worker, [Outcome.dead(two, jobs=[job("rival", unique_key="key"), job("three", name="again")])])
        assert state(store, "rival") is None
        assert row(store, "three").record.name == "job"
        store.settle(worker, [Outcome.done(three, jobs=jobs(50, "follow", queue="after"))])
        assert ids(gather(store, worker, "after")) == ids(jobs(50, "follow"))

    def test_s2_a_large_batch_is_settled_whole(self, store: Store) -> None:
        worker, claims = take(store, *jobs(1_000))
        outcomes = [Outcome.done(claim, jobs=[job(f"after-{claim.record.id}", queue="after")]) for claim in claims]
        assert store.settle(worker, outcomes) == ids(claims)
        assert store.counts().jobs == {("default", State.DONE): 1_000, ("after", State.READY): 1_000}

    def test_s2_an_empty_batch_settles_nothing(self, store: Store) -> None:
        worker, _ = take_one(store)
        before = picture(store)
        assert store.settle(worker, []) == []
        assert picture(store) == before

    def test_s2_a_retry_is_due_when_it_says(self, store: Store) -> None:
        worker, (now, later, then) = take(store, *jobs(3))
        moment = store.now() + HOUR + 1
        before = store.now()
        store.settle(
            worker,
            [Outcome.retry(now), Outcome.retry(later, delay=HOUR), Outcome.retry(then, execute_at=moment, delay=1)],
        )
        after = store.now()
        assert before <= row(store, now.record.id).record.execute_at <= after
        assert before + HOUR <= row(store, later.record.id).record.execute_at <= after + HOUR
        assert row(store, then.record.id).record.execute_at == moment + 1

    def test_s3_a_repeated_settle_is_accepted_again_and_changes_nothing(self, store: Store) -> None:
        worker, claims = take(store, *jobs(6))
        kept = [outcome for outcome in every_outcome(claims[0]) if outcome.keep]
        outcomes = [replace(outcome, id=claim.record.id) for claim, outcome in zip(claims, kept, strict=True)]
        assert store.settle(worker, outcomes) == ids(claims)
        (taken,) = store.claim("after", worker, 10, 0)
        store.settle(worker, [Outcome.done(taken)])
        before = picture(store)
        assert store.settle(worker, outcomes) == ids(claims)
        assert picture(store) == before

    def test_s3_a_repeated_settle_of_a_job_that_was_not_kept_changes_nothing(self, store: Store) -> None:
        worker, claim = take_one(store)
        outcome = Outcome.done(claim, keep=False, jobs=[FOLLOW_UP])
        assert store.settle(worker, [outcome]) == [claim.record.id]
        before = picture(store)
        store.settle(worker, [outcome])
        assert picture(store) == before

    def test_s3_a_repeated_settle_keeps_the_order_of_the_queue(self, store: Store) -> None:
        worker, (front, end) = take(store, job("front"), job("end"))
        store.push([job("middle")])
        outcomes = [Outcome.released(front), Outcome.retry(end)]
        store.settle(worker, outcomes)
        store.push([job("last")])
        assert store.settle(worker, outcomes) == ["front", "end"]
        assert ids(gather(store, worker)) == ["front", "middle", "end", "last"]

    def test_s3_a_settle_repeated_after_the_next_claim_is_refused(self, store: Store) -> None:
        worker, claim = take_one(store)
        outcome = Outcome.retry(claim, b"late")
        assert store.settle(worker, [outcome]) == [claim.record.id]
        store.claim("default", worker, 1, 0)
        before = picture(store)
        assert store.settle(worker, [outcome]) == []
        assert picture(store) == before

    def test_s3_the_first_outcome_stands(self, store: Store) -> None:
        worker, claim = take_one(store)
        first, *others = every_outcome(claim)
        assert first.verb is Verb.DONE
        store.settle(worker, [replace(first, jobs=())])
        before = picture(store)
        for other in others:
            store.settle(worker, [other])
        assert picture(store) == before

    def test_s3_the_first_outcome_stands_within_a_batch_too(self, store: Store) -> None:
        worker, claims = take(store, job("front"), job("end"))
        others = [Outcome.dead(claim, jobs=[FOLLOW_UP]) for claim in claims]
        store.settle(worker, [Outcome.released(claims[0]), Outcome.retry(claims[1]), *others])
        assert {row.record.id: row.state for row in rows(store)} == {"front": State.READY, "end": State.READY}

    def test_s3_every_other_verb_may_be_repeated(self, store: Store) -> None:
        worker, (held, done) = take(store, job("held", timeout=HOUR), job("done"))
        store.settle(worker, [Outcome.done(done)])
        store.push([job("cancelled")])
        moves = [Move.cancel("cancelled"), Move.cancel("held"), Move.retry("done")]
        verbs: tuple[Callable[[], object], ...] = (
            store.open,
            lambda: store.pause("other", paused=True),
            lambda: store.move(moves),
            lambda: store.recover(worker, 10),
            lambda: store.held(worker),
            lambda: store.heartbeat(worker, 60.0, b"info").cancel,
            lambda: store.promote("duty", 10, 0),
        )
        for verb in verbs:
            first, before = verb(), picture(store)
            assert verb() == first
            assert picture(store) == before
        assert store.settle(worker, [Outcome.done(held)]) == ["held"]

    def test_s3_a_promotion_repeated_promotes_nothing_more(self, store: Store) -> None:
        store.push([job(f"{number}", delay=5 * MILLISECOND) for number in range(5)])
        pass_moment(store, row(store, "4").record.execute_at)
        assert eventually(lambda: store.promote("duty", 3, 0)) == 3
        assert store.promote("duty", 3, 0) == 2
        assert store.promote("duty", 3, 0) == 0
        assert len(gather(store, hire(store))) == 5
