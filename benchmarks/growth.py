"""What each verb costs as the work grows: beside a thousand jobs, a million, ten million.

    python benchmarks/growth.py sqlite:////tmp/growth.db --sizes 1000,1000000,10000000
    python benchmarks/growth.py --sizes 1000,1000000        # all stores; starts the servers itself
    python benchmarks/growth.py --only redis --into growth.jsonl       # store by store, into one file
    python benchmarks/growth.py --table growth.jsonl                   # all that were measured, side by side

Of so many jobs a third wait in the queue that is claimed from, a third are scheduled for next year, a third are done.
The first thousand of each third are stored by the library, the others are copies of them (copies.py).
Each size has a database of its own (Redis: a number; Postgres: a database; SQLite: a file), and the sizes are measured
in turns. A verb handles 100 jobs, except heartbeat, counts and the two pages. The ratio is of the medians, the largest
size to the smallest.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import copies
from compare import stores

from goscheds import Job, Scheduler
from goscheds.bench import stock
from goscheds.job import new_id
from goscheds.record import Claim, Outcome, Query, Record, State
from goscheds.store import Erasable, Store

BATCH = 100
ROUNDS = 15
LEASE = 3600.0
NAMESPACE = "growth"
NAMES = {"redis": "Redis", "postgresql": "Postgres", "sqlite": "SQLite"}
Figure = dict[str, Any]
BARE = "bare MGET of 100 keys"
VERBS = ("push", "claim", "settle", "promote", "recover", "heartbeat", "counts", "jobs()", "jobs(done)", BARE)


def waiting(store: Store, pattern: Record, count: int) -> None:
    """Ready jobs, in the queue that is claimed from."""
    store.push([like(pattern) for _ in range(count)])


def done(store: Store, pattern: Record, count: int) -> None:
    """Jobs that ran, in a queue that nobody serves, settled in batches: those of one batch ended at one instant."""
    stock.waiting(store, pattern, count)
    worker = new_id()
    store.heartbeat(worker, LEASE, b"")
    while claims := store.claim(stock.ELSEWHERE, worker, BATCH, 0):
        store.settle(worker, [Outcome.done(claim) for claim in claims])
    store.heartbeat(worker, 0, b"")


THIRDS = {
    "waiting": (State.READY, "default", waiting),
    "scheduled": (State.SCHEDULED, stock.ELSEWHERE, stock.scheduled),
    "done": (State.DONE, stock.ELSEWHERE, done),
}


class Field:
    """One size of one store."""

    def __init__(self, url: str, size: int) -> None:
        self.size = size
        self.url = url
        self.scheduler = Scheduler(url, NAMESPACE)
        self.copier = copies.copier(url, NAMESPACE)
        self.store: Store = self.scheduler.store
        self.pattern = self.scheduler.record(Job("noop", args={"n": 12345}))
        self.worker = new_id()
        self.bytes: dict[str, float] = {}
        self.took: dict[str, list[float]] = {verb: [] for verb in VERBS}

    def load(self) -> None:
        """A third of the jobs in each state, and the bytes that each third took."""
        for name, (state, queue, sow) in THIRDS.items():
            before, began, count = occupied(self.url), time.perf_counter(), self.size // 3
            sow(self.store, self.pattern, min(count, copies.SEEDS))
            if count >= 2 * copies.SEEDS:
                count -= count % copies.SEEDS
                self.copier.copy(state, queue, count - copies.SEEDS)
            seconds = time.perf_counter() - began
            self.bytes[name] = (occupied(self.url) - before) / count
            print(f"    {count:,} {name}: {seconds:.0f} s, {self.bytes[name]:,.0f} bytes each", file=sys.stderr)
            self._expect(self.copier.held(state, queue), count)
            self._expect(self.store.counts().jobs[queue, state], count)
        self.copier.settle_down()

    def round(self) -> None:
        """Each verb once; as many jobs stand in each state afterwards."""
        store = self.store
        self._time("heartbeat", lambda: store.heartbeat(self.worker, LEASE, b""))
        jobs = [like(self.pattern) for _ in range(BATCH)]
        self._time("push", lambda: store.push(jobs))
        claims = self._claimed("claim", lambda: store.claim("default", self.worker, BATCH, 0))
        self._time("settle", lambda: store.settle(self.worker, self._outcomes(claims)))
        self._promote()
        self._recover()
        self._time("jobs()", lambda: store.find(Query(limit=BATCH)))
        self._time("jobs(done)", lambda: store.find(Query(states=(State.DONE,), limit=BATCH)))
        self._bare()
        self._time("counts", store.counts)  # last: SQLite's read everything, and leave nothing else in its cache

    def _promote(self) -> None:
        self.store.push([like(self.pattern, delay=1) for _ in range(BATCH)])
        time.sleep(0.002)
        self._time("promote", lambda: self._expect(self.store.promote(self.worker, BATCH, 0), BATCH))
        self._drop(self.store.claim("default", self.worker, BATCH, 0))

    def _recover(self) -> None:
        mortal = new_id()
        self.store.heartbeat(mortal, LEASE, b"")
        self.store.push([like(self.pattern) for _ in range(BATCH)])
        self._expect(len(self.store.claim("default", mortal, BATCH, 0)), BATCH)
        self.store.heartbeat(mortal, 0, b"")
        self._drop(self._claimed("recover", lambda: self.store.recover(self.worker, BATCH)))

    def _bare(self) -> None:
        """What the server alone takes to find as many jobs, chosen by it: Redis has one table of keys."""
        if urlsplit(self.url).scheme == "redis":
            import redis

            with redis.Redis.from_url(self.url, protocol=2) as client:
                keys = [client.randomkey() for _ in range(BATCH)]
                self._time(BARE, lambda: client.mget(keys))

    def _claimed(self, verb: str, call: Callable[[], list[Claim]]) -> list[Claim]:
        claims: list[Claim] = []
        self._time(verb, lambda: claims.extend(call()))
        self._expect(len(claims), BATCH)
        return claims

    def _drop(self, claims: list[Claim]) -> None:
        self.store.settle(self.worker, self._outcomes(claims))

    @staticmethod
    def _outcomes(claims: list[Claim]) -> list[Outcome]:
        return [Outcome.done(claim, keep=False) for claim in claims]

    @staticmethod
    def _expect(count: int | None, wanted: int) -> None:
        if count != wanted:
            raise SystemExit(f"{count} jobs where {wanted} were to be had: what was measured is not what is told.")

    def _time(self, verb: str, call: Callable[[], object]) -> None:
        began = time.perf_counter()
        call()
        self.took[verb].append(time.perf_counter() - began)

    def close(self) -> None:
        """Leave nothing."""
        if urlsplit(self.url).scheme == "redis" and isinstance(self.store, Erasable):
            self.store.erase()  # of the others, the database goes
        self.scheduler.close()


def like(pattern: Record, delay: int = 0) -> Record:
    """Another job of the kind."""
    return Record(new_id(), pattern.name, pattern.queue, pattern.payload, pattern.meta, delay=delay)


def occupied(url: str) -> float:
    """Bytes that a store's database takes: of memory on Redis, of disk elsewhere."""
    kind = urlsplit(url).scheme
    if kind == "redis":
        import redis

        with redis.Redis.from_url(url) as client:
            return float(client.info("memory")["used_memory"])
    if kind == "postgresql":
        import psycopg

        with psycopg.connect(url) as connection:
            return float(connection.execute("SELECT pg_database_size(current_database())").fetchone()[0])
    with closing(sqlite3.connect(urlsplit(url).path.removeprefix("/"))) as connection:
        (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
        return float(pages * size)


@contextmanager
def database(url: str, number: int) -> Iterator[str]:
    """The URL of the n-th database beside the one of a URL, removed afterwards."""
    parts = urlsplit(url)
    if parts.scheme == "redis":
        yield urlunsplit(parts._replace(path=f"/{number}"))
    elif parts.scheme == "postgresql":
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE growth_{number}")
            yield urlunsplit(parts._replace(path=f"/growth_{number}"))
            connection.execute(f"DROP DATABASE growth_{number} WITH (FORCE)")
    else:
        path = f"{parts.path}.{number}"
        try:
            yield f"{parts.scheme}://{path}"
        finally:
            for end in ("", "-wal", "-shm"):
                Path(path.removeprefix("/") + end).unlink(missing_ok=True)


def measure(url: str, sizes: list[int], rounds: int) -> Figure:
    """Load, and measure in turns; milliseconds by verb and size, but for the first round, which warms up."""
    kind = urlsplit(url).scheme
    with ExitStack() as opened:
        fields = []
        for number, size in enumerate(sizes, 1):
            print(f"{kind}, {size:,} jobs", file=sys.stderr)
            fields.append(field := Field(opened.enter_context(database(url, number)), size))
            opened.callback(field.close)
            field.load()
        for _ in range(rounds + 1):
            for field in fields:
                field.round()
        return {
            "store": kind,
            "sizes": sizes,
            "took": {verb: [[1000 * one for one in field.took[verb][1:]] for field in fields] for verb in VERBS},
            "bytes": {name: [field.bytes[name] for field in fields] for name in THIRDS},
        }


def table(figures: list[Figure]) -> Iterator[str]:
    """The stores beside each other: medians of each verb, smallest size first, and the ratio; the bytes of each job."""
    last = {one["store"]: one for one in figures}
    figures = [last[store] for store in NAMES if store in last]
    sizes = [" / ".join(f"{size:,}" for size in one["sizes"]) for one in figures]
    same = len(set(sizes)) == 1
    heads = [NAMES[one["store"]] + ("" if same else f", {size}") for one, size in zip(figures, sizes, strict=True)]
    yield f"| {f'{sizes[0]} jobs, ms' if same else 'jobs, ms'} | {' | ratio | '.join(heads)} | ratio |"
    yield f"|---|{'---:|---:|' * len(figures)}"
    for verb in VERBS:
        cells = []
        for one in figures:
            each = [median(took) for took in one["took"].get(verb, ()) if took]
            cells += [" / ".join(f"{took:,.2f}" for took in each), f"{each[-1] / each[0]:,.2f}" if each else ""]
        yield f"| {verb} | {' | '.join(cells)} |"
    for name in THIRDS:
        each = [f"{one['bytes'][name][-1]:,.0f} |" for one in figures]
        yield f"| bytes for a job that is {name} | {' | '.join(each)} |"


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="*", metavar="URL")
    parser.add_argument("--only", help="of the stores started here: redis, postgresql or sqlite")
    parser.add_argument("--sizes", default="1000,1000000", help="numbers of jobs, the smallest first")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--into", type=Path, help="a file that raw figures are added to, one line of JSON a store")
    parser.add_argument(
        "--table", type=Path, nargs="+", help="measure nothing: print the last figures of each store in such files"
    )
    return parser.parse_args()


def main() -> None:
    """Measure each store, and print them side by side."""
    told = options()
    figures = [json.loads(line) for file in told.table or () for line in file.read_text().splitlines()]
    if not told.table:
        with stores(told.urls) as urls:
            for url in urls:
                if told.only in (None, urlsplit(url).scheme):
                    figures.append(measure(url, [int(size) for size in told.sizes.split(",")], told.rounds))
                    if told.into:
                        with told.into.open("a") as into:
                            into.write(json.dumps(figures[-1]) + "\n")
    print("\n".join(table(figures)))


if __name__ == "__main__":
    main()
