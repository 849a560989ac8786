"""P1, F1 and F2 on a store whose server is killed and started anew, by the binding's fixture ``restart``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from goscheds.contract.bench import (
    HOUR,
    PATIENCE,
    answers,
    background,
    eventually,
    gather,
    hire,
    ids,
    job,
    jobs,
    rows,
    settle_in,
    state,
    take,
)
from goscheds.contract.case import Case, need
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.record import Claim, Move, Outcome, State
from goscheds.store import Capability, Store


class Outage(Case):
    """What a store promises when its server goes and comes back."""

    @pytest.mark.slow
    def test_p1_pushed_jobs_survive_a_restart_of_the_store(self, store: Store, restart: Callable[[], None]) -> None:
        need(store, Capability.DURABLE)
        ready, scheduled, held = jobs(20), jobs(20, delay=HOUR), jobs(20, queue="held")
        store.push([*ready, *scheduled])
        worker, claims = take(store, *held)
        restart()
        eventually(lambda: answers(store))
        states = {one.record.id: one.state for one in rows(store)}
        expected = {State.READY: ready, State.SCHEDULED: scheduled, State.ACTIVE: held}
        assert states == {id: state for state, pushed in expected.items() for id in ids(pushed)}
        assert store.settle(worker, [Outcome.done(claim) for claim in claims]) == ids(held)

    @pytest.mark.slow
    def test_f1_every_verb_says_that_the_store_is_gone(self, store: Store, restart: Callable[[], None]) -> None:
        store.push([job("one"), job("later", delay=HOUR)])
        worker = hire(store)
        verbs: tuple[Callable[[], object], ...] = (
            store.now,
            store.counts,
            store.workers,
            lambda: store.push([job("two")]),
            lambda: store.claim("none", worker, 1, 0.2),
            lambda: store.heartbeat(worker, 60.0, b""),
            lambda: store.promote(worker, 1, 0.2),
            lambda: store.move([Move.cancel("unknown")]),
        )
        over = threading.Event()
        errors = [background(partial(_errors, verb, over)) for verb in verbs]
        settle_in()
        restart()
        eventually(lambda: answers(store))
        over.set()
        for seen in errors:
            for error in seen.result(PATIENCE):
                assert isinstance(error, StoreError), f"a foreign error: {error!r}"
                assert error.__cause__ is not None
        assert any(isinstance(error, StoreUnavailable) for seen in errors for error in seen.result())

    @pytest.mark.slow
    def test_f2_a_store_that_was_gone_and_is_back_works_again_by_itself(
        self, store: Store, restart: Callable[[], None]
    ) -> None:
        need(store, Capability.DURABLE)
        pushed = jobs(5)
        store.push([*pushed, job("later", delay=HOUR)])
        waiting = background(lambda: _claim_again_and_again(store))
        settle_in()
        restart()
        eventually(lambda: answers(store))
        assert ids(gather(store, hire(store))) == ids(pushed)
        assert state(store, "later") is State.SCHEDULED
        store.push([job("new", queue="idle")])
        assert ids(waiting.result(PATIENCE)) == ["new"]


def _errors(verb: Callable[[], object], over: threading.Event) -> list[Exception]:
    errors: list[Exception] = []
    while not over.wait(0.01):
        try:
            verb()
        except Exception as error:  # noqa: BLE001 - what kind it is, is the question
            errors.append(error)
    return errors


def _claim_again_and_again(store: Store) -> list[Claim]:
    worker = hire(store)
    while True:
        try:
            store.heartbeat(worker, 60.0, b"")
            if claims := store.claim("idle", worker, 1, 2.0):
                return claims
        except StoreError:
            settle_in(0.05)
