"""The program of the contract's processes; see ``processes``. It is run as a file, so that the clock is bent first.

The clock is bent in Python, as no system lets a test bend that of one process: what asks the driver, the server or the
kernel for the time gets the true one, as a client with a wrong clock would.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module


def bend(skew: Callable[[], int]) -> None:
    """Make this process's clocks wrong by ``skew()`` seconds whenever they are read."""
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + skew()
    time.time_ns = lambda: nanoseconds() + skew() * 1_000_000_000

    class Bent(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Bent:
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def utcnow(cls) -> Bent:
            return cls.now(dt.UTC).replace(tzinfo=None)

    dt.datetime = Bent  # type: ignore[misc]  # that is the point


def main() -> None:
    """Take a part from the first line, and play it."""
    part = json.loads(sys.stdin.readline())
    if part["skew"]:
        bend(lambda: part["skew"])
    scenes = import_module("goscheds.contract.scenes")
    plugins = import_module("goscheds.plugins")
    import_module("goscheds.contract.processes").register_plugins()
    store = plugins.open_store(part["url"], part["namespace"])
    scenes.listen()
    getattr(scenes, part["scene"])(store, **part["arguments"])


if __name__ == "__main__":
    main()
