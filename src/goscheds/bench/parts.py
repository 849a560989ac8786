"""The parts of a benchmark, and the report of those that were asked for."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version

from goscheds.bench.figures import Figure, Report
from goscheds.bench.idle import idle
from goscheds.bench.latency import instant, lateness, pickup
from goscheds.bench.plan import Plan
from goscheds.bench.steady import steady
from goscheds.bench.throughput import bulk, drain, enqueue
from goscheds.url import redact

Part = Callable[[str, Plan], Iterator[Figure]]

PARTS: Mapping[str, Part] = {
    "enqueue": enqueue,
    "bulk": bulk,
    "drain": drain,
    "steady": steady,
    "pickup": pickup,
    "lateness": lateness,
    "instant": instant,
    "idle": idle,
}
"""What can be measured, by name."""


def measure(
    url: str, plan: Plan, parts: Iterable[str] = PARTS, *, tell: Callable[[str, int], None] = lambda *_: None
) -> Report:
    """Measure the parts. ``tell`` is called with the part that begins, or went on, and how many figures there are.

    Raises BenchFailed, ConfigError and StoreError.
    """
    figures: list[Figure] = []
    for part in parts:
        tell(part, len(figures))
        for figure in PARTS[part](url, plan):
            figures.append(figure)
            tell(part, len(figures))
    machine = f"{platform.system()} {platform.release()} {platform.machine()}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return Report(redact(url), version("goscheds"), python, machine, os.cpu_count() or 1, figures)
