"""How long after each kind of death work goes on, on every store, at the default lease: a table of docs/reliability.md.

It starts the servers that the tests use, with durable settings. A death costs about a lease, so that several places are
measured side by side, each in a namespace of its own; they mostly wait.

    python benchmarks/recovery.py --kills 30
    python benchmarks/recovery.py --kills 10 --lease 1 --trials worker,child --stores sqlite,redis
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from goscheds.chaos.actor import RETRY
from goscheds.chaos.recovery import TRIALS, Times, begun, measure, place_at, spreads
from goscheds.job import Job

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from servers import Server, find, launch

AWAY = 2.0
"""Seconds for which a store is gone."""
RESTART = "store"
"""The trial that needs a server of its own to kill."""
SERVERS = {"redis": {"aof": "everysec"}, "valkey": {"aof": "everysec"}, "postgres": {}}


def restarts(server: Server, lease: float, kills: int) -> Iterator[float]:
    """From a killed server's first answer after its new start, to the beginning of a job that was due meanwhile."""
    with place_at(server.url, lease, workers=2) as place:
        for _ in range(kills):
            place.crowd.muster()
            job = Job("sync", {"ms": 0, "fail": 0}, queue="sync", retry=RETRY)
            place.scheduler.push_in(timedelta(seconds=random.uniform(0.2, AWAY)), job)  # noqa: S311 - a spread
            server.kill()
            time.sleep(AWAY)
            server.start()
            up = time.monotonic_ns()
            yield (begun(place.crowd, job.id, 0)[1] - up) / 1e9


def trial(name: str, server: Server | None, url: str, lease: float, kills: int) -> Times:
    """The times of a trial."""
    if name == "machine" and server is None:
        return {}  # a file's machine takes everybody with it
    if name == RESTART:
        return {"the store, down for 2 s": list(restarts(server, lease, kills))} if server else {}
    return measure(url, name, lease, kills)


def started(stack: ExitStack, store: str) -> tuple[str, Server | None]:
    """A store's URL, and its server where it has one."""
    if store == "sqlite":
        return f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/jobs.db", None
    server = launch(find(store, "auto", private=True), *(["fsync=on"] if store == "postgres" else []), **SERVERS[store])
    stack.callback(server.remove)
    return server.url, server


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", default="sqlite,redis,valkey,postgres")
    parser.add_argument("--trials", default=",".join([*TRIALS, RESTART]))
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--lease", type=float, default=10.0)
    parser.add_argument("--abreast", type=int, default=2, help="places of one trial, which share its kills")
    told = parser.parse_args()
    print("| store | died | deaths | min, s | median, s | max, s |\n|---|---|---:|---:|---:|---:|", flush=True)
    for store in told.stores.split(","):
        with ExitStack() as stack, ThreadPoolExecutor() as pool:
            running = []
            for name in told.trials.split(","):
                places = 1 if name == RESTART else told.abreast  # a server that is killed is nobody else's
                where = [started(stack, store)] * places
                shares = [(told.kills + place) // places for place in range(places)]
                running += [
                    pool.submit(trial, name, server, url, told.lease, kills)
                    for (url, server), kills in zip(where, shares, strict=True)
                ]
            times: defaultdict[str, list[float]] = defaultdict(list)
            for one in running:
                for victim, took in one.result().items():
                    times[victim] += took
        for spread in spreads(times, told.lease):
            row = f"{spread.kills} | {spread.shortest:.2f} | {spread.median:.2f} | {spread.longest:.2f}"
            print(f"| {store} | {spread.victim} | {row} |", flush=True)


if __name__ == "__main__":
    main()
