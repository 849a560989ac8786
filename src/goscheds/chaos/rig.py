"""A run of the rig: processes at work, faults by a schedule, calm, and then the proof from what was written down."""

from __future__ import annotations

import heapq
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from random import Random
from urllib.parse import urlsplit
from uuid import uuid4

from msgspec import Struct

from goscheds.chaos.actor import WORKER, Part
from goscheds.chaos.crowd import Crowd, Member
from goscheds.chaos.faults import Fault, on_connections, on_processes
from goscheds.chaos.history import History, Violation
from goscheds.chaos.journal import Journal, Struck, moment
from goscheds.chaos.laws import check
from goscheds.chaos.proxy import Proxy
from goscheds.chaos.schedule import NETWORK, PROCESSES, SUPERVISORS, Kind, Strike, schedule
from goscheds.errors import ConfigError, StoreError
from goscheds.outage import insist
from goscheds.plugins import open_store
from goscheds.record import LIVE, Query, Row
from goscheds.store import Capability, Erasable, Store

PORTS = {"redis": 6379, "valkey": 6379, "postgresql": 5432}
"""The schemes whose servers are reached by plain TCP, with the port that a URL may leave out."""
GLANCE = 0.05


class Plan(Struct, frozen=True):
    """A run."""

    seed: int = 1
    seconds: float = 15.0  # of faults
    lease: float = 1.0
    workers: int = 2
    supervisors: int = 1  # each with two workers more
    producers: int = 2
    rate: float = 8.0  # pushes a second, of each producer
    every: float = 1.0  # seconds between faults, on the average
    patience: float = 40.0  # seconds, after the last fault, in which everything must be done


class Extra(Struct, frozen=True):
    """A fault that the caller brings along, of the store itself for example."""

    kind: Kind
    fault: Callable[[Crowd], Fault]


class Result(Struct, frozen=True):
    """What came of a run."""

    plan: Plan
    history: History
    violations: list[Violation]
    strikes: list[Strike]
    quiet_after: float  # seconds from the last fault until everything was done
    log: str  # the end of what the processes printed


def run(url: str, plan: Plan, extras: Sequence[Extra] = (), tell: Callable[[str], None] = lambda _: None) -> Result:
    """Run the rig on a store, in a namespace of its own. Raises ConfigError, StoreError."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="goscheds-chaos-")))
        namespace = f"chaos-{uuid4().hex[:12]}"
        store = stack.enter_context(opened(url, namespace))
        proxy = stack.enter_context(proxied(url, plan.seed))
        through = via(url, proxy.port) if proxy else url
        part = Part(WORKER, through, namespace, "", plan.lease, str(plan.seed), plan.rate)
        crowd = stack.enter_context(Crowd(folder, part, plan.workers, plan.producers, plan.supervisors))
        faults = {**on_processes(crowd), **(on_connections(proxy) if proxy else {})}
        kinds = [*PROCESSES, *(SUPERVISORS if plan.supervisors else ()), *(NETWORK if proxy else ())]
        kinds += [extra.kind for extra in extras]
        faults |= {extra.kind.name: extra.fault(crowd) for extra in extras}
        strikes = schedule(plan.seed, kinds, plan.seconds, plan.lease, plan.every)
        crowd.muster()
        strike_all(crowd, faults, strikes, Journal(folder / "rig.jsonl"), tell)
        tell("calm")
        calm = moment()
        verdicts = list(finish(store, crowd, plan))
        history = History.read(folder, rows_of(store), plan.lease)
        return Result(plan, history, [*verdicts, *check(history)], strikes, (moment() - calm) / 1e9, crowd.log())


@contextmanager
def opened(url: str, namespace: str) -> Iterator[Store]:
    """The store itself, past the proxy; its namespace is erased afterwards. Raises ConfigError, StoreError."""
    store = open_store(url, namespace)
    if Capability.PROCESSES not in store.capabilities:
        raise ConfigError("That store lives inside one process; trouble needs several. Use one that processes share.")
    store.open()
    try:
        yield store
    finally:
        if isinstance(store, Erasable):
            insist(store.erase, f"erase the namespace {namespace}")  # its server may have been started anew since
        store.close()


@contextmanager
def proxied(url: str, seed: int) -> Iterator[Proxy | None]:
    """A proxy to the URL's server; None where there is none, or several, or where it is reached by TLS."""
    parts = urlsplit(url)
    several = "+" in parts.scheme or "," in parts.netloc  # they name each other, or are named, past any proxy
    port = None if several else parts.port or PORTS.get(parts.scheme)
    if not parts.hostname or not port or parts.scheme == "rediss":
        yield None
        return
    proxy = Proxy(parts.hostname, port, Random(f"proxy {seed}"))  # noqa: S311 - it guards nothing
    try:
        yield proxy
    finally:
        proxy.close()


def via(url: str, port: int) -> str:
    """The same URL by the proxy's port."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login}{at}127.0.0.1:{port}").geturl()


def strike_all(
    crowd: Crowd, faults: Mapping[str, Fault], strikes: Sequence[Strike], journal: Journal, tell: Callable[[str], None]
) -> None:
    """Bring about each fault at its moment, and end it at its own."""
    began = time.monotonic()
    pending: list[tuple[float, int, Strike, AbstractContextManager[str] | None, str]] = [
        (strike.begins, number, strike, None, "") for number, strike in enumerate(strikes)
    ]
    heapq.heapify(pending)
    while pending:
        at, number, strike, open_one, target = heapq.heappop(pending)
        while (left := began + at - time.monotonic()) > 0:
            crowd.follow()
            time.sleep(min(GLANCE, left))
        if open_one is None:
            open_one = faults[strike.fault](strike.which)
            # Written before, as what it does may be seen before it has returned.
            journal.write(Struck(moment(), strike.fault, "", over=False))
            target = open_one.__enter__()
            journal.write(Struck(moment(), strike.fault, target, over=False))
            tell(f"{strike.fault}: {target}")
            heapq.heappush(pending, (strike.ends, number, strike, open_one, target))
        else:
            open_one.__exit__(None, None, None)
            journal.write(Struck(moment(), strike.fault, target, over=True))
    journal.close()


def finish(store: Store, crowd: Crowd, plan: Plan) -> Iterator[Violation]:
    """Calm: the producers end, everything is done in time, and the workers end when told to."""
    try:
        crowd.muster()
    except TimeoutError as error:
        yield Violation("F2", "", str(error))
    for producer in crowd.producers:
        yield from _in_peace(producer, None)
    until = time.monotonic() + plan.patience
    while (left := _live(store)) and time.monotonic() < until:
        crowd.follow_workers()
        time.sleep(GLANCE)
    if left:
        yield Violation("F2", "", f"{left} job(s) are not done {plan.patience:g} s after the last fault.")
    for member in (*crowd.workers, *crowd.supervisors):
        yield from _in_peace(member, signal.SIGTERM)
    for info in store.workers():
        if info.held:
            yield Violation("L7", "", f"A worker that ended still holds jobs: {info}")


def _in_peace(member: Member, by: signal.Signals | None) -> Iterator[Violation]:
    if (code := member.end(by)) != 0:
        yield Violation("F2", "", f"{member.journal.stem} ended with {code}, not in peace.")


def _live(store: Store) -> int:
    try:
        return sum(number for (_, state), number in store.counts().jobs.items() if state in LIVE)
    except StoreError:
        return -1


def rows_of(store: Store) -> list[Row]:
    """Every job, as the store has it."""
    rows: list[Row] = []
    after = ""
    while True:
        page = store.find(Query(after=after, limit=1000))
        rows += page.rows
        after = page.next
        if not after:
            return rows
