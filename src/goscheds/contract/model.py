"""Random operations on a store and on the memory store, which must answer alike and look alike after each.

Nothing here depends on real time: leases are over because they are ended, jobs are due in an hour or within
microseconds, and a promotion waits until both clocks are past those. Where the law leaves an order open, sets are
compared; where it leaves a choice open, nothing random asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from goscheds.backends.memory import MemoryStore
from goscheds.contract.bench import HOUR, LONG, eventually, rows
from goscheds.contract.case import Case, Clients
from goscheds.record import Claim, Heartbeat, Lost, Move, MoveVerb, Outcome, Record, Row, State, Verb
from goscheds.store import Erasable, Pipelined, Store

QUEUES = ("default", "other")
WORKERS = ("ann", "bob", "cyd")
KEYS = ("", "", "k1", "k2")
SOON = 1  # stands for the next of a row of microseconds, so that "earliest first" is the order of the operations
IDS = [f"job-{number}" for number in range(12)]

ids = st.sampled_from(IDS)
workers = st.sampled_from(WORKERS)
delays = st.sampled_from((0, 0, SOON, HOUR))
records = st.builds(
    Record,
    id=ids,
    name=st.just("job"),
    queue=st.sampled_from(QUEUES),
    payload=st.binary(max_size=3),
    execute_at=st.sampled_from((0, 0, 0, 1)),
    delay=delays,
    priority=st.sampled_from((0, 0, 1, -1)),
    unique_key=st.sampled_from(KEYS),
)
follow_ups = st.lists(st.builds(Record, id=ids, name=st.just("next"), queue=st.just("other"), delay=delays), max_size=2)
moves = st.lists(
    st.builds(Move, id=ids, verb=st.sampled_from(MoveVerb), delay=delays, meta=st.sampled_from((b"", b"moved"))),
    min_size=1,
    max_size=3,
    unique_by=lambda move: move.id,
)


class Comparison(RuleBasedStateMachine):
    """A store beside the model."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.model = MemoryStore()
        self.claims: list[Claim] = []  # every claim ever made, stale ones too
        self._tick = 0

    @initialize(batch=st.lists(records, min_size=2, max_size=6))
    def begin(self, batch: list[Record]) -> None:
        """Two of the workers begin with a lease, and there is something to do."""
        for worker in WORKERS[:2]:
            self.heartbeat(worker, LONG)
        self.push(batch)

    def both(self, call: Callable[[Store], Any]) -> Any:
        """Ask both; the answers must be equal."""
        answer, expected = call(self.store), call(self.model)
        assert answer == expected
        return answer

    def soon(self, delay: int) -> int:
        """A delay, with each ``SOON`` later than the one before."""
        self._tick += delay == SOON
        return self._tick if delay == SOON else delay

    def due(self, record: Record) -> Record:
        """A record without a clash: due at its moment, or after its delay."""
        return replace(record, delay=0 if record.execute_at else self.soon(record.delay))

    @rule(batch=st.lists(records, min_size=1, max_size=4))
    def push(self, batch: list[Record]) -> None:
        """P1 to P4, U1. An id that stands twice in a batch is one job both times, as when it is repeated."""
        one = {record.id: self.due(record) for record in batch}
        jobs = [one[record.id] for record in batch]
        self.both(lambda store: store.push(jobs))

    @rule(queue=st.sampled_from(QUEUES), worker=workers, limit=st.integers(1, 4))
    def claim(self, queue: str, worker: str, limit: int) -> None:
        """C1, C2, C5, L2."""
        self.take(lambda store: store.claim(queue, worker, limit, 0), list)

    @rule(queue=st.sampled_from(QUEUES), worker=st.sampled_from(WORKERS[:2]), data=st.data())
    def work(self, queue: str, worker: str, data: st.DataObject) -> None:
        """Claim, and settle at once."""
        claims = self.take(lambda store: store.claim(queue, worker, 3, 0), list)
        self.settle(worker, claims, data)

    @rule(queue=st.sampled_from(QUEUES), worker=st.sampled_from(WORKERS[:2]), data=st.data())
    def work_on(self, queue: str, worker: str, data: st.DataObject) -> None:
        """Claim, then settle and claim the next at once."""
        claims = self.take(lambda store: store.claim(queue, worker, 3, 0), list)
        outcomes = [data.draw(_outcomes(claim)) for claim in claims]
        outcomes = [replace(outcome, delay=self.soon(outcome.delay)) for outcome in outcomes]
        self.take(lambda store: _settle_and_claim(store, worker, outcomes, queue), list)

    @precondition(lambda self: self.claims)
    @rule(worker=workers, data=st.data())
    def settle_any(self, worker: str, data: st.DataObject) -> None:
        """Settle claims of any age, stale ones too."""
        some = st.lists(st.sampled_from(self.claims[-12:]), min_size=1, max_size=4, unique_by=_id)
        self.settle(worker, data.draw(some), data)

    def settle(self, worker: str, claims: list[Claim], data: st.DataObject) -> None:
        """S1 to S3, U2, X2; now and then the answer is lost, and it is done again."""
        outcomes = [data.draw(_outcomes(claim)) for claim in claims]
        outcomes = [replace(outcome, delay=self.soon(outcome.delay)) for outcome in outcomes]
        if not any(outcome.verb is Verb.RETRY for outcome in outcomes):  # who is first at the end, is left open
            settled = {outcome.id for outcome in outcomes}  # pushed anew by the same batch: left open as well
            jobs = tuple(self.due(job) for job in data.draw(follow_ups) if job.id not in settled)
            outcomes[:1] = [replace(outcome, jobs=jobs) for outcome in outcomes[:1]]
        for _ in range(1 + data.draw(st.booleans())):
            self.both(lambda store: [id for id in store.settle(worker, outcomes) if id in _kept(outcomes)])

    @rule(batch=moves)
    def move(self, batch: list[Move]) -> None:
        """X1 to X3, U1."""
        steps = [replace(move, delay=self.soon(move.delay) if move.verb == "reschedule" else 0) for move in batch]
        self.both(lambda store: store.move(steps))

    @rule(worker=workers, lease=st.sampled_from((LONG, LONG, 0.0)))
    def heartbeat(self, worker: str, lease: float) -> None:
        """L1, L3, X2."""
        self.both(lambda store: _told(store.heartbeat(worker, lease, b"info")))

    @rule(worker=workers, lapsed=workers)
    def recover(self, worker: str, lapsed: str) -> None:
        """L2, L3, L6, L7: one stops, another takes over what it leaves."""
        self.heartbeat(lapsed, 0.0)
        self.heartbeat(worker, LONG)
        self.take(lambda store: store.recover(worker, 1000), sorted)
        self.take(lambda store: store.held(worker), sorted)

    def take(self, call: Callable[[Store], list[Claim]], order: Callable[[list[Any]], list[Any]]) -> list[Claim]:
        """Compare claims, but for the moments in them."""
        answer, expected = call(self.store), call(self.model)
        assert order([_seen(claim) for claim in answer]) == order([_seen(claim) for claim in expected])
        self.claims += expected
        return expected

    @rule(limit=st.sampled_from((1, 100)))
    def promote(self, limit: int) -> None:
        """T1, T3, C2."""
        last = max(store.now() for store in (self.store, self.model)) + self._tick
        eventually(lambda: min(self.store.now(), self.model.now()) > last)
        self.both(lambda store: store.promote("duty", limit, 0))

    @rule(queue=st.sampled_from((*QUEUES, "idle", "idle")), paused=st.booleans(), purged=st.sampled_from(("", *QUEUES)))
    def keep_house(self, queue: str, paused: bool, purged: str) -> None:
        """C5 and K2."""
        self.both(lambda store: store.pause(queue, paused))
        self.both(lambda store: [store.purge(state, store.now() + HOUR, 1000, purged) for state in State])

    @invariant()
    def looks_alike(self) -> None:
        """K1."""
        self.both(lambda store: {row.record.id: _shown(row) for row in rows(store, limit=7)})
        self.both(lambda store: store.counts())
        self.both(lambda store: {one.id: (one.held, one.info) for one in store.workers()})


def _settle_and_claim(store: Store, worker: str, outcomes: Sequence[Outcome], queue: str) -> list[Claim]:
    if isinstance(store, Pipelined):
        return store.settle_and_claim(worker, outcomes, queue, 2)[1]
    store.settle(worker, outcomes)
    return store.claim(queue, worker, 2, 0)


def _seen(claim: Claim) -> tuple[str, int, Lost, bytes, bytes]:
    return claim.record.id, claim.fence, claim.lost, claim.record.payload, claim.record.meta


def _told(beat: Heartbeat) -> tuple[bool, set[str]]:
    return beat.lapsed, set(beat.cancel)


def _shown(row: Row) -> Row:
    """A row without the moments that differ between any two stores."""
    return replace(row, record=replace(row.record, execute_at=0), pushed_at=0, changed_at=0)


def _kept(outcomes: Sequence[Outcome]) -> set[str]:
    """The ids whose answer the law settles: whether a repeated outcome of a deleted job is accepted, is left open."""
    return {outcome.id for outcome in outcomes if outcome.keep}


def _id(claim: Claim) -> str:
    return claim.record.id


def _outcomes(claim: Claim) -> st.SearchStrategy[Outcome]:
    meta, keep = st.sampled_from((b"", b"meta")), st.sampled_from((True, True, False))
    return st.one_of(
        st.builds(Outcome.done, st.just(claim), meta, st.just(b"result"), keep=keep),
        st.builds(Outcome.dead, st.just(claim), meta, keep=keep),
        st.builds(Outcome.cancelled, st.just(claim), meta, keep=keep),
        st.builds(Outcome.retry, st.just(claim), meta, delay=delays),
        st.builds(Outcome.released, st.just(claim), meta),
    )


class Model(Case):
    """K1, and with it the whole law, wherever chance leads."""

    @pytest.mark.slow
    def test_k1_after_any_operations_every_job_stands_where_the_memory_store_has_it(
        self, store: Store, clients: Clients
    ) -> None:
        numbers = count()

        def machine() -> Comparison:
            if not isinstance(store, Erasable):
                return Comparison(clients.open(f"{clients.namespace}-{next(numbers)}"))
            store.erase()
            return Comparison(store)

        for profile in (SHORT_RUNS, LONG_RUNS):
            run_state_machine_as_test(machine, settings=profile)  # type: ignore[arg-type]  # any factory will do


SHORT_RUNS = settings(
    max_examples=40,
    stateful_step_count=8,
    phases=[Phase.generate],  # short runs first serve as well as shrinking, which may take minutes on a server
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
LONG_RUNS = settings(SHORT_RUNS, max_examples=20, stateful_step_count=40)
