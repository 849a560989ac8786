"""What every part works with: jobs to push, workers to claim them, ways to look and to wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from msgspec.structs import asdict

from goscheds.errors import StoreError
from goscheds.record import Claim, Counts, Query, Record, Row, State
from goscheds.store import Store

T = TypeVar("T")

MILLISECOND = 1_000
SECOND = 1_000_000
HOUR = 3600 * SECOND
LONG = 3600.0  # seconds; a lease that no test outlives
SHORT = 0.4  # seconds; a lease for a worker that is to be lost
PROMPT = 0.5  # seconds; a wake-up that reached its waiter, as against the second after which a lost one is found
LATE = 3.0  # seconds; "about a second", on a machine with other things to do
PATIENCE = 20.0  # seconds until what has to happen counts as not happening


def job(id: str = "", **fields: Any) -> Record:
    """A job of a new id, in the queue ``default``, unless told otherwise."""
    return Record(**{"id": id or uuid4().hex, "name": "job", "queue": "default", **fields})


def jobs(count: int, prefix: str = "", **fields: Any) -> list[Record]:
    """Many jobs; their ids sort in the order of the list."""
    stem = prefix or uuid4().hex[:8]
    return [job(f"{stem}-{number:06}", **fields) for number in range(count)]


def ids(what: Iterable[Record | Claim | Row]) -> list[str]:
    """The ids of jobs, claims or rows, in their order."""
    return [one.id if isinstance(one, Record) else one.record.id for one in what]


def hire(store: Store, lease: float = LONG) -> str:
    """A new worker with a good lease."""
    worker = f"worker-{uuid4().hex[:8]}"
    store.heartbeat(worker, lease, b"")
    return worker


def take(store: Store, *pushed: Record, lease: float = LONG) -> tuple[str, list[Claim]]:
    """Push jobs, and claim them all for a new worker; the claims in the order of the jobs."""
    store.push(pushed)
    worker = hire(store, lease)
    claims = {claim.record.id: claim for claim in store.claim(pushed[0].queue, worker, len(pushed), 0)}
    assert claims.keys() == set(ids(pushed)), "what was pushed is not what a claim gives"
    return worker, [claims[id] for id in ids(pushed)]


def take_one(store: Store, pushed: Record | None = None, lease: float = LONG) -> tuple[str, Claim]:
    """Push one job and claim it for a new worker."""
    worker, claims = take(store, pushed or job(), lease=lease)
    return worker, claims[0]


def row(store: Store, id: str) -> Row:
    """The one job of that id."""
    found = store.find(Query(ids=(id,))).rows
    assert [one.record.id for one in found] == [id], f"{id!r} is not in the store"
    return found[0]


def state(store: Store, id: str) -> State | None:
    """Where a job stands; None if the store has no such job."""
    found = store.find(Query(ids=(id,))).rows
    return found[0].state if found else None


def rows(store: Store, **query: Any) -> list[Row]:
    """Every job that a query asks for, page after page."""
    return [one for page in pages(store, **query) for one in page]


def pages(store: Store, **query: Any) -> Iterator[tuple[Row, ...]]:
    """The pages of a query."""
    after = ""
    while True:
        page = store.find(Query(**{**query, "after": after}))
        yield page.rows
        after = page.next
        if not after:
            return


def picture(store: Store) -> tuple[dict[str, dict[str, object]], Counts]:
    """Everything there is to see of the jobs, to tell that a call changed nothing."""
    return {one.record.id: asdict(one) for one in rows(store, limit=1000)}, store.counts()


def background(call: Callable[[], T]) -> Future[T]:
    """Run a call in a thread of its own."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is asked for
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer


def together(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Run calls at the same moment, each in a thread; their answers in order."""
    todo = list(calls)
    start = threading.Barrier(len(todo))

    def held_back(call: Callable[[], T]) -> T:
        start.wait(PATIENCE)
        return call()

    answers = [background(partial(held_back, call)) for call in todo]
    return [answer.result(3 * PATIENCE) for answer in answers]


def settle_in(seconds: float = 0.05) -> None:
    """Give a background call the time to begin its wait. Too short a time makes a test easier to pass, never wrong."""
    time.sleep(seconds)


def eventually(probe: Callable[[], T], within: float = PATIENCE) -> T:
    """Ask until the answer is a true one."""
    until = time.monotonic() + within
    while not (answer := probe()):
        assert time.monotonic() < until, f"still {answer!r} after {within} seconds"
        time.sleep(0.003)
    return answer


def pass_moment(store: Store, moment: int) -> None:
    """Wait until the store's clock is past a moment."""
    eventually(lambda: store.now() > moment)


def gather(store: Store, worker: str, queue: str = "default", batch: int = 100) -> list[Claim]:
    """Claim until the queue is empty."""
    claims: list[Claim] = []
    while taken := store.claim(queue, worker, batch, 0):
        claims += taken
    return claims


def recover_all(store: Store, worker: str, count: int, limit: int = 100) -> list[Claim]:
    """Recover until there are as many orphans as there should be."""
    claims: list[Claim] = []

    def enough() -> bool:
        claims.extend(store.recover(worker, limit))
        return len(claims) >= count

    eventually(enough, within=LATE)
    assert len(claims) == count, "recovered, and was not to be"
    return claims


def salvage(store: Store, worker: str) -> list[Claim]:
    """What a worker gets, one way or the other, of jobs that must not be lost."""
    return eventually(lambda: store.recover(worker, 10) or store.claim("default", worker, 1, 0.2), within=LATE)


def answers(store: Store) -> bool:
    """Whether a store that was gone answers again."""
    try:
        store.now()
    except StoreError:
        return False
    return True
