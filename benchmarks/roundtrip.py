"""What one push to Redis is made of: round trips of the cheapest commands, by a raw socket and by redis-py, in turns.

    python benchmarks/roundtrip.py redis://localhost:6379/0 --turns 9

Microseconds each, the quickest turn and the median; what a raw socket takes is a limit for any client.
"""

from __future__ import annotations

import argparse
import socket
import time
from collections.abc import Callable
from statistics import median
from urllib.parse import urlsplit

import bare
import hiredis
import redis

from goscheds import Job, Scheduler
from goscheds.backends.redis import codec
from goscheds.backends.redis.scripts import DIGESTS

EACH = 400
ENTRY = b"x" * 200


def cases(url: str, scheduler: Scheduler) -> dict[str, Callable[[], object]]:
    """What is measured, by name; on a server without TLS, in database 0."""
    parts = urlsplit(url)
    raw = socket.create_connection((parts.hostname, parts.port or 6379))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client, pair = redis.Redis.from_url(url, protocol=2), bare.connect(url)

    def ask(*command: str | bytes | int) -> bytes:
        raw.sendall(hiredis.pack_command(command))
        return raw.recv(4096)

    def push() -> object:
        batch = codec.jobs([scheduler.record(Job("noop", args={"n": 12345}))])
        return ask("EVALSHA", DIGESTS["push"], 1, "{roundtrip}", 1, batch)

    return {
        "PING, raw": lambda: ask("PING"),
        "LPUSH of 200 bytes, raw": lambda: ask("LPUSH", "{roundtrip}:entries", ENTRY),
        "goscheds's script for a push, raw": push,
        "PING, redis-py": client.ping,
        "LPUSH of 200 bytes, redis-py": lambda: client.lpush("{roundtrip}:entries", ENTRY),
        "the bare loop's push": lambda: pair.push([1]),
        "goscheds's push": lambda: scheduler.push(Job("noop", args={"n": 12345})),
    }


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--turns", type=int, default=9)
    told = parser.parse_args()
    with Scheduler(told.url, "roundtrip") as scheduler:
        scheduler.push(Job("noop"))  # the server knows the script from now on
        todo = cases(told.url, scheduler)
        took: dict[str, list[float]] = {name: [] for name in todo}
        for _ in range(told.turns):
            for name, call in todo.items():
                began = time.perf_counter()
                for _ in range(EACH):
                    call()
                took[name].append((time.perf_counter() - began) / EACH * 1e6)
        for name, each in took.items():
            print(f"{name:34} {min(each):6.1f} {median(each):6.1f}")
        scheduler.store.erase()


if __name__ == "__main__":
    main()
