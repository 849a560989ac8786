"""goscheds beside the bare loop of each driver, in turns in one run: medians, and their ratios.

Machines differ and are noisy, so a rate alone says little; a ratio of two rates taken side by side says what goscheds
costs. Likewise with how soon a job starts, where the less the better. Without URLs it starts the servers that the tests
use, with durable settings: Redis with an append-only file (everysec), Postgres with fsync.

    python benchmarks/compare.py --jobs 10000 --repeat 5
    python benchmarks/compare.py --only delays --samples 100
    python benchmarks/compare.py redis://localhost:6379/0 --json
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import bare
import promptness

from goscheds.bench import latency, throughput
from goscheds.bench.figures import Figure, Spread
from goscheds.bench.plan import Plan, Style

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

Rate = Callable[[str, int], float]
DRAINED = 5
"""As many times the jobs are drained: ten thousand would take SQLite a fifth of a second, most of it a cold start."""


def _drain(style: Style, processes: int) -> Rate:
    def rate(url: str, jobs: int) -> float:
        plan = Plan(jobs=DRAINED * jobs, processes=(processes,), styles=(style,))
        return next(iter(throughput.drain(url, plan))).rate

    return rate


def _bare_drain(url: str, jobs: int) -> float:
    return bare.drain(url, DRAINED * jobs)


def _enqueue(url: str, jobs: int) -> float:
    return next(iter(throughput.enqueue(url, Plan(jobs=jobs)))).rate


def _bulk(url: str, jobs: int) -> float:
    return next(iter(throughput.bulk(url, Plan(jobs=jobs)))).rate


Delay = Callable[[str, int], Spread]


def _delay(measure: Callable[[str, Plan], Iterator[Figure]], processes: int = 1) -> Delay:
    def delay(url: str, samples: int) -> Spread:
        seconds = samples * promptness.APART
        plan = Plan(samples=samples, spread=samples, seconds=seconds, processes=(processes,), styles=(Style.SYNC,))
        return next(figure.spread for figure in measure(url, plan) if figure.spread)

    return delay


RATES: tuple[tuple[str, Rate, Rate], ...] = (
    ("enqueue one by one", _enqueue, bare.enqueue),
    ("enqueue 1,000 at once", _bulk, bare.bulk),
    ("drain, sync handler, 1 process", _drain(Style.SYNC, 1), _bare_drain),
    ("drain, async handler, 1 process", _drain(Style.ASYNC, 1), _bare_drain),
    ("drain, sync handler, 2 processes against 1", _drain(Style.SYNC, 2), _drain(Style.SYNC, 1)),
)
DELAYS: tuple[tuple[str, Delay, Delay], ...] = (
    ("pickup, 1 worker", _delay(latency.pickup), promptness.pickup),
    ("lateness, 1 worker", _delay(latency.lateness), promptness.lateness),
    ("lateness, 8 workers against 1", _delay(latency.lateness, 8), _delay(latency.lateness)),
)


def rates(url: str, jobs: int, repeat: int) -> Iterator[dict[str, object]]:
    """One row of figures for each pair, jobs a second."""
    for title, ours, other in RATES:
        yield _row(title, [(ours(url, jobs), other(url, jobs)) for _ in _turns(title, repeat)])


def delays(url: str, samples: int, repeat: int) -> Iterator[dict[str, object]]:
    """Two rows of figures for each pair, milliseconds."""
    for title, ours, other in DELAYS:
        pairs = [(ours(url, samples), other(url, samples)) for _ in _turns(title, repeat)]
        yield _row(f"{title}, p50", [(mine.p50, bare.p50) for mine, bare in pairs])
        yield _row(f"{title}, p99", [(mine.p99, bare.p99) for mine, bare in pairs])


def _turns(title: str, repeat: int) -> Iterator[int]:
    for turn in range(repeat):
        print(f"{title}: {turn + 1} of {repeat}", file=sys.stderr)
        yield turn


def _row(title: str, pairs: list[tuple[float, float]]) -> dict[str, object]:
    ratios = sorted(mine / bare for mine, bare in pairs)
    return {
        "measure": title,
        "goscheds": median(mine for mine, _ in pairs),
        "beside": median(bare for _, bare in pairs),
        "ratio": median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
    }


@contextmanager
def stores(urls: list[str]) -> Iterator[list[str]]:
    """The URLs told, or those of servers started for this."""
    if urls:
        yield urls
        return
    from servers import find, launch

    with ExitStack() as started:
        folder = started.enter_context(tempfile.TemporaryDirectory(prefix="goscheds-compare-"))
        redis = launch(find("redis", "auto", private=True), aof="everysec")
        started.callback(redis.remove)
        postgres = launch(find("postgres", "auto", private=True), "fsync=on", "full_page_writes=on")
        started.callback(postgres.remove)
        for server in (redis, postgres):
            print(f"{server.route}", file=sys.stderr)
        yield [redis.url, postgres.url, f"sqlite:///{folder}/jobs.db"]


def main() -> None:
    """Print a table for each store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="*", metavar="URL")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=100, help="jobs whose start is timed")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", choices=("rates", "delays"))
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    kinds = [
        ("jobs/s", lambda url: rates(url, told.jobs, told.repeat)),
        ("ms", lambda url: delays(url, told.samples, told.repeat)),
    ]
    if told.only:
        kinds = [kinds[told.only == "delays"]]
    with stores(told.urls) as urls:
        if told.json:
            found = {url.partition(":")[0]: [row for _, kind in kinds for row in kind(url)] for url in urls}
            print(json.dumps(found, indent=2))
            return
        print(
            f"Python {platform.python_version()}, {told.jobs:,} jobs, {DRAINED} times as many in a drain, "
            f"medians of {told.repeat}."
        )
        for url in urls:
            for unit, kind in kinds:
                _show(url, unit, kind(url))


def _show(url: str, unit: str, rows: Iterator[dict[str, object]]) -> None:
    """A table that grows as it is measured."""
    print(f"\n| {url.partition(':')[0]} | goscheds, {unit} | beside it, {unit} | ratio (lowest to highest) |")
    print("|---|---:|---:|---|")
    digits = 2 if unit == "ms" else 0
    for row in rows:
        spread = f"{row['ratio']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})"
        print(
            f"| {row['measure']} | {row['goscheds']:,.{digits}f} | {row['beside']:,.{digits}f} | {spread} |", flush=True
        )


if __name__ == "__main__":
    main()
