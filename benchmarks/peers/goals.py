"""The goals of the project: rates as ratios of medians, latencies in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

from entrants import BARE, OURS, STYLES
from tables import Figure, entrants, markdown, rates

TIMES = "\N{MULTIPLICATION SIGN}"
NAMES = {"redis": "Redis", "postgres": "Postgres", "sqlite": "SQLite"}
DRAIN = {"redis": (12.0, 22), "postgres": (2.3, 55), "sqlite": (12.0, 15)}
RATES = (
    ("drain, sync handler", "drain", "sync", DRAIN),
    ("drain, async handler", "drain", "async", DRAIN),
    ("one by one", "enqueue", "", {"redis": (1.4, 85), "postgres": (1.4, 85), "sqlite": (4.0, 25)}),
    ("in bulk", "bulk", "", {"redis": (3.0, 50), "postgres": (1.5, 50), "sqlite": (0.0, 50)}),
)
"""For each store how many times the best peer (0: none does it), and how many percent of the bare loop."""
LATENCIES = (("pickup", None, 5.0, 1.5), ("lateness", 1.5, 5.0, None))
"""p50 and p99 in milliseconds, and how many times as long the quickest peer's p50 is to be."""


def goals(figures: list[Figure]) -> Iterator[str]:
    """A table of rates and one of latencies, with a row for each goal and store that was measured."""
    good = [one for one in figures if "failed" not in one]
    rows = [row for goal in RATES for store in NAMES if (row := _rate(good, store, *goal))]
    late = [row for goal in LATENCIES for store in NAMES if (row := _latency(good, store, *goal))]
    if rows or late:
        yield "### Beside the goals"
    if rows:
        yield markdown(["", "beside the best peer (goal)", "beside the bare loop (goal)"], rows)
    if late:
        yield markdown(["", "p50, ms (goal)", "p99, ms (goal)", "the quickest peer's p50 to ours (goal)"], late)


def _rate(
    figures: list[Figure], store: str, title: str, measure: str, style: str, goal: dict[str, tuple[float, int]]
) -> list[str] | None:
    of_store = [one for one in figures if one["store"] == store and one["measure"] == measure]
    ours = rates(of_store, OURS, measure, style)
    if not ours:
        return None
    times, percent = goal[store]
    best = _best(of_store, lambda peer: max(_medians(of_store, peer, measure), default=0.0), max)
    bare = rates(of_store, BARE, measure, "sync" if style else "")
    return [
        f"{NAMES[store]}, {title}",
        f"{median(ours) / best[0]:.1f} {TIMES} {best[1]} ({times:g})" if best else "",
        f"{100 * median(ours) / median(bare):.0f} % ({percent} %)" if bare else "",
    ]


def _medians(figures: list[Figure], peer: str, measure: str) -> list[float]:
    """Of a peer's turns, with either kind of handler."""
    turns = (rates(figures, peer, measure, style) for style in STYLES)
    return [median(one) for one in turns if one]


def _latency(
    figures: list[Figure], store: str, measure: str, p50: float | None, p99: float, times: float | None
) -> list[str] | None:
    of_store = [one for one in figures if one["store"] == store and one["measure"] == measure]
    half, most = (_percentile(of_store, OURS, name) for name in ("p50", "p99"))
    if not half:
        return None
    best = _best(of_store, lambda peer: _percentile(of_store, peer, "p50"), min) if times else None
    return [
        f"{NAMES[store]}, {measure}",
        f"{half:.1f}" + (f" ({p50:g})" if p50 else ""),
        f"{most:.1f} ({p99:g})",
        f"{best[0] / half:.1f} {TIMES} {best[1]} ({times:g})" if best else "",
    ]


def _percentile(figures: list[Figure], peer: str, name: str) -> float:
    """The median of all turns'; 0 if there are none."""
    return median([one[name] for one in figures if one["peer"] == peer and name in one] or [0.0])


def _best(
    figures: list[Figure], of: Callable[[str], float], choose: Callable[..., tuple[float, str]]
) -> tuple[float, str] | None:
    """The peer that is first, and its figure."""
    known = [(of(peer), peer) for peer in entrants(figures) if peer not in (OURS, BARE)]
    return choose([one for one in known if one[0]], default=None)
