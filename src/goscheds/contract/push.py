"""P: what push promises."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from goscheds.contract.bench import (
    HOUR,
    eventually,
    gather,
    hire,
    ids,
    job,
    jobs,
    picture,
    row,
    rows,
    state,
    take,
    take_one,
    together,
)
from goscheds.contract.case import Case, Clients
from goscheds.contract.processes import Start
from goscheds.record import Claim, Move, Outcome, State
from goscheds.store import Erasable, Store

AWKWARD = (
    "two words ",
    "'\";--",
    "{ns}:*?[a-z]%s%%",
    "back\\slash/../\\x00",
    "a:b|c,d",
    "naïve ☃ 🦀",
    "é",  # composed, and below decomposed: two names
    "e\u0301",
    "Case",
    "case",
    "🦀" * 255,
)
"""Text that a store may not quote, split, fold, normalise or trim."""


class Push(Case):
    """P1 to P5."""

    def test_p1_a_pushed_job_is_there_for_everyone(self, store: Store, clients: Clients) -> None:
        pushed = jobs(3)
        assert store.push(pushed) == ids(pushed)
        other = clients.another()
        assert {one.record.id for one in rows(other)} == set(ids(pushed))
        assert ids(gather(other, hire(other))) == ids(pushed)

    @pytest.mark.slow
    def test_p1_pushed_jobs_survive_sigkill_of_who_pushed_them(self, store: Store, start: Start) -> None:
        actor = start("push", prefix="batch", batch=50)
        batches = [actor.hear() for _ in range(5)]
        actor.kill()
        found = {one.record.id for one in rows(store, limit=1000)}
        assert found >= {id for number in batches for id in ids(jobs(50, f"batch{number:04}"))}

    def test_p2_a_batch_lands_whole_or_not_at_all(self, store: Store) -> None:
        batch = [*jobs(300), *jobs(300, delay=HOUR), *jobs(300, queue="other")]
        assert store.push(batch) == ids(batch)
        assert {one.record.id for one in rows(store, limit=1000)} == set(ids(batch))

    @pytest.mark.parametrize("field", ["id", "name", "queue", "unique_key", "priority", "timeout", "delay"])
    def test_p2_a_batch_with_a_job_that_can_not_be_kept_lands_whole_or_not_at_all(
        self, store: Store, field: str
    ) -> None:
        absurd: tuple[Any, ...] = (
            (2**70, -(2**70)) if field in ("priority", "timeout", "delay") else ("\ud800", "x" * 70_000)
        )
        for number, value in enumerate(absurd):
            batch = [job(f"before-{number}"), replace(job(f"odd-{number}"), **{field: value}), job(f"after-{number}")]
            try:
                expected = store.push(batch)
            except Exception:  # noqa: BLE001 - the core never asks for it, so that no error of its own is promised
                expected = []
            landed = [one.id for one in batch if any(found.record.id == one.id for found in rows(store))]
            assert landed == expected, f"of a batch with {field}={value!r:.20}"

    def test_p2_an_empty_batch_is_no_batch(self, store: Store) -> None:
        assert store.push([]) == []
        assert picture(store)[0] == {}

    @pytest.mark.slow
    def test_p2_ten_thousand_with_conflicts_among_them_land_whole(self, store: Store) -> None:
        store.push([job("holder", unique_key="key"), job("known", name="first")])
        batch = jobs(10_000)
        batch[5_000] = replace(batch[5_000], unique_key="key")
        batch[7_000] = job("known", name="second")
        batch[9_000] = batch[8_000]
        expected = ids(batch)
        expected[5_000] = "holder"
        assert store.push(batch) == expected
        assert {one.record.id for one in rows(store, limit=1000)} == {"holder", *expected}
        assert row(store, "known").record.name == "first"

    @pytest.mark.slow
    def test_p2_nobody_sees_half_a_batch(self, store: Store, clients: Clients) -> None:
        batches = [jobs(1_000) for _ in range(5)]
        other = clients.another()

        def look() -> list[int]:
            seen = [0]
            while seen[-1] < 5_000:
                seen.append(sum(other.counts().jobs.values()))
            return seen

        _, seen = together([lambda: [len(store.push(batch)) for batch in batches], look])
        assert {count % 1_000 for count in seen} == {0}, "a batch was seen in the middle"

    @pytest.mark.slow
    def test_p2_a_batch_cut_by_sigkill_lands_whole_or_not_at_all(self, store: Store, start: Start) -> None:
        actors = [start("push", prefix=f"{number}-", batch=500) for number in range(3)]
        for number, actor in enumerate(actors):
            for _ in range(number + 1):
                actor.hear()
            actor.kill()
        eventually(lambda: sum(store.counts().jobs.values()) % 500 == 0, within=5)
        landed = {one.record.id.rpartition("-")[0] for one in rows(store, limit=1000)}
        assert len(landed) * 500 == sum(store.counts().jobs.values())

    def test_p3_the_same_id_twice_is_one_job(self, store: Store) -> None:
        first, second = job("same", payload=b"first"), job("same", payload=b"second", queue="other", delay=HOUR)
        assert store.push([first]) == ["same"]
        before = picture(store)
        assert store.push([second]) == ["same"]
        assert picture(store) == before
        assert row(store, "same").record.payload == b"first"

    def test_p3_the_same_id_twice_in_a_batch_is_one_job(self, store: Store) -> None:
        first, second = job("same", payload=b"first"), job("same", payload=b"second")
        assert store.push([job("before"), first, second, job("after")]) == ["before", "same", "same", "after"]
        assert ids(gather(store, hire(store))) == ["before", "same", "after"]
        assert row(store, "same").record.payload == b"first"

    def test_p3_an_id_stays_taken_whatever_became_of_its_job(self, store: Store) -> None:
        worker, (done, active) = take(store, job("done"), job("active"))
        store.settle(worker, [Outcome.done(done)])
        before = picture(store)
        assert store.push([done.record, active.record]) == ["done", "active"]
        assert picture(store) == before

    def test_p3_a_push_repeated_with_its_unique_key_answers_as_the_first(self, store: Store) -> None:
        once = [job("one", unique_key="key"), job("two", unique_key="key")]
        assert store.push(once) == ["one", "one"]
        assert store.push(once) == ["one", "one"]
        assert [one.record.id for one in rows(store)] == ["one"]

    def test_p3_producers_that_race_with_the_same_ids_make_each_job_once(self, store: Store, clients: Clients) -> None:
        batch = jobs(50)
        producers = [clients.another() for _ in range(4)]
        answers = together([partial(producer.push, batch) for producer in producers])
        assert answers == [ids(batch)] * 4
        assert sorted(ids(gather(store, hire(store)))) == ids(batch)

    def test_p4_bytes_come_back_as_they_went_in(self, store: Store) -> None:
        every_byte = bytes(range(256))
        text = 'NUL \x00, ☃, 🦀, "quoted", \\ and \r\n'.encode()
        for payload, meta in ((every_byte, text), (text, every_byte), (b"", b""), (b"\x00", b"\xff"), (b" ", b"\n")):
            worker, claim = take_one(store, job(payload=payload, meta=meta))
            assert (claim.record.payload, claim.record.meta) == (payload, meta)
            store.settle(worker, [Outcome.done(claim, meta=every_byte, result=text)])
            settled = row(store, claim.record.id)
            assert (settled.record.payload, settled.record.meta, settled.result) == (payload, every_byte, text)

    @pytest.mark.parametrize("end", [Outcome.done, Outcome.dead, Outcome.cancelled, Outcome.retry, Outcome.released])
    def test_p4_a_job_keeps_its_payload_whatever_becomes_of_it(
        self, store: Store, end: Callable[[Claim, bytes], Outcome]
    ) -> None:
        payload = b"\xff\x00{ no JSON"
        worker, claim = take_one(store, job(payload=payload))
        store.settle(worker, [end(claim, b"account")])
        settled = row(store, claim.record.id).record
        assert (settled.payload, settled.meta) == (payload, b"account")
        store.move([Move.retry(claim.record.id)])
        assert store.claim("default", worker, 1, 0)[0].record.payload == payload

    def test_p4_a_payload_of_a_megabyte_comes_back(self, store: Store) -> None:
        payload = bytes(range(256)) * 4096
        worker, claim = take_one(store, job(payload=payload))
        assert claim.record.payload == payload
        assert store.settle(worker, [Outcome.done(claim, result=payload)])
        assert row(store, claim.record.id).result == payload

    def test_p4_names_may_be_any_text(self, store: Store) -> None:
        pushed = [job(text, name=text, queue=text, unique_key=text, priority=7, timeout=HOUR) for text in AWKWARD]
        assert store.push(pushed) == list(AWKWARD)
        worker = hire(store)
        for one in pushed:
            assert [found.record.id for found in rows(store, queue=one.queue, name=one.name)] == [one.id]
            store.pause(one.queue, paused=True)
            assert store.counts().paused == {one.queue}
            store.pause(one.queue, paused=False)
            (claim,) = store.claim(one.queue, worker, 10, 0)
            assert replace(claim.record, execute_at=0) == one
        assert sorted(ids(store.held(worker))) == sorted(AWKWARD)

    def test_p4_what_a_worker_says_of_itself_comes_back(self, store: Store) -> None:
        info = bytes(range(256)) * 8
        for name in ("worker with spaces", "🦀:{}'\"\\%"):
            store.heartbeat(name, 60.0, info)
        assert {worker.id: worker.info for worker in store.workers()} == dict.fromkeys(
            ("worker with spaces", "🦀:{}'\"\\%"), info
        )

    def test_p5_namespaces_never_see_each_other(self, store: Store, clients: Clients) -> None:
        other = clients.open(clients.namespace + ".b")
        one, another = job("same", payload=b"a", unique_key="key"), job("same", payload=b"b", unique_key="key")
        assert store.push([one]) == other.push([another]) == ["same"]
        store.pause("paused", paused=True)
        worker = hire(store)
        assert store.claim("default", worker, 10, 0)[0].record.payload == b"a"
        assert other.counts().jobs == {("default", State.READY): 1}
        assert other.counts().paused == frozenset()
        assert other.workers() == []
        assert other.held(worker) == []
        assert other.claim("default", worker, 1, 0) == [], "a worker of one namespace has no lease in another"
        assert row(other, "same").record.payload == b"b"

    def test_p5_a_namespace_erased_leaves_its_neighbours_alone(self, clients: Clients) -> None:
        names = [clients.namespace, *(clients.namespace.replace("-", by) for by in "_.x"), clients.namespace + "-2"]
        stores = [clients.open(name) for name in names]
        for store in stores:
            store.push([job("here")])
        erased = stores[1]  # its name has `_`, which matches any character in an unguarded LIKE
        if not isinstance(erased, Erasable):
            pytest.skip("the store is not Erasable")
        erased.erase()
        assert [state(store, "here") for store in stores] == [State.READY, None, *[State.READY] * 3]
