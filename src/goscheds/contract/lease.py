"""L: what a store promises about leases, without killing anybody; the killing is done in ``crash``."""

from __future__ import annotations

import time
from functools import partial
from itertools import chain

import pytest

from goscheds.contract.bench import (
    HOUR,
    LATE,
    LONG,
    MILLISECOND,
    PATIENCE,
    SECOND,
    SHORT,
    background,
    eventually,
    hire,
    ids,
    job,
    jobs,
    picture,
    recover_all,
    row,
    salvage,
    settle_in,
    state,
    take,
    take_one,
    together,
)
from goscheds.contract.case import Case, Clients
from goscheds.record import Claim, Lost, Outcome, State
from goscheds.store import Store


class Lease(Case):
    """L1 to L7."""

    @pytest.mark.slow
    def test_l1_a_worker_that_heartbeats_keeps_its_jobs_however_long_they_run(
        self, store: Store, clients: Clients
    ) -> None:
        lease = 2 * SHORT
        worker, claims = take(store, *jobs(3), lease=lease)
        other = clients.another()
        rival = hire(other)
        until = time.monotonic() + 2 * lease
        while time.monotonic() < until:
            assert not store.heartbeat(worker, lease, b"").lapsed
            assert other.recover(rival, 10) == []
            time.sleep(lease / 20)
        assert store.settle(worker, [Outcome.done(claim) for claim in claims]) == ids(claims)

    def test_l1_a_good_lease_is_left_alone(self, store: Store) -> None:
        worker, _ = take(store, *jobs(3))
        before = picture(store)
        assert store.recover(hire(store), 10) == []
        assert store.recover(worker, 10) == []
        assert picture(store) == before

    def test_l1_each_heartbeat_begins_the_lease_anew(self, store: Store) -> None:
        for lease in (30, 60, 10):
            before = store.now()
            store.heartbeat("worker", lease, b"")
            (worker,) = store.workers()
            assert before + lease * SECOND <= worker.expires_at <= store.now() + lease * SECOND

    def test_l2_a_worker_that_stops_loses_all_its_jobs_when_its_lease_is_over(
        self, store: Store, clients: Clients
    ) -> None:
        worker, claims = take(store, *jobs(4), lease=SHORT / 2)
        (lease,) = [one for one in store.workers() if one.id == worker]
        assert lease.held == 4
        other = clients.another()
        heir = hire(other)
        recovered = recover_all(other, heir, 4)
        assert all(claim.claimed_at >= lease.expires_at for claim in recovered), "taken from a worker with a good lease"
        assert recovered[0].claimed_at - lease.expires_at < LATE * SECOND
        assert {claim.fence for claim in recovered} == {2}
        assert sorted(ids(recovered)) == sorted(ids(claims))
        assert [one.id for one in store.workers()] == [heir]

    def test_l2_a_worker_that_ends_itself_may_be_recovered_at_once(self, store: Store) -> None:
        worker, claims = take(store, *jobs(5))
        store.heartbeat(worker, 0, b"")
        heir = hire(store)
        first = store.recover(heir, 3)
        assert len(first) == 3, "recover takes what it may"
        second = store.recover(heir, 3)
        assert len(second) == 2, "recover leaves the rest to the next"
        assert sorted(ids([*first, *second])) == ids(claims)
        assert store.recover(heir, 3) == []

    def test_l2_what_is_recovered_is_the_job_as_it_was(self, store: Store) -> None:
        one = job(payload=b"payload", meta=b"meta", priority=5, timeout=HOUR, unique_key="key", name="name")
        worker, claim = take_one(store, one)
        store.heartbeat(worker, 0, b"")
        (recovered,) = store.recover(hire(store), 1)
        assert recovered.record == claim.record

    def test_l2_a_worker_without_a_good_lease_is_given_nothing(self, store: Store) -> None:
        lapsed, claim = take_one(store)
        store.push(jobs(3))
        store.heartbeat(lapsed, 0, b"")
        for worker in (lapsed, "never seen"):
            assert store.claim("default", worker, 10, 0) == []
            assert store.recover(worker, 10) == []
        assert ids(recover_all(store, hire(store), 1)) == [claim.record.id]

    def test_l2_a_worker_whose_lease_ran_out_while_it_waited_is_given_nothing(
        self, store: Store, clients: Clients
    ) -> None:
        worker, other = hire(store, SHORT / 2), clients.another()
        claim = background(lambda: store.claim("default", worker, 1, SHORT))
        eventually(lambda: worker not in [one.id for one in other.workers()])
        other.push([job("one")])
        assert claim.result(PATIENCE) == []
        assert ids(salvage(other, hire(other))) == ["one"], "the job is stranded with the worker that may not have it"

    def test_l3_a_worker_whose_lease_ran_out_is_told_so(self, store: Store) -> None:
        assert store.heartbeat("worker", LONG, b"").lapsed, "it had no lease at its first call"
        assert not store.heartbeat("worker", SHORT / 4, b"").lapsed
        eventually(lambda: "worker" not in [one.id for one in store.workers()])
        assert store.heartbeat("worker", LONG, b"").lapsed
        assert not store.heartbeat("worker", 0, b"").lapsed
        assert store.heartbeat("worker", LONG, b"").lapsed

    def test_l3_a_worker_can_not_settle_what_it_lost(self, store: Store, clients: Clients) -> None:
        worker, claims = take(store, *jobs(2))
        store.heartbeat(worker, 0, b"")
        other = clients.another()
        heir = hire(other)
        recovered = recover_all(other, heir, 2)
        assert store.heartbeat(worker, LONG, b"").lapsed
        assert store.held(worker) == []
        assert store.settle(worker, [Outcome.done(claim) for claim in claims]) == []
        assert sorted(store.settle(heir, [Outcome.done(claim) for claim in recovered])) == ids(claims)

    def test_l3_what_nobody_took_in_time_is_still_its_own(self, store: Store) -> None:
        worker, claim = take_one(store)
        store.heartbeat(worker, 0, b"")
        assert store.heartbeat(worker, LONG, b"").lapsed
        assert store.held(worker) == [claim]
        assert store.recover(hire(store), 10) == []
        assert store.settle(worker, [Outcome.done(claim)]) == [claim.record.id]

    def test_l3_workers_are_listed_while_they_live_or_leave_jobs_behind(self, store: Store) -> None:
        idle, (busy, _) = hire(store), take(store, *jobs(2))
        store.heartbeat(busy, LONG, b"busy")
        listed = {one.id: (one.held, one.info) for one in store.workers()}
        assert listed == {idle: (0, b""), busy: (2, b"busy")}
        for worker in (idle, busy):
            store.heartbeat(worker, 0, b"")
        (left,) = store.workers()
        assert (left.id, left.held) == (busy, 2)
        assert left.expires_at <= store.now()
        heir = hire(store)
        recover_all(store, heir, 2)
        assert [one.id for one in store.workers()] == [heir]

    def test_l4_a_job_past_its_timeout_is_taken_back_from_a_worker_that_heartbeats(
        self, store: Store, clients: Clients
    ) -> None:
        timeout = 100 * MILLISECOND
        worker, (late, _) = take(store, job("late", timeout=timeout), job("free"))
        other = clients.another()
        (taken,) = recover_all(other, hire(other), 1)
        assert (taken.record.id, taken.fence) == ("late", 2)
        assert timeout <= taken.claimed_at - late.claimed_at < timeout + LATE * SECOND
        assert store.settle(worker, [Outcome.done(late)]) == []
        assert ids(store.held(worker)) == ["free"]

    def test_l4_a_worker_may_take_back_its_own_job(self, store: Store) -> None:
        worker, late = take_one(store, job(timeout=20 * MILLISECOND))
        (taken,) = recover_all(store, worker, 1)
        assert taken.fence == 2
        assert store.settle(worker, [Outcome.done(late)]) == []
        assert store.settle(worker, [Outcome.retry(taken)]) == [late.record.id]

    def test_l4_each_claim_has_its_own_deadline_and_a_recovered_job_none(self, store: Store) -> None:
        worker, _ = take_one(store, job(timeout=20 * MILLISECOND))
        for fence in (2, 4, 6):
            (taken,) = recover_all(store, worker, 1)
            assert taken.fence == fence
            settle_in(0.04)
            assert store.recover(worker, 1) == [], "what was recovered has no deadline"
            store.settle(worker, [Outcome.released(taken)])
            assert len(store.claim("default", worker, 1, 0)) == 1

    def test_l4_a_job_that_was_settled_in_time_is_left_alone(self, store: Store) -> None:
        worker, claims = take(store, *jobs(3, timeout=30 * MILLISECOND))
        done, retried, released = claims
        store.settle(worker, [Outcome.done(done), Outcome.retry(retried, delay=HOUR), Outcome.released(released)])
        settle_in(0.08)
        assert store.recover(worker, 10) == []
        assert [state(store, id) for id in ids(claims)] == [State.DONE, State.SCHEDULED, State.READY]

    def test_l5_a_crash_is_told_apart_from_a_failure_each_time(self, store: Store) -> None:
        worker, claim = take_one(store)
        assert claim.lost is Lost.NOT
        for crash in range(1, 4):
            store.heartbeat(worker, 0, b"")
            worker = hire(store)
            (orphan,) = recover_all(store, worker, 1)
            assert orphan.lost is Lost.LEASE
            assert orphan.record.meta == (b"" if crash == 1 else b"crash %d" % (crash - 1))
            store.settle(worker, [Outcome.released(orphan, b"crash %d" % crash)])
            (claim,) = store.claim("default", worker, 1, 0)
            assert (claim.lost, claim.fence) == (Lost.NOT, 2 * crash + 1)
        store.settle(worker, [Outcome.dead(claim, b"killed its workers")])
        dead = row(store, claim.record.id)
        assert (dead.state, dead.record.meta) == (State.DEAD, b"killed its workers")

    def test_l5_a_claim_past_its_timeout_is_told_apart_as_well(self, store: Store) -> None:
        worker, _ = take_one(store, job(timeout=10 * MILLISECOND))
        assert [claim.lost for claim in recover_all(store, worker, 1)] == [Lost.DEADLINE]

    def test_l6_what_a_dead_recoverer_held_is_recovered_in_its_turn(self, store: Store) -> None:
        worker, claims = take(store, *jobs(3, timeout=10 * MILLISECOND))
        for fence in (2, 3, 4):
            store.heartbeat(worker, 0, b"")
            worker = hire(store)
            recovered = recover_all(store, worker, 3)
            assert {claim.fence for claim in recovered} == {fence}
            assert sorted(ids(recovered)) == ids(claims)

    def test_l6_recoverers_that_race_take_each_orphan_once(self, store: Store, clients: Clients) -> None:
        worker, claims = take(store, *jobs(200))
        store.heartbeat(worker, 0, b"")
        rivals = [clients.another() for _ in range(4)]
        taken = together([partial(_recover_what_is_left, rival, hire(rival)) for rival in rivals])
        assert sorted(ids(chain(*taken))) == ids(claims)

    def test_l7_the_store_knows_what_a_worker_holds(self, store: Store, clients: Clients) -> None:
        worker, claims = take(store, *jobs(3))
        other = clients.another()
        assert sorted(other.held(worker), key=lambda claim: claim.record.id) == claims
        store.settle(worker, [Outcome.done(claims[0]), Outcome.retry(claims[1])])
        assert other.held(worker) == claims[2:]
        assert other.held("unknown") == []

    def test_l7_a_recovery_whose_answer_was_lost_is_found_as_well(self, store: Store) -> None:
        worker, claim = take_one(store)
        store.heartbeat(worker, 0, b"")
        heir = hire(store)
        store.recover(heir, 1)
        (found,) = store.held(heir)
        assert (found.record, found.fence) == (claim.record, 2)
        assert store.settle(heir, [Outcome.released(found)]) == [claim.record.id]


def _recover_what_is_left(store: Store, worker: str) -> list[Claim]:
    claims: list[Claim] = []
    while taken := store.recover(worker, 3):
        claims += taken
    return claims
