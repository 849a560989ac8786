"""U: what a store promises about unique keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from goscheds.contract.bench import (
    HOUR,
    LONG,
    gather,
    hire,
    ids,
    job,
    jobs,
    picture,
    rows,
    state,
    take,
    take_one,
    together,
)
from goscheds.contract.case import Case, Clients
from goscheds.contract.processes import Start
from goscheds.record import Move, Outcome, State
from goscheds.store import Store


class Unique(Case):
    """U1 and U2."""

    def test_u1_a_taken_key_gives_its_holders_id(self, store: Store) -> None:
        assert store.push([job("holder", unique_key="key")]) == ["holder"]
        before = picture(store)
        rivals = [job(unique_key="key"), job(unique_key="key", queue="other", name="other", delay=HOUR)]
        assert store.push(rivals) == ["holder", "holder"]
        assert picture(store) == before

    def test_u1_also_within_a_batch(self, store: Store) -> None:
        batch = [job("a", unique_key="1"), job("b", unique_key="2"), job("c", unique_key="1"), job("d")]
        assert store.push(batch) == ["a", "b", "a", "d"]
        assert ids(gather(store, hire(store))) == ["a", "b", "d"]

    def test_u1_a_job_that_was_not_stored_may_come_again_with_another_key(self, store: Store) -> None:
        store.push([job("holder", unique_key="1")])
        batch = [job("a", unique_key="1"), job("a", unique_key="2"), job("b", unique_key="2")]
        assert store.push(batch) == ["holder", "a", "a"]

    def test_u1_a_key_is_held_in_every_live_state(self, store: Store) -> None:
        store.push([job("holder", unique_key="key", delay=HOUR)])
        rival = job("rival", unique_key="key")
        assert store.push([rival]) == ["holder"], "while scheduled"
        store.move([Move.retry("holder")])
        assert store.push([rival]) == ["holder"], "while ready"
        worker = hire(store)
        (claim,) = store.claim("default", worker, 1, 0)
        assert store.push([rival]) == ["holder"], "while active"
        store.settle(worker, [Outcome.retry(claim, delay=HOUR)])
        assert store.push([rival]) == ["holder"], "while waiting for its retry"
        store.move([Move.reschedule("holder")])
        (claim,) = store.claim("default", worker, 1, 0)
        store.settle(worker, [Outcome.released(claim)])
        assert store.push([rival]) == ["holder"], "once released"
        store.claim("default", worker, 1, 0)
        store.heartbeat(worker, 0, b"")
        assert store.push([rival]) == ["holder"], "while an orphan"
        store.recover(hire(store), 1)
        assert store.push([rival]) == ["holder"], "once recovered"

    def test_u1_jobs_without_a_key_are_never_rivals(self, store: Store) -> None:
        pushed = jobs(5)
        store.push(pushed)
        worker, _ = take(store, *jobs(5, queue="other"))
        assert ids(gather(store, worker)) == ids(pushed)

    def test_u1_a_settled_job_whose_key_was_taken_is_not_retried(self, store: Store) -> None:
        worker, claim = take_one(store, job("old", unique_key="key"))
        store.settle(worker, [Outcome.dead(claim)])
        store.push([job("new", unique_key="key")])
        before = picture(store)
        assert store.move([Move.retry("old", b"meta")]) == [State.DEAD]
        assert picture(store) == before
        store.move([Move.cancel("new")])
        assert store.move([Move.retry("old")]) == [State.READY]
        assert store.push([job(unique_key="key")]) == ["old"], "a retried job holds its key again"
        assert store.move([Move.retry("new")]) == [State.CANCELLED]

    def test_u1_producers_that_race_leave_one_holder(self, store: Store, clients: Clients) -> None:
        producers = [clients.another() for _ in range(6)]
        keys = [f"key-{number}" for number in range(30)]
        answers = together([partial(_push_all, producer, keys) for producer in producers])
        assert len({tuple(answer) for answer in answers}) == 1, "two producers were told of different holders"
        assert sorted(one.record.id for one in rows(store)) == sorted(answers[0])

    @pytest.mark.slow
    def test_u1_processes_that_race_leave_one_holder(self, store: Store, start: Start) -> None:
        producers = [start("push_keys", keys=[f"key-{number}" for number in range(100)]) for _ in range(4)]
        for producer in producers:
            assert producer.hear() == "ready"
        for producer in producers:
            producer.tell()
        answers = [producer.hear() for producer in producers]
        assert answers == [answers[0]] * 4, "two producers were told of different holders"
        assert sorted(one.record.id for one in rows(store)) == sorted(answers[0])

    @pytest.mark.parametrize("keep", [True, False])
    @pytest.mark.parametrize("verb", [Outcome.done, Outcome.dead, Outcome.cancelled])
    def test_u2_a_key_is_free_once_its_job_is_settled(
        self, store: Store, verb: Callable[..., Outcome], keep: bool
    ) -> None:
        worker, claim = take_one(store, job("first", unique_key="key"))
        store.settle(worker, [verb(claim, keep=keep)])
        assert store.push([job("second", unique_key="key")]) == ["second"]
        assert state(store, "second") is State.READY

    @pytest.mark.parametrize("delay", [0, HOUR])
    def test_u2_a_key_is_free_once_its_job_is_cancelled_while_waiting(self, store: Store, delay: int) -> None:
        store.push([job("first", unique_key="key", delay=delay)])
        store.move([Move.cancel("first")])
        assert store.push([job("second", unique_key="key")]) == ["second"]
        assert store.push([job("third", unique_key="key")]) == ["second"]

    def test_u2_a_key_is_free_once_its_job_is_cancelled_while_active(self, store: Store) -> None:
        worker, claim = take_one(store, job("first", unique_key="key"))
        store.move([Move.cancel("first")])
        assert store.push([job(unique_key="key")]) == ["first"], "it is live until its holder gives it back"
        store.settle(worker, [Outcome.released(claim)])
        assert store.push([job("second", unique_key="key")]) == ["second"]

    def test_u2_the_end_of_an_older_job_leaves_the_key_with_its_new_holder(self, store: Store) -> None:
        worker, claim = take_one(store, job("first", unique_key="key"))
        outcome = Outcome.done(claim)
        store.settle(worker, [outcome])
        store.push([job("second", unique_key="key")])
        store.settle(worker, [outcome])
        store.move([Move.cancel("first")])
        store.purge(State.DONE, store.now() + HOUR, 10)
        assert store.push([job(unique_key="key")]) == ["second"]
        store.heartbeat(worker, LONG, b"")
        assert ids(store.claim("default", worker, 10, 0)) == ["second"]


def _push_all(store: Store, keys: list[str]) -> list[str]:
    return [store.push([job(unique_key=key)])[0] for key in keys]
