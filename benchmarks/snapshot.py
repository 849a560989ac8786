"""Postgres while a transaction somewhere holds an old snapshot, as a backup does: vacuum can clear away nothing.

    python benchmarks/snapshot.py --seconds 120                    # starts a server itself
    python benchmarks/snapshot.py postgresql://localhost/jobs --seconds 120

Jobs flow through one store, pushed by the thousand and worked off by the hundred, until none is left, again and again;
between the rounds the verbs of an idle worker are timed. One line for each tenth of the time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from goscheds.backends.sql.postgres import PostgresStore, connect
from goscheds.job import new_id
from goscheds.record import Outcome, Record

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

BULK, BATCH, PARTS = 1_000, 100, 10
PAYLOAD = b'{"v":1,"args":{"n":12345}}'


def flow(store: PostgresStore, worker: str) -> None:
    """A thousand jobs, from the push to the last one's settling."""
    store.push([Record(new_id(), "noop", "default", PAYLOAD) for _ in range(BULK)])
    claims = store.claim("default", worker, BATCH, 0)
    while claims:
        _, claims = store.settle_and_claim(worker, [Outcome.done(one, keep=False) for one in claims], "default", BATCH)


def measure(store: PostgresStore, seconds: float) -> Iterator[str]:
    """Jobs a second, and how long an idle worker's verbs take, ms."""
    worker = new_id()
    idle: dict[str, Callable[[], object]] = {
        "claim": lambda: store.claim("default", worker, 1, 0),
        "promote": lambda: store.promote(worker, 100, 0),
        "recover": lambda: store.recover(worker, 100),
        "heartbeat": lambda: store.heartbeat(worker, 3600, b""),
        "held": lambda: store.held(worker),
    }
    store.heartbeat(worker, 3600, b"")
    total = 0
    for part in range(PARTS):
        began, jobs = time.perf_counter(), 0
        while time.perf_counter() - began < seconds / PARTS:
            flow(store, worker)
            jobs += BULK
        rate = jobs / (time.perf_counter() - began)
        total += jobs
        times = ", ".join(f"{name} {_milliseconds(verb):.1f}" for name, verb in idle.items())
        yield f"{(part + 1) * seconds / PARTS:5.0f} s {total:9,} jobs {rate:8,.0f} jobs/s   ms: {times}"


def _milliseconds(verb: Callable[[], object]) -> float:
    began = time.perf_counter()
    verb()
    return 1e3 * (time.perf_counter() - began)


@contextmanager
def held(url: str) -> Iterator[None]:
    """A transaction that looked once and was left open."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM goscheds_jobs")
        yield


def main() -> None:
    """With a held snapshot, and without."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--seconds", type=float, default=120)
    told = parser.parse_args()
    with ExitStack() as stack:
        url = told.url
        if not url:
            from servers import find, launch

            server = launch(find("postgres", "auto", private=True), "fsync=on", "full_page_writes=on")
            stack.callback(server.remove)
            url = server.url
        for title, holding in (("nobody holds a snapshot", ExitStack), ("a snapshot is held", lambda: held(url))):
            store = connect(url, f"snapshot-{new_id()}")
            store.open()
            print(title)
            with holding():
                for line in measure(store, told.seconds):
                    print(line, flush=True)
            store.erase()
            store.close()


if __name__ == "__main__":
    main()
