"""F: what a store promises when it is not there, and when many open it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from goscheds.contract.bench import (
    LATE,
    PATIENCE,
    background,
    gather,
    hire,
    ids,
    job,
    jobs,
    rows,
    settle_in,
    together,
)
from goscheds.contract.case import Case, Clients
from goscheds.contract.processes import Start
from goscheds.errors import StoreError
from goscheds.plugins import open_store
from goscheds.store import Store


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


def _quietly(call: Callable[[], object]) -> object:
    """A call's answer; none if the store is gone under it, which is as good."""
    try:
        return call()
    except StoreError:
        return None
