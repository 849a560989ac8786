"""A report as a picture."""

from __future__ import annotations

from goscheds.bench.figures import Report, Spread
from goscheds.bench.picture import Bar, Dots, Panel, picture

SHOWN = ("p50", "p95", "p99", "max")


def plot(report: Report) -> str:
    """The text of an SVG file: the rates, and how latencies are spread."""
    rates = [Bar(f"{one.part}, {one.setting}", one.rate) for one in report.figures if one.rate and one.part != "steady"]
    late = [
        Dots(f"{one.part}, {one.setting}", _values(one.spread))
        for one in report.figures
        if one.spread and one.part != "enqueue"
    ]
    panels = [
        Panel("jobs a second", rates),
        Panel("until a job starts, milliseconds (the number: p50)", late, SHOWN),
    ]
    below = f"goscheds {report.goscheds}, {report.python}, {report.machine}, {report.cores} cores"
    return picture(report.store, below, panels)


def _values(spread: Spread) -> tuple[float, ...]:
    return tuple(getattr(spread, name) for name in SHOWN)
