"""An hour (or as long as told) of a steady load on each store, watched: nothing may grow.

Two supervised workers, a producer, jobs of every kind: now and later, sync and async, failing, unique, cancelled. What
is done is kept for 20 s. Every few seconds the memory, file descriptors and threads of the workers are noted, and the
store's connections, size and dead rows. All stores are soaked at once. It exits with 1 if anything grew.

    python benchmarks/soak --minutes 60
    python benchmarks/soak --minutes 10 --stores sqlite,redis --rate 100 --picture docs/soak.svg
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path

from drawing import draw
from watching import Samples, flat, soak

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from servers import find, launch


def started(stack: ExitStack, store: str) -> str:
    """A store's URL; its server has durable settings."""
    if store == "sqlite":
        return f"sqlite:///{stack.enter_context(tempfile.TemporaryDirectory())}/jobs.db"
    route = find(store, "auto", private=True)
    server = launch(route, "fsync=on") if store == "postgres" else launch(route, aof="everysec")
    stack.callback(server.remove)
    return server.url


def main() -> None:
    """Soak, tell, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", default="sqlite,redis,postgres")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=50.0, help="jobs a second, on each store")
    parser.add_argument("--picture", type=Path, help="an SVG file")
    parser.add_argument("--json", type=Path, help="the samples, to be drawn again")
    told = parser.parse_args()
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        soaks = {
            store: pool.submit(soak, store, started(stack, store), told.minutes * 60, told.rate)
            for store in told.stores.split(",")
        }
        wait(soaks.values())  # one that fails takes no other's samples with it
        failed = {store: error for store, one in soaks.items() if (error := one.exception())}
        samples: dict[str, Samples] = {store: one.result() for store, one in soaks.items() if store not in failed}
    if told.json:
        told.json.write_text(json.dumps(samples))
    if told.picture:
        told.picture.write_text(draw(samples, told.minutes, told.rate))
    grown = [line for store, of in samples.items() for line in flat(store, of)]
    for store, error in failed.items():
        print(f"{store}: {error}", file=sys.stderr)
    sys.exit(1 if grown or failed else 0)


if __name__ == "__main__":
    main()
