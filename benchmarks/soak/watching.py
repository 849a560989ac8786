"""One store under a steady load, and what is noted of it meanwhile."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from statistics import median

import psycopg
import redis

from goscheds import Job, Scheduler, State
from goscheds.errors import StoreError
from goscheds.record import SETTLED

EVERY = 5.0
"""Seconds between samples."""
HERE = Path(__file__).resolve().parent
MEGABYTE = 1_000_000
SLACK = 1.15
"""What counts as grown: the median of the last quarter over that of the second."""
NOISE = {
    "memory, MB": 8.0,
    "files": 3.0,
    "threads": 3.0,
    "connections": 3.0,
    "store, MB": 4.0,
    "dead rows": 5_000.0,
    "waiting": 50.0,
}
"""Differences that mean nothing."""

Samples = dict[str, list[tuple[float, float]]]
"""By what it is: seconds since the beginning, and the value."""


def soak(store: str, url: str, seconds: float, rate: float) -> Samples:
    """The samples of a soak."""
    command = [sys.executable, "-m", "goscheds", "worker", "app:scheduler", "--processes", "2", "--log-level", "error"]
    samples: Samples = defaultdict(list)
    with Scheduler(url, "soak") as scheduler:
        scheduler.now()
        worker = subprocess.Popen(command, cwd=HERE, env={**os.environ, "SOAK_STORE": url})  # noqa: S603 - our own program
        try:
            _load(store, url, scheduler, worker.pid, seconds, rate, samples)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)
    return samples


def _load(
    store: str, url: str, scheduler: Scheduler, supervisor: int, seconds: float, rate: float, samples: Samples
) -> None:
    began = time.monotonic()
    look_at, n = EVERY, 0
    while (at := time.monotonic() - began) < seconds:
        if at < n / rate:
            time.sleep(n / rate - at)
        _push(scheduler, n)
        n += 1
        if at >= look_at:
            look_at += EVERY
            for what, value in {**_workers(supervisor), **_STORES[store](url), **_line(scheduler)}.items():
                samples[what].append((round(at, 1), round(value, 2)))
            print(f"{store}: {at / 60:.1f} min, {n:,} jobs", end="\r", file=sys.stderr, flush=True)


def _push(scheduler: Scheduler, n: int) -> None:
    job = (
        Job("quick", {"n": n, "text": "x" * 500}),
        Job("slow", {"n": n}, queue="slow", timeout=timedelta(seconds=30)),
        Job("gentle", {"n": n}, queue="async"),
        Job("failing", {"n": n}, queue="failing"),
        Job("quick", {"n": n, "text": ""}, unique_key=f"key-{n % 7}"),
        Job("quick", {"n": n, "text": ""}),
    )[n % 6]
    try:
        if n % 4 == 0:
            scheduler.push_in(timedelta(seconds=random.uniform(0, 5)), job)  # noqa: S311 - a spread
        elif n % 31 == 0:
            scheduler.cancel(scheduler.push_in(timedelta(seconds=60), job))
        else:
            scheduler.push(job)
    except StoreError as error:
        print(error, file=sys.stderr)


def _workers(supervisor: int) -> dict[str, float]:
    """What the worker processes take together."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    memory = files = threads = 0.0
    for pid in children:
        memory += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEGABYTE
        files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
        threads += len(list(Path(f"/proc/{pid}/task").iterdir()))
    return {"memory, MB": memory, "files": files, "threads": threads}


def _line(scheduler: Scheduler) -> dict[str, float]:
    counts = scheduler.counts().jobs
    waiting = sum(n for (_, state), n in counts.items() if state is State.READY)
    kept = sum(n for (_, state), n in counts.items() if state in SETTLED)
    return {"waiting": float(waiting), "kept": float(kept)}


def _sqlite(url: str) -> dict[str, float]:
    path = Path(url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
        ((size,),) = connection.execute("PRAGMA page_size").fetchall()
    log = path.with_name(path.name + "-wal")
    return {"store, MB": pages * size / MEGABYTE, "log, MB": log.stat().st_size / MEGABYTE if log.exists() else 0.0}


def _redis(url: str) -> dict[str, float]:
    with redis.Redis.from_url(url) as client:
        info: Mapping[str, float] = client.info()
    return {"store, MB": info["used_memory"] / MEGABYTE, "connections": float(info["connected_clients"])}


def _postgres(url: str) -> dict[str, float]:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT (SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables)::float8, "
            "(SELECT sum(n_dead_tup) FROM pg_stat_user_tables)::float8, "
            "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::float8"
        ).fetchone()
    size, dead, connections = row or (0.0, 0.0, 0.0)
    return {"store, MB": size / MEGABYTE, "dead rows": dead, "connections": connections}


_STORES = {"sqlite": _sqlite, "redis": _redis, "valkey": _redis, "postgres": _postgres}


def flat(store: str, samples: Samples) -> list[str]:
    """What grew; each line of the table is printed."""
    grown = []
    for what, points in samples.items():
        quarter = len(points) // 4
        if not quarter:
            continue
        early, late = (
            median(value for _, value in part) for part in (points[quarter : 2 * quarter], points[-quarter:])
        )
        grew = late > early * SLACK and late - early > NOISE.get(what, 0.0)
        print(f"| {store} | {what} | {early:,.1f} | {late:,.1f} | {'GREW' if grew else 'flat'} |", flush=True)
        if grew and what not in ("kept", "log, MB"):
            grown.append(f"{store}: {what}")
    return grown
