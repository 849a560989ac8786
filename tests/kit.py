"""What the tests of the core share: a scheduler over a store of the test's own, a worker in a thread, broken stores."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from goscheds import Scheduler, Worker
from goscheds.backends.memory import MemoryStore
from goscheds.codec import encode
from goscheds.errors import StoreUnavailable
from goscheds.job import Job
from goscheds.loop import LoopThread
from goscheds.plugins import hookimpl, plugins
from goscheds.record import Claim, Outcome, Query, Record, State
from goscheds.store import Store
from goscheds.verdict import Keep

DEADLINE = 15.0
"""Seconds that a busy machine may take for what takes milliseconds."""
SECOND = timedelta(seconds=1)
KEEP = Keep(done=1_000_000, dead=1_000_000)

_names = itertools.count()
REDIS_KINDS = ("redis", pytest.param("valkey", marks=pytest.mark.slow))
"""The servers of one store; the full run tries the second as well, which takes the same commands."""


@contextmanager
def plugged(plugin: object) -> Iterator[None]:
    """Register a plugin for as long as the test runs."""
    name = f"kit-{next(_names)}"
    plugins.register(plugin, name)
    try:
        yield
    finally:
        plugins.unregister(name)


@contextmanager
def scheduled(store: MemoryStore | None = None, **options: Any) -> Iterator[Scheduler]:
    """A scheduler over this very store, which comes by a plugin as a third party's would."""
    scheme = f"kit{next(_names)}"
    own = store or MemoryStore()

    class Stores:
        @hookimpl
        def goscheds_stores(self):
            return {scheme: lambda url, namespace: own}

    with plugged(Stores()), Scheduler(f"{scheme}://", **options) as scheduler:
        yield scheduler


@contextmanager
def working(scheduler: Scheduler, *args: Any, **options: Any) -> Iterator[Worker]:
    """A worker at work in a thread; an existing one, or a new one with these options."""
    worker = args[0] if args and isinstance(args[0], Worker) else Worker(scheduler, *args, **options)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(DEADLINE)
    if errors:
        raise errors[0]
    assert not thread.is_alive(), "the worker does not stop"


def until(condition: Callable[[], Any], what: str = "", seconds: float = DEADLINE) -> Any:
    """Wait for a condition, and give what it gave; it fails at the deadline."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what or condition}"
        time.sleep(0.002)
    return value


def heard(event: threading.Event) -> None:
    """Wait for an event; it fails at the deadline."""
    assert event.wait(DEADLINE), "the event did not come"


def ends(scheduler: Scheduler, id: str, state: State = State.DONE) -> None:
    """Wait for a job to be in a state."""
    until(lambda: scheduler.get(id).state is state, f"{id} to be {state}, not {scheduler.get(id)}")


def record(name: str = "greet", args: bytes = b"{}", **fields: Any) -> Record:
    """A job as it is stored."""
    return encode(Job(name, **fields), args)


def claim(name: str = "greet", args: bytes = b"{}", fence: int = 1, **fields: Any) -> Claim:
    """A job in the hands of a worker."""
    return Claim(record(name, args, **fields), fence, 0)


def states(store: MemoryStore, *ids: str) -> list[State | None]:
    """Where jobs stand; None for those that are not there. It asks past what a test put before the store."""
    rows = {row.record.id: row.state for row in MemoryStore.find(store, Query(ids=ids)).rows}
    return [rows.get(id) for id in ids]


@contextmanager
def looping() -> Iterator[LoopThread]:
    """An event loop in a thread."""
    loop = LoopThread()
    try:
        yield loop
    finally:
        loop.close()


def dice(seed: int) -> Random:
    """Randomness that comes out the same each time."""
    return Random(seed)  # noqa: S311 - for tests


class Tampered(MemoryStore):
    """A memory store with what a test puts before and after its verbs, and which can be away."""

    def __init__(self, *args: Any) -> None:
        self.away = False
        self.before: dict[str, Callable[..., object]] = {}  # called with the verb's arguments; may raise
        self.after: dict[str, Callable[..., object]] = {}  # called with the answer, once it acted; may raise
        self.calls: Counter[str] = Counter()
        super().__init__(*args)

    def settle_and_claim(self, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int) -> Any:
        """In two steps, so that what a test puts before one of them is not called under the store's lock."""
        return self.settle(worker, outcomes), self.claim(queue, worker, limit, 0)

    def lose(self, verb: str, error: Callable[[str], Exception] = StoreUnavailable) -> None:
        """The next answer of a verb that has something to say is lost on its way."""

        def lost(answer: object) -> None:
            if answer:
                del self.after[verb]
                raise error("the connection broke")

        self.after[verb] = lost


def _tampered(verb: str) -> Callable[..., Any]:
    original = getattr(MemoryStore, verb)

    def call(self: Tampered, *args: Any) -> Any:
        self.calls[verb] += 1
        if self.away:
            raise StoreUnavailable("nobody there.")
        if verb in self.before:
            self.before[verb](*args)
        answer = original(self, *args)
        if verb in self.after:
            self.after[verb](answer)
        return answer

    return call


for _verb in ("push", "claim", "settle", "heartbeat", "recover", "held", "promote", "find", "move", "purge"):
    setattr(Tampered, _verb, _tampered(_verb))


def redis_key(scheduler: Scheduler, rest: str) -> str:
    """A key of the scheduler's namespace on Redis."""
    return f"{{{scheduler.namespace}}}:{rest}"


def leave(store: Store, count: int, end: Callable[[Claim], Outcome] | None = None) -> None:
    """Ready jobs claimed by a worker that is gone then; settled by it before if it is told how."""
    store.heartbeat("gone", 60, b"")
    claims = store.claim("default", "gone", count, 0)
    assert len(claims) == count
    if end:
        store.settle("gone", [end(claim) for claim in claims])
    store.heartbeat("gone", 0, b"")
