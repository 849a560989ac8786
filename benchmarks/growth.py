"""What each verb costs as the work grows: beside a thousand jobs, a million, ten million.

    python benchmarks/growth.py sqlite:////tmp/growth.db --sizes 1000,1000000,10000000
    python benchmarks/growth.py --sizes 1000,1000000        # all stores; starts the servers itself

Of so many jobs a third wait in the queue that is claimed from, a third are scheduled for next year, a third are done.
Each size has a database of its own (Redis: a number; Postgres: a database; SQLite: a file), and the sizes are measured
in turns. A verb handles 100 jobs, except heartbeat, counts and the two pages. The ratio is of the medians, the largest
size to the smallest.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit, urlunsplit

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
VERBS = ("push", "claim", "settle", "promote", "recover", "heartbeat", "counts", "jobs()", "jobs(done)")


class Field:
    """One size of one store."""

    def __init__(self, url: str, size: int) -> None:
        self.size = size
        self.url = url
        self.scheduler = Scheduler(url, NAMESPACE)
        self.store: Store = self.scheduler.store
        self.pattern = self.scheduler.record(Job("noop", args={"n": 12345}))
        self.worker = new_id()
        self.bytes: dict[str, float] = {}
        self.took: dict[str, list[float]] = {verb: [] for verb in VERBS}

    def load(self) -> None:
        """A third of the jobs in each state, and the bytes that each third took."""
        loaders = (("waiting", self._waiting), ("scheduled", stock.scheduled), ("done", stock.done))
        for name, loader in loaders:
            before, began, count = occupied(self.url), time.perf_counter(), self.size // 3
            loader(self.store, self.pattern, count)
            seconds = time.perf_counter() - began
            self.bytes[name] = (occupied(self.url) - before) / count
            print(f"    {count:,} {name}: {seconds:.0f} s, {self.bytes[name]:,.0f} bytes each", file=sys.stderr)

    @staticmethod
    def _waiting(store: Store, pattern: Record, count: int) -> None:
        for first in range(0, count, stock.BATCH):
            store.push([like(pattern) for _ in range(first, min(first + stock.BATCH, count))])

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
        self._time("counts", store.counts)
        self._time("jobs()", lambda: store.find(Query(limit=BATCH)))
        self._time("jobs(done)", lambda: store.find(Query(states=(State.DONE,), limit=BATCH)))

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
        if isinstance(self.store, Erasable):
            self.store.erase()
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
    path = urlsplit(url).path.removeprefix("/")
    return float(sum(Path(path + end).stat().st_size for end in ("", "-wal") if Path(path + end).exists()))


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


def measure(url: str, sizes: list[int], rounds: int) -> None:
    """Load, measure in turns, print."""
    with ExitStack() as opened:
        fields = []
        for number, size in enumerate(sizes, 1):
            print(f"{urlsplit(url).scheme}, {size:,} jobs", file=sys.stderr)
            fields.append(field := Field(opened.enter_context(database(url, number)), size))
            opened.callback(field.close)
            field.load()
        for _ in range(rounds + 1):
            for field in fields:
                field.round()
        show(urlsplit(url).scheme, fields)


def show(title: str, fields: list[Field]) -> None:
    """A table; the first round, which warms up, is left out."""
    heads = " | ".join(f"{field.size:,} jobs, ms" for field in fields)
    print(f"\n| {title} | {heads} | largest to smallest |\n|---|{'---:|' * (len(fields) + 1)}")
    for verb in VERBS:
        each = [1000 * median(field.took[verb][1:]) for field in fields]
        print(f"| {verb} | {' | '.join(f'{took:.2f}' for took in each)} | {each[-1] / each[0]:.2f} |")
    for name in fields[0].bytes:
        each = [field.bytes[name] for field in fields]
        print(f"| bytes for a job that is {name} | {' | '.join(f'{size:,.0f}' for size in each)} | |")


def main() -> None:
    """Measure each store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="*", metavar="URL")
    parser.add_argument("--sizes", default="1000,1000000", help="numbers of jobs, the smallest first")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    told = parser.parse_args()
    with stores(told.urls) as urls:
        for url in urls:
            measure(url, [int(size) for size in told.sizes.split(",")], told.rounds)


if __name__ == "__main__":
    main()
