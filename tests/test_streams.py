from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import timedelta

import pytest
from kit import KEEP, Tampered, heard, looping, record, states, until

from goscheds.backends.memory import MemoryStore
from goscheds.batch import MAX_BATCH
from goscheds.context import Context
from goscheds.errors import StoreUnavailable
from goscheds.execution import Execution
from goscheds.handlers import Explicit, Registry
from goscheds.holdings import Holdings
from goscheds.job import Job
from goscheds.record import Move, State
from goscheds.streams import AsyncLane
from goscheds.watch import Watch

BLOCK = 20.0  # as in a worker, and longer than anything may take here


@contextmanager
def streaming(store, handler, slots=10, sync=lambda job: None, block=BLOCK):
    """A lane at work on the queue ``default``: ``handler`` for jobs named ``greet``, ``sync`` for those named so."""
    handlers = Registry()
    handlers.add(Explicit("greet", handler), "default")
    handlers.add(Explicit("sync", sync), "other")
    before = set(threading.enumerate())
    with looping() as loop:
        execution = Execution(handlers, KEEP, "w", loop)
        holdings = Holdings(store, "w", execution, loop)
        watch = Watch(holdings, execution)
        lane = AsyncLane("default", slots, holdings, execution, loop, watch, block)
        lane.watch, lane.holdings = watch, holdings
        MemoryStore.heartbeat(store, "w", 1000, b"")
        watch.start()
        lane.start()
        try:
            yield lane
        finally:
            watch.stopping.set()
            store.interrupt("w")
            assert lane.join(10)
            holdings.closing.set()
            lane.close()
            watch.close()
    assert set(threading.enumerate()) <= before


async def nothing(job: Job) -> None: ...


def pushed(store, *ids: str, name="greet", **fields) -> None:
    store.push([record(name, id=id, **fields) for id in ids])


def all_done(store, *ids: str) -> None:
    """Thousands are counted first: to look at each of them again and again takes the time that they need."""
    until(lambda: sum(n for (_, state), n in store.counts().jobs.items() if state is State.DONE) >= len(ids))
    until(lambda: set(states(store, *ids)) == {State.DONE}, f"{ids[:10]} and more to be done")


class Gate:
    """A handler that waits until it is let through, and what it was called with."""

    def __init__(self):
        self.reached: list[str] = []
        self._opened: Future[None] = Future()

    def open(self) -> None:
        self._opened.set_result(None)

    async def __call__(self, job: Job) -> None:
        self.reached.append(job.id)
        await asyncio.shield(asyncio.wrap_future(self._opened))


def test_what_is_taken_in_just_as_the_lane_is_stopped_is_given_back():
    store = Tampered()
    with streaming(store, nothing) as lane:
        add = lane._backlog.add

        def add_too_late(runs):
            lane.watch.stopping.set()
            add(runs)

        lane._backlog.add = add_too_late
        pushed(store, "a")
        heard(lane.watch.stopping)
        assert lane.join(10)
        assert states(store, "a") == [State.READY]


def test_thousands_run_on_one_loop():
    store, running, together = Tampered(), set(), asyncio.Event()
    ids = [str(n) for n in range(2000)]

    async def handler(job):
        running.add(job.id)
        if len(running) == len(ids):
            together.set()
        await together.wait()

    pushed(store, *ids)
    with streaming(store, handler, slots=2000):
        all_done(store, *ids)
    assert store.calls["settle"] < 200, "they are settled in batches"


@pytest.mark.parametrize("waits", [False, True])
def test_what_a_handler_sets_in_its_context_is_no_other_jobs(waits):
    seen: list[str] = []
    var = contextvars.ContextVar("var", default="")

    async def handler(job: Job) -> None:
        seen.append(var.get())
        var.set(job.id)
        if waits:
            await asyncio.sleep(0)
        assert (asyncio.current_task().get_name(), var.get()) == (job.id, job.id)

    store, ids = MemoryStore(), [str(n) for n in range(500)]  # so many that those that end begin others
    pushed(store, *ids)
    with streaming(store, handler, slots=2):
        all_done(store, *ids)
    assert set(seen) == {""}


def test_jobs_that_end_at_once_leave_the_loop_to_others():
    store, ids = MemoryStore(), [str(n) for n in range(1000)]
    began: list[str] = []
    others_turn: list[int] = []

    async def handler(job: Job) -> None:
        if not began:
            until(lambda: len(lane._backlog) > 500)
            asyncio.get_running_loop().call_soon(lambda: others_turn.append(len(began)))
        began.append(job.id)

    with streaming(store, handler, slots=1000) as lane:
        pushed(store, *ids)
        all_done(store, *ids)
    assert sorted(began) == sorted(ids)  # what waits too long for the first is given back, and runs later
    assert others_turn[0] <= 2 * MAX_BATCH


def test_no_more_than_the_slots_run_at_a_time():
    store, gate = Tampered(), Gate()
    pushed(store, *"abcdef")
    with streaming(store, gate, slots=2):
        until(lambda: len(gate.reached) == 2)
        assert states(store, *"abcdef").count(State.ACTIVE) == 2
        gate.open()
        all_done(store, *"abcdef")
    assert gate.reached == list("abcdef")


def test_a_slot_is_free_when_its_handler_returns_whoever_said_how_it_ended():
    """While others run on: nobody else has anything to say then that would let the lane look."""
    store, gates, begun = Tampered(), {"long": Gate(), "late": Gate()}, []

    async def handler(job):
        begun.append(job.id)
        if gate := gates.get(job.id):
            await gate(job)

    pushed(store, "long", "late")
    with streaming(store, handler, slots=2) as lane:
        until(lambda: len(begun) == 2)
        [late] = [run for run in lane.holdings.unfinished() if run.claim.record.id == "late"]
        assert lane.holdings.finish(late), "as the watch does past a timeout"
        pushed(store, "third")
        gates["late"].open()
        until(lambda: "third" in begun)
        gates["long"].open()
        all_done(store, "long", "third")


def test_each_slot_is_free_again_however_its_run_ended():
    """Done, failed, timed out, cancelled, taken away: one leak a round, and the lane would stand still."""
    store = Tampered()

    async def handler(job: Job):
        kind = job.id.split("-")[0]
        if kind == "fails":
            raise ValueError(kind)
        if kind in ("cancelled", "timed"):
            await asyncio.sleep(60)

    with streaming(store, handler, slots=2) as lane:
        for n in range(5):
            fails, cancelled, timed = f"fails-{n}", f"cancelled-{n}", f"timed-{n}"
            pushed(store, f"done-{n}", fails, cancelled)
            until(lambda cancelled=cancelled: states(store, cancelled) == [State.ACTIVE])
            store.move([Move.cancel(cancelled)])
            lane.holdings.stop_cancelled([cancelled])
            pushed(store, timed, timeout=timedelta(milliseconds=1))
            until(lambda cancelled=cancelled: states(store, cancelled) == [State.CANCELLED])
            store.move([Move.cancel(timed), Move.cancel(fails)])
        until(lambda: not lane._running, "both slots to be free")


def test_a_sync_handler_that_turns_up_runs_in_a_thread():
    store, gate, names = Tampered(), Gate(), []
    pushed(store, "a")
    with streaming(store, gate, sync=lambda job: names.append(threading.current_thread().name)):
        until(lambda: gate.reached)
        pushed(store, "b", name="sync")
        all_done(store, "b")
        gate.open()
        all_done(store, "a")
    assert names == ["goscheds-sync"]


def test_a_cancelled_sync_handler_keeps_its_slot_until_it_returns():
    """To cancel the task that waits for its thread would leak the slot and strand the job."""
    store, begun, free = Tampered(), threading.Event(), threading.Event()

    def handler(job: Job, run: Context):
        begun.set()
        assert run.wait(10)
        heard(free)
        run.check()

    pushed(store, "a", name="sync")
    with streaming(store, nothing, slots=1, sync=handler) as lane:
        heard(begun)
        store.move([Move.cancel("a")])
        lane.holdings.stop_cancelled(["a"])
        pushed(store, "b")
        assert not threading.Event().wait(0.05)
        assert states(store, "b") == [State.READY]
        free.set()
        all_done(store, "b")
        assert states(store, "a") == [State.CANCELLED]


def settling(store, *ids: str) -> tuple[list[list[str]], threading.Event]:
    """What was settled together, from now on; the settles of these wait for the event."""
    batches, answer = [], threading.Event()

    def settle(worker, outcomes):
        batches.append([outcome.id for outcome in outcomes])
        if outcomes[0].id in ids:
            heard(answer)

    store.before["settle"] = settle
    return batches, answer


def test_what_ends_while_the_settles_are_on_their_way_goes_with_the_next():
    store, gates = Tampered(), {kind: Gate() for kind in "abc"}
    batches, answer = settling(store, "a", "b")
    pushed(store, "a", "b", *(ids := ["c1", "c2", "c3"]))
    with streaming(store, lambda job: gates[job.id[0]](job)) as lane:
        until(lambda: gates["b"].reached and len(gates["c"].reached) == len(ids))
        for kind in "ab":  # one for each pump
            gates[kind].open()
            until(lambda kind=kind: [kind] in batches)
        gates["c"].open()
        until(lambda: len(lane._ended) == len(ids))
        answer.set()
        all_done(store, "a", "b", *ids)
    assert [sorted(batch) for batch in batches] == [["a"], ["b"], ids]


def test_a_settle_that_takes_long_holds_up_no_other():
    store, gates = Tampered(), {kind: Gate() for kind in "ab"}
    batches, answer = settling(store, "a")
    pushed(store, "a", "b")
    with streaming(store, lambda job: gates[job.id](job)):
        until(lambda: gates["b"].reached)
        gates["a"].open()
        until(lambda: batches)
        gates["b"].open()
        all_done(store, "b")
        assert states(store, "a") == [State.ACTIVE]
        answer.set()
        all_done(store, "a")


def test_a_lane_that_stops_claims_no_more_though_slots_become_free():
    store, gate = Tampered(), Gate()
    pushed(store, *"abc")
    with streaming(store, gate, slots=1) as lane:
        until(lambda: gate.reached)
        lane.watch.stopping.set()
        claims = store.calls["claim"]
        assert not lane.join(0.01)
        gate.open()
        assert lane.join(10)
        assert store.calls["claim"] == claims
        assert states(store, *"abc") == [State.DONE, State.READY, State.READY]
    assert gate.reached == ["a"]


def test_a_claim_that_comes_as_the_lane_stops_is_given_back_unrun():
    store, gate = Tampered(), Gate()
    with streaming(store, gate) as lane:
        store.after["claim"] = lambda claims: claims and lane.watch.stopping.set()
        pushed(store, "a")
        assert lane.join(10)
    assert gate.reached == []
    assert states(store, "a") == [State.READY]


def test_joined_means_that_no_claim_is_on_its_way():
    store, on_its_way, answer = Tampered(), threading.Event(), threading.Event()

    def slow(*_):
        on_its_way.set()
        heard(answer)

    store.before["claim"] = slow
    with streaming(store, nothing) as lane:
        heard(on_its_way)
        lane.watch.stopping.set()
        store.interrupt("w")
        assert not lane.join(0.01)
        answer.set()
        assert lane.join(10)


def test_what_was_given_back_frees_its_slot_when_it_ends():
    store, gate = Tampered(), Gate()
    pushed(store, "a")
    with streaming(store, gate, slots=1) as lane:
        until(lambda: gate.reached)
        lane.holdings.release(lane.holdings.unfinished())
        gate.open()
        all_done(store, "a")
    assert gate.reached == ["a", "a"]


def test_closing_settles_what_ended():
    store, gate = Tampered(), Gate()
    pushed(store, "a")
    with streaming(store, gate) as lane:
        until(lambda: gate.reached)
        store.away = True
        gate.open()
        until(lambda: store.calls["settle"] > 1)
        lane.watch.stopping.set()
        store.interrupt("w")
        store.away = False
        lane.holdings.closing.set()
        lane.close()
        assert states(store, "a") == [State.DONE]


@pytest.mark.usefixtures("brisk")
@pytest.mark.parametrize("error", [StoreUnavailable("away."), KeyError("fault"), SystemExit(1)])
def test_it_claims_on_whatever_a_claim_comes_to(caplog, error):
    store = Tampered()

    def fail(*_):
        raise error

    with streaming(store, nothing, block=0.01):
        store.before["claim"] = fail
        pushed(store, "a", "b")
        until(lambda: store.calls["claim"] > 3)
        del store.before["claim"]
        all_done(store, "a", "b")
        until(lambda: "works again" in caplog.text)
    assert [message.split(": ")[0] for message in caplog.messages] == ["Queue 'default'"] * 2


def test_it_settles_on_whatever_a_settle_comes_to(caplog):
    store = Tampered()

    def fail(*_):
        raise SystemExit

    store.before["settle"] = fail
    pushed(store, "a")
    with streaming(store, nothing, slots=1):
        until(lambda: "Trying again" in caplog.text)
        del store.before["settle"]
        pushed(store, "b")
        all_done(store, "b")
