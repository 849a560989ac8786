"""K: what find, counts and purge promise."""

from __future__ import annotations

from collections import Counter

import pytest

from goscheds.contract.bench import (
    HOUR,
    MILLISECOND,
    gather,
    hire,
    ids,
    job,
    jobs,
    pages,
    pass_moment,
    picture,
    row,
    rows,
    state,
    take,
)
from goscheds.contract.case import Case
from goscheds.record import LIVE, SETTLED, Move, Outcome, Query, State
from goscheds.store import Store


class Look(Case):
    """K1 and K2."""

    def test_k1_counts_equal_the_lists(self, store: Store) -> None:
        every_state(store, 5, "default")
        every_state(store, 3, "other")
        check_counts(store)
        assert store.counts().jobs == {
            (queue, state): count for queue, count in (("default", 5), ("other", 3)) for state in State
        }
        worker = hire(store)
        gather(store, worker)
        store.move([Move.retry(one.record.id) for one in rows(store, states=(State.DEAD,))])
        store.purge(State.DONE, store.now() + HOUR, 4)
        check_counts(store)

    def test_k1_an_empty_store_counts_nothing(self, store: Store) -> None:
        assert store.counts().jobs == {}
        assert store.find(Query()).rows == ()
        worker, (claim,) = take(store, job())
        store.settle(worker, [Outcome.done(claim, keep=False)])
        assert store.counts().jobs == {}, "pairs without a job are left out"

    def test_k1_every_job_is_in_exactly_one_state(self, store: Store) -> None:
        expected = every_state(store, 4, "default")
        for wanted in State:
            assert {one.record.id for one in rows(store, states=(wanted,))} == expected[wanted]
        live = set().union(*(expected[state] for state in LIVE))
        assert {one.record.id for one in rows(store, states=tuple(LIVE))} == live
        assert {one.record.id for one in rows(store, states=tuple(State))} == live.union(
            *(expected[state] for state in SETTLED)
        )

    @pytest.mark.parametrize("limit", [1, 7, 100])
    def test_k1_paging_sees_each_job_once(self, store: Store, limit: int) -> None:
        expected = every_state(store, 6, "default")
        seen = [one.record.id for page in pages(store, limit=limit) for one in page]
        assert sorted(seen) == sorted(set().union(*expected.values()))
        assert all(len(page) <= limit for page in pages(store, limit=limit))
        live = [one.record.id for one in rows(store, limit=limit, states=(State.READY, State.ACTIVE), queue="default")]
        assert sorted(live) == sorted(expected[State.READY] | expected[State.ACTIVE])

    def test_k1_paging_sees_each_job_that_stays_once_while_others_come_and_go(self, store: Store) -> None:
        staying = jobs(40, "stay", queue="staying")
        coming_and_going = jobs(40)
        for stays, goes in zip(staying, coming_and_going, strict=True):
            store.push([stays, goes])
        worker = hire(store)
        seen: Counter[str] = Counter()
        for page in pages(store, limit=9):
            seen.update(one.record.id for one in page)
            store.push(jobs(3))
            claims = store.claim("default", worker, 5, 0)
            store.settle(worker, [Outcome.done(claim, keep=bool(number % 2)) for number, claim in enumerate(claims)])
        assert {id: seen[id] for id in ids(staying)} == dict.fromkeys(ids(staying), 1)

    def test_k1_every_part_of_a_query_narrows(self, store: Store) -> None:
        store.push([job(f"{queue}{name}", queue=queue, name=name) for queue in "ab" for name in "xy"])
        store.push([job("later", queue="a", name="x", delay=HOUR)])
        for query, expected in (
            ({}, {"ax", "ay", "bx", "by", "later"}),
            ({"queue": "a"}, {"ax", "ay", "later"}),
            ({"name": "x"}, {"ax", "bx", "later"}),
            ({"queue": "a", "name": "x"}, {"ax", "later"}),
            ({"queue": "a", "name": "x", "states": (State.READY,)}, {"ax"}),
            ({"ids": ("ax", "later", "by"), "queue": "a"}, {"ax", "later"}),
            ({"ids": ("ax", "later"), "states": (State.SCHEDULED,)}, {"later"}),
            ({"queue": "none"}, set()),
            ({"name": "none"}, set()),
        ):
            assert {one.record.id for one in rows(store, **query)} == expected

    def test_k1_a_thousand_ids_are_one_page(self, store: Store) -> None:
        pushed = jobs(700)
        store.push(pushed)
        page = store.find(Query(ids=(*ids(pushed), *ids(jobs(298)), *ids(pushed[:2])), limit=1))
        assert sorted(one.record.id for one in page.rows) == ids(pushed)
        assert page.next == ""

    def test_k1_a_row_tells_who_holds_a_job_and_under_which_fence(self, store: Store) -> None:
        store.push([job("one")])
        ready = row(store, "one")
        assert (ready.state, ready.fence, ready.worker, ready.cancelling) == (State.READY, 0, "", False)
        worker = hire(store)
        (claim,) = store.claim("default", worker, 1, 0)
        active = row(store, "one")
        assert (active.state, active.fence, active.worker) == (State.ACTIVE, 1, worker)
        assert active.record == claim.record
        store.settle(worker, [Outcome.done(claim, b"meta", b"result")])
        done = row(store, "one")
        assert (done.state, done.fence, done.worker, done.result) == (State.DONE, 1, "", b"result")

    def test_k2_purge_takes_what_it_was_asked_for(self, store: Store) -> None:
        expected = every_state(store, 4, "default")
        every_state(store, 4, "other")
        before, soon = store.counts().jobs, store.now() + HOUR
        assert store.purge(State.DONE, soon, 3, "default") == 3
        assert store.purge(State.DONE, soon, 3, "default") == 1
        assert store.purge(State.DONE, soon, 3, "default") == 0
        assert store.purge(State.DEAD, soon, 100) == 8
        gone = {("default", State.DONE), ("default", State.DEAD), ("other", State.DEAD)}
        assert store.counts().jobs == {where: count for where, count in before.items() if where not in gone}
        check_counts(store)
        assert {state(store, id) for id in expected[State.DONE] | expected[State.DEAD]} == {None}

    def test_k2_purge_goes_by_when_a_job_came_into_its_state(self, store: Store) -> None:
        worker, (early, late) = take(store, job("early"), job("late"))
        store.settle(worker, [Outcome.done(early)])
        moment = row(store, "early").changed_at
        pass_moment(store, moment + MILLISECOND)
        store.settle(worker, [Outcome.done(late)])
        assert store.purge(State.DONE, moment, 10) == 0
        assert store.purge(State.DONE, moment + 1, 10) == 1
        assert [state(store, id) for id in ("early", "late")] == [None, State.DONE]

    def test_k2_purge_takes_nothing_live(self, store: Store) -> None:
        every_state(store, 3, "default")
        before = picture(store)
        for live in LIVE:
            assert store.purge(live, store.now() + HOUR, 100) == 0
        assert picture(store) == before

    def test_k2_what_was_purged_and_retried_since_is_live(self, store: Store) -> None:
        worker, claims = take(store, *jobs(2))
        store.settle(worker, [Outcome.done(claim) for claim in claims])
        store.move([Move.retry(claims[0].record.id)])
        assert store.purge(State.DONE, store.now() + HOUR, 10) == 1
        assert ids(gather(store, worker)) == ids(claims[:1])

    def test_k2_a_purged_id_may_be_pushed_again(self, store: Store) -> None:
        worker, (claim,) = take(store, job("one", unique_key="key"))
        store.settle(worker, [Outcome.done(claim)])
        store.purge(State.DONE, store.now() + HOUR, 10)
        assert store.push([job("one", payload=b"again", unique_key="key")]) == ["one"]
        assert ids(gather(store, worker)) == ["one"]


def every_state(store: Store, each: int, queue: str) -> dict[State, set[str]]:
    """As many jobs in each state; which ones they are."""
    worker, claims = take(store, *jobs(3 * each, queue=queue))
    done, dead, active = (claims[part * each : (part + 1) * each] for part in range(3))
    store.settle(worker, [*map(Outcome.done, done), *map(Outcome.dead, dead)])
    ready, cancelled = jobs(each, queue=queue), jobs(each, queue=queue)
    scheduled = jobs(each, queue=queue, delay=HOUR)
    store.push([*ready, *cancelled, *scheduled])
    store.move([Move.cancel(id) for id in ids(cancelled)])
    return {
        State.SCHEDULED: set(ids(scheduled)),
        State.READY: set(ids(ready)),
        State.ACTIVE: set(ids(active)),
        State.DONE: set(ids(done)),
        State.DEAD: set(ids(dead)),
        State.CANCELLED: set(ids(cancelled)),
    }


def check_counts(store: Store) -> None:
    """Count by hand, and compare."""
    listed = Counter((one.record.queue, one.state) for one in rows(store))
    assert store.counts().jobs == listed
    assert sum(len(rows(store, states=(state,))) for state in State) == sum(listed.values())
