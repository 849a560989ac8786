"""L2, L6, L7 and S1 with real processes, which are stopped and killed at every instant of a claim."""

from __future__ import annotations

import random
import time

import pytest

from goscheds.contract.bench import (
    LATE,
    LONG,
    SHORT,
    eventually,
    gather,
    hire,
    ids,
    job,
    jobs,
    recover_all,
    row,
    rows,
    salvage,
    settle_in,
    take,
)
from goscheds.contract.case import Case
from goscheds.contract.processes import Start
from goscheds.record import Claim, Outcome, State
from goscheds.store import Store


class Crash(Case):
    """SIGKILL and SIGSTOP, before, inside and after claim, settle and recover."""

    @pytest.mark.slow
    def test_l2_sigkill_before_a_claim_strands_nothing(self, store: Store, start: Start) -> None:
        victim = start("wait", worker="victim", lease=SHORT)
        assert victim.hear() == "waiting"
        settle_in()
        victim.kill()
        store.push([job("one")])
        assert ids(salvage(store, hire(store))) == ["one"]

    @pytest.mark.slow
    def test_l2_sigkill_inside_a_claim_strands_nothing(self, store: Store, start: Start) -> None:
        victim = start("wait", worker="victim", lease=SHORT)
        assert victim.hear() == "waiting"
        settle_in()
        victim.stop()
        store.push([job("one")])  # a store that hands out by itself hands it to the one that is stopped
        _outlast(store, "victim")
        victim.kill()
        began = time.monotonic()
        (claim,) = salvage(store, hire(store))
        assert time.monotonic() - began < LATE
        assert claim.record.id == "one"

    @pytest.mark.slow
    def test_l2_sigkill_after_a_claim_strands_nothing(self, store: Store, start: Start) -> None:
        pushed = jobs(20)
        store.push(pushed)
        victim = start("hold", worker="victim", lease=SHORT)
        assert victim.hear() == ids(pushed)
        victim.kill()
        heir = hire(store)
        claims = recover_all(store, heir, 20, limit=7)
        assert sorted(ids(claims)) == ids(pushed)
        assert {claim.fence for claim in claims} == {2}

    @pytest.mark.slow
    def test_l3_one_that_was_stopped_inside_a_claim_wakes_too_late(self, store: Store, start: Start) -> None:
        zombie = start("wait", worker="zombie", lease=SHORT)
        assert zombie.hear() == "waiting"
        settle_in()
        zombie.stop()
        store.push([job("one")])  # a store that hands out by itself does so while the lease is good
        _outlast(store, "zombie")
        heir = hire(store)
        (claim,) = salvage(store, heir)
        assert claim.record.id == "one"
        assert store.settle(heir, [Outcome.done(claim, result=b"heir")]) == ["one"]
        store.push([job("two")])
        zombie.resume()
        heard = zombie.hear()
        assert heard["claimed"] in ([], ["one"]), "nothing that came after its lease"
        assert heard["accepted"] == []
        assert ids(salvage(store, heir)) == ["two"]
        assert row(store, "one").result == b"heir"

    @pytest.mark.slow
    def test_s1_one_that_was_stopped_with_its_claims_settles_none_of_them(self, store: Store, start: Start) -> None:
        pushed = jobs(5)
        store.push(pushed)
        zombie = start("hold", worker="zombie", lease=SHORT)
        assert zombie.hear() == ids(pushed)
        zombie.stop()
        heir = hire(store)
        claims = eventually(lambda: store.recover(heir, 10))
        assert store.settle(heir, [Outcome.done(claim, result=b"heir") for claim in claims[:3]]) == ids(claims[:3])
        zombie.resume()
        zombie.tell()
        assert zombie.hear() == []
        found = {one.record.id: (one.state, one.result) for one in rows(store)}
        assert [found[id] for id in ids(claims)] == [(State.DONE, b"heir")] * 3 + [(State.ACTIVE, b"")] * 2

    @pytest.mark.slow
    def test_l7_a_claim_that_its_live_worker_never_heard_of_is_found(self, store: Store, start: Start) -> None:
        deaf = start("wait", worker="deaf", lease=LONG)
        assert deaf.hear() == "waiting"
        settle_in()
        deaf.stop()
        store.push([job("one")])
        settle_in()
        claims = store.held("deaf") or store.claim("default", "deaf", 1, 2.0) or store.held("deaf")
        assert ids(claims) == ["one"], "neither held nor to be claimed: it is stranded under a good lease"
        assert store.held("deaf") == claims
        assert store.settle("deaf", [Outcome.done(claims[0], result=b"found")]) == ["one"]
        assert row(store, "one").result == b"found"

    @pytest.mark.slow
    @pytest.mark.parametrize("scene", ["churn", "scavenge"])
    def test_l6_sigkill_at_any_instant_loses_nothing_and_repeats_nothing(
        self, store: Store, start: Start, scene: str
    ) -> None:
        pushed = jobs(400)
        store.push(pushed)
        moments = random.Random(len(scene))  # noqa: S311 - instants to kill at, the same in every run
        if scene == "scavenge":
            orphaned, _ = take(store, *jobs(50, queue="orphaned"))
            store.heartbeat(orphaned, 0, b"")
        for number in range(6):
            victim = start(scene, worker=f"victim-{number}", lease=SHORT / 2)
            victim.hear()
            time.sleep(moments.uniform(0.002, 0.05))
            victim.kill()
        _finish(store)
        found = {one.record.id: one for one in rows(store, limit=1000)}
        mine = [found.pop(id) for id in ids(pushed)]
        assert {one.state for one in mine} == {State.DONE}
        assert {id for id, one in found.items() if one.record.queue == "after"} == {f"after-{id}" for id in ids(pushed)}
        assert all(one.result == b"%d" % one.fence for one in mine), (
            "a job was done under a fence that was not its last"
        )


def _finish(store: Store) -> None:
    """Do what is left, as ``churn`` does it, until everything is done."""
    heir = hire(store)

    def finished() -> bool:
        orphans = store.recover(heir, 100)
        store.settle(heir, [Outcome.released(orphan) for orphan in orphans])
        for queue in ("default", "orphaned"):
            claims = gather(store, heir, queue)
            store.settle(heir, [_done(claim) for claim in claims])
        live = store.counts().jobs
        return not any(count for (queue, state), count in live.items() if queue != "after" and state != State.DONE)

    eventually(finished, within=2 * LATE)


def _done(claim: Claim) -> Outcome:
    after = [job(f"after-{claim.record.id}", queue="after")] if claim.record.queue == "default" else []
    return Outcome.done(claim, result=b"%d" % claim.fence, jobs=after)


def _outlast(store: Store, worker: str) -> None:
    """Wait until a worker's lease is over."""
    settle_in(SHORT)
    expiries = {one.id: one.expires_at for one in store.workers()}
    eventually(lambda: expiries.get(worker, 0) < store.now())
