from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import msgspec
import pytest
from kit import DEADLINE, KEEP, Tampered, heard, record, states, until

from goscheds.backends.memory import MemoryStore
from goscheds.codec import decode_meta
from goscheds.context import Context
from goscheds.crew import Crew, Shift
from goscheds.errors import StoreUnavailable
from goscheds.handlers import Explicit, Registry
from goscheds.job import Job
from goscheds.record import Query, State


def crew(store, handler=lambda job: None, slots=2, lease=10.0, **queues: int) -> Crew:
    handlers = Registry()
    handlers.add(Explicit("greet", handler), "default")
    return Crew(store, handlers, queues or {"default": slots}, KEEP, lease)


@contextmanager
def at_work(store, handler=lambda job: None, grace=10.0, **options):
    before = set(threading.enumerate())
    working = crew(store, handler, **options)
    working.start()
    try:
        yield working
    finally:
        working.close(grace)
    left = set(threading.enumerate()) - before
    until(lambda: not {thread for thread in left if thread.is_alive()}, f"{left} to end", 5)


def pushed(store, *ids: str, **fields) -> None:
    store.push([record(id=id, **fields) for id in ids])


def meta(store, id):
    return decode_meta(MemoryStore.find(store, Query(ids=(id,))).rows[0].record.meta)


class Gate:
    """A handler that waits until it is let through."""

    def __init__(self):
        self.reached, self.free = threading.Event(), threading.Event()

    def __call__(self, job: Job) -> None:
        self.reached.set()
        heard(self.free)


def test_it_is_known_by_host_and_process_and_is_new_each_time():
    store = Tampered()
    with at_work(store, mail=3, default=1) as one:
        host, pid, chance = one.id.rsplit(":", 2)
        assert (host, int(pid)) == (socket.gethostname(), os.getpid())
        assert len(chance) == 8
        [worker] = store.workers()
        about = msgspec.json.decode(worker.info)
        assert worker.id == one.id
        assert (about["host"], about["pid"]) == (host, os.getpid())
        assert about["queues"] == {"mail": 3, "default": 1}
        assert abs(about["started"] - time.time()) < 60
    assert crew(store).id != one.id


def test_it_does_everything_a_deployment_needs():
    store = Tampered()
    pushed(store, "now")
    store.push([msgspec.structs.replace(record(id="soon"), delay=20_000)])
    with at_work(store):
        until(lambda: states(store, "now", "soon") == [State.DONE, State.DONE])


def test_starting_without_a_store_is_an_error_and_leaves_nothing_behind():
    store = Tampered()
    store.away = True
    before = threading.active_count()
    with pytest.raises(StoreUnavailable):
        crew(store).start()
    with pytest.raises(StoreUnavailable):
        crew(store).drain()
    assert threading.active_count() == before


def test_closing_waits_for_what_runs():
    store, gate = Tampered(), Gate()
    pushed(store, "a")
    with at_work(store, gate) as working:
        heard(gate.reached)
        closing = threading.Thread(target=working.close, args=(10,))
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
        gate.free.set()
        closing.join(DEADLINE)
        assert states(store, "a") == [State.DONE]
        assert store.workers() == []


@pytest.mark.parametrize("kind", ["deaf", "stops when told", "async"])
def test_what_does_not_end_in_time_is_given_back_without_an_attempt(kind, caplog):
    """A handler that stops when it is told to must not look as if somebody had cancelled its job."""
    store, begun, reasons = Tampered(), threading.Event(), []

    def deaf(job, run: Context):
        begun.set()
        until(lambda: run.cancelled)
        reasons.append(run.reason)

    def stops(job, run: Context):
        begun.set()
        run.wait(60)
        reasons.append(run.reason)
        run.check()

    async def stops_async(job, run: Context):
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            reasons.append(run.reason)

    handler = {"deaf": deaf, "stops when told": stops, "async": stops_async}[kind]
    handler.__annotations__["run"] = Context
    pushed(store, "a")
    with at_work(store, handler, grace=0.05):
        heard(begun)
    assert states(store, "a") == [State.READY]
    assert meta(store, "a").attempts == 0
    assert reasons == ["the worker stops"]
    assert "1 job(s) did not end in time and are given back." in caplog.text
    MemoryStore.heartbeat(store, "next", 10, b"")
    assert store.claim("default", "next", 1, 0)[0].fence == 2


def test_what_ends_after_it_was_given_back_counts_for_nothing():
    store, gate = Tampered(), Gate()

    def end_afterwards():
        until(lambda: states(store, "a") == [State.READY])
        gate.free.set()

    pushed(store, "a")
    with at_work(store, gate, grace=0):
        heard(gate.reached)
        ending = threading.Thread(target=end_afterwards)
        ending.start()
    ending.join()
    assert states(store, "a") == [State.READY]


def test_a_hurried_close_waits_no_longer():
    store, gate = Tampered(), Gate()
    pushed(store, "a")
    with at_work(store, gate, grace=60) as working:
        heard(gate.reached)
        working.hurry()
        began = time.monotonic()
        working.close(60)
        assert time.monotonic() - began < 5
        assert states(store, "a") == [State.READY]
        gate.free.set()


def test_closing_while_the_store_is_away_ends_all_the_same(caplog):
    store, gate = Tampered(), Gate()
    pushed(store, "a")
    with at_work(store, gate, grace=0.05):
        heard(gate.reached)
        store.away = True
        gate.free.set()
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert "could not say goodbye" in caplog.text


def test_a_store_that_fails_at_an_interrupt_ends_all_the_same(caplog, monkeypatch):
    store = Tampered()
    with at_work(store) as working:
        interrupt = store.interrupt

        def fail(worker):
            interrupt(worker)
            raise KeyError("fault")

        monkeypatch.setattr(store, "interrupt", fail)
        working.close(10)
        assert store.workers() == []
    assert "could not interrupt its claims" in caplog.text


@pytest.mark.slow
def test_a_store_that_hangs_is_left_behind():
    store, hangs, free = Tampered(), threading.Event(), threading.Event()

    def hang(*_):
        hangs.set()
        free.wait(60)

    with at_work(store, lease=60) as working:
        store.before["held"] = hang
        working._holdings.suspect()
        heard(hangs)
        began = time.monotonic()
        working.close(10)
        assert time.monotonic() - began < 10
        free.set()


class Uninterruptible(Tampered):
    interrupt = None


@pytest.mark.slow
def test_of_a_store_that_can_not_be_interrupted_short_waits_are_waited_out():
    store, waits = Uninterruptible(), []
    store.before["claim"] = lambda queue, worker, limit, timeout: waits.append(timeout)
    with at_work(store):
        until(lambda: max(waits, default=0) > 0)
    assert max(waits) <= 1


def test_draining_runs_all_that_is_ready_or_due_in_this_thread():
    store, threads = Tampered(), set()
    pushed(store, *"abc")
    store.push([msgspec.structs.replace(record(id="due"), execute_at=1)])
    store.push([msgspec.structs.replace(record(id="later"), delay=3_600_000_000)])
    assert crew(store, lambda job: threads.add(threading.current_thread())).drain() == 4
    assert threads == {threading.main_thread()}
    assert states(store, *"abc", "due", "later") == [State.DONE] * 4 + [State.SCHEDULED]
    assert store.workers() == []


def test_draining_runs_what_is_pushed_meanwhile_and_what_is_retried_at_once():
    store, ran = Tampered(), []

    def handler(job):
        ran.append(job.id)
        if ran == ["a"]:
            pushed(store, "b")
            raise ValueError("once more")

    pushed(store, "a")
    assert crew(store, handler).drain() == 3
    assert ran == ["a", "b", "a"]


def test_draining_takes_one_at_a_time_so_that_nobody_waits_behind_it():
    store, others = Tampered(), []
    pushed(store, "a", "b")
    MemoryStore.heartbeat(store, "other", 10, b"")
    crew(store, lambda job: others.extend(store.claim("default", "other", 5, 0))).drain()
    assert [claim.record.id for claim in others] == ["b"]


def test_draining_takes_back_what_was_lost():
    store = Tampered()
    pushed(store, "a")
    MemoryStore.heartbeat(store, "dying", 10, b"")
    MemoryStore.claim(store, "default", "dying", 1, 0)
    MemoryStore.heartbeat(store, "dying", 0, b"")
    assert crew(store).drain() == 1
    assert states(store, "a") == [State.DONE]


def test_draining_leaves_other_queues_alone():
    store = Tampered()
    pushed(store, "a", queue="mail")
    assert crew(store).drain() == 0
    assert crew(store, mail=1).drain() == 1


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, pytest.fail.Exception])
def test_an_interrupted_drain_gives_its_job_back(interruption):
    def handler(job):
        raise interruption

    store = Tampered()
    pushed(store, "a", "b")
    with pytest.raises(interruption):
        crew(store, handler).drain()
    assert states(store, "a", "b") == [State.READY, State.READY]
    assert meta(store, "a").attempts == 0
    assert store.workers() == []


def test_a_drain_whose_store_fails_says_so_and_ends():
    store = Tampered()
    store.before["claim"] = lambda *_: (_ for _ in ()).throw(StoreUnavailable("away."))
    before = threading.active_count()
    with pytest.raises(StoreUnavailable):
        crew(store, lease=0.5).drain()  # for so long it insists
    assert threading.active_count() == before


def test_a_drain_ends_an_attempt_at_its_timeout():
    store, free, ran = Tampered(), threading.Event(), []

    def handler(job):
        ran.append(1)
        if len(ran) == 1:
            until(lambda: states(store, "a") == [State.READY])

    pushed(store, "a", timeout=timedelta(milliseconds=10))
    assert crew(store, handler).drain() == 2
    assert states(store, "a") == [State.DONE]
    assert not free.is_set()


def shift(store, handler=lambda job: None) -> Shift:
    return Shift(lambda: crew(store, handler))


def test_a_shift_ends_when_it_is_stopped_and_another_may_begin():
    store = Tampered()
    working = shift(store)
    for id in ("a", "b"):
        thread = threading.Thread(target=working.work, args=(10,))
        thread.start()
        pushed(store, id)
        until(lambda done=id: states(store, done) == [State.DONE])
        working.stop()
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert store.workers() == []


def test_a_stop_that_comes_before_the_work_ends_it_at_once():
    working = shift(Tampered())
    working.stop()
    working.work(10)


def test_in_the_main_thread_a_signal_ends_it_and_the_old_handlers_come_back():
    store = Tampered()
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    for number in (signal.SIGTERM, signal.SIGINT):

        def kill(job, number=number):
            os.kill(os.getpid(), number)
            assert not threading.Event().wait(0.2)

        pushed(store, number.name)
        shift(store, kill).work(10)
        assert states(store, number.name) == [State.DONE]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_second_signal_leaves_at_once(caplog):
    store, gate = Tampered(), Gate()

    def twice():
        heard(gate.reached)
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: working._stopping)
        os.kill(os.getpid(), signal.SIGTERM)

    pushed(store, "a")
    working = shift(store, gate)
    signals = threading.Thread(target=twice)
    signals.start()
    began = time.monotonic()
    working.work(60)
    assert time.monotonic() - began < 10
    assert states(store, "a") == [State.READY]
    assert "A second signal, SIGTERM: leaving at once." in caplog.messages
    gate.free.set()
    signals.join()


def test_a_signal_after_a_stop_hurries():
    store, gate = Tampered(), Gate()

    def stop_and_kill():
        heard(gate.reached)
        working.stop()
        until(lambda: working._stopping)
        os.kill(os.getpid(), signal.SIGINT)

    pushed(store, "a")
    working = shift(store, gate)
    threading.Thread(target=stop_and_kill).start()
    began = time.monotonic()
    working.work(60)
    assert time.monotonic() - began < 10
    gate.free.set()


@pytest.mark.slow
def test_a_process_ends_in_time_though_its_handlers_do_not():
    """Neither threads nor the loop hold up its exit."""
    code = """
import asyncio, os, time
from datetime import timedelta
from goscheds import Job, Scheduler, Worker

scheduler = Scheduler("memory://")

@scheduler.job(queue="sync")
def hang(): os.write(1, b"hangs\\n"); time.sleep(600)

@scheduler.job(queue="async")
async def hang_async():
    os.write(1, b"hangs\\n")
    while True:
        try: await asyncio.sleep(600)
        except asyncio.CancelledError: pass

@scheduler.job(queue="async")
async def block(): os.write(1, b"hangs\\n"); await asyncio.to_thread(lambda: None); time.sleep(600)

hang.push(); hang_async.push(); scheduler.push(Job("hang", queue="async")); block.push()
Worker(scheduler, grace=timedelta(milliseconds=100)).run()
print("ended", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert [process.stdout.readline() for _ in range(4)] == ["hangs\n"] * 4
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=DEADLINE)
        assert out == "ended\n"
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
