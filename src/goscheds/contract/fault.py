"""F: what a store promises when it is not there, and when many open it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from goscheds.contract.bench import (
    HOUR,
    LATE,
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
    together,
)
from goscheds.contract.case import Case, Clients, need
from goscheds.contract.processes import Start
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.plugins import open_store
from goscheds.record import Claim, Move, State
from goscheds.store import Capability, Store


class Fault(Case):
    """F1 to F3."""

    def test_f1_a_store_that_does_not_answer_is_an_error_with_its_cause(self, unreachable_url: str) -> None:
        store = open_store(unreachable_url, "nowhere")

        def use() -> None:
            store.open()
            store.push([job()])

        with pytest.raises(StoreError) as caught:
            background(use).result(PATIENCE)
        assert caught.value.__cause__ is not None, "the driver's own error says more"
        store.close()

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

    def test_f2_a_store_that_was_closed_opens_again_and_has_lost_nothing(self, store: Store) -> None:
        pushed = jobs(5)
        store.push(pushed)
        worker = hire(store)
        held = store.claim("default", worker, 2, 0)
        store.close()
        store.close()
        store.open()
        assert ids(store.held(worker)) == ids(held)
        assert ids(gather(store, worker)) == ids(pushed[2:])

    def test_f2_closing_lets_go_of_who_waits(self, store: Store) -> None:
        worker = hire(store)
        calls = (lambda: store.claim("default", worker, 1, PATIENCE), lambda: store.promote("duty", 1, PATIENCE))
        waiting = [background(partial(_quietly, call)) for call in calls]
        settle_in()
        store.close()
        for call in waiting:
            assert not call.result(LATE)
        store.open()
        store.push([job("one")])
        assert ids(gather(store, worker)) == ["one"]

    @pytest.mark.slow
    def test_f3_processes_may_open_a_store_at_once(self, store: Store, start: Start) -> None:
        founders = [start("founding") for _ in range(6)]
        for founder in founders:
            assert founder.hear() == "ready"
        for founder in founders:
            founder.tell()
        pushed = [founder.hear()[0] for founder in founders]
        assert sorted(one.record.id for one in rows(store)) == sorted(pushed)

    def test_f3_threads_may_open_a_store_at_once(self, store: Store, clients: Clients) -> None:
        together([lambda: clients.another().push([job()]) for _ in range(6)])
        together([store.open for _ in range(4)])
        assert len(rows(store)) == 6


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


def _quietly(call: Callable[[], object]) -> object:
    """A call's answer; none if the store is gone under it, which is as good."""
    try:
        return call()
    except StoreError:
        return None
