"""What a store's server does for each job, as far as it counts that."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from goscheds.store import Store

SETTLED = 1.2
"""Seconds after which a server has counted what it did: Postgres tells its statistics once a second."""


@runtime_checkable
class Metered(Protocol):
    """A store whose server counts its work; found by what it can do, like other optional abilities."""

    def work(self) -> Mapping[str, int]:
        """What the server has done so far for all clients, by name: figures that only grow."""


def reading(store: Store) -> Mapping[str, int]:
    """The meters' state, when it has settled; empty where there are none."""
    if not isinstance(store, Metered):
        return {}
    time.sleep(SETTLED)
    return store.work()


def between(before: Mapping[str, int], after: Mapping[str, int], unit: str, per: float) -> dict[str, float]:
    """What was done between two readings, for each of ``per`` units."""
    return {f"{name}/{unit}": (after[name] - before[name]) / per for name in after if name in before and per}
