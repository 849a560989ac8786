"""From raw figures to spreads, medians and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from entrants import BARE, OURS, STORES

MILLISECOND = 1_000_000
"""Nanoseconds."""
EARLY = 1_000_000
"""Nanoseconds by which a start may precede its moment until it is called early: moments are told in milliseconds."""
COLUMNS = (
    ("enqueue", "", "enqueue, jobs/s"),
    ("bulk", "", "in bulk, jobs/s"),
    ("drain", "sync", "drain, sync handler, jobs/s"),
    ("drain", "async", "drain, async handler, jobs/s"),
)
Figure = dict[str, Any]


def spread(took: Sequence[int]) -> dict[str, float]:
    """Percentiles of durations in nanoseconds, each one that occurred; milliseconds."""
    ordered = sorted(took)
    at = {name: ordered[max(0, -int(-part * len(ordered) // 1) - 1)] for name, part in PARTS.items()}
    early = sum(1 for one in ordered if one < -EARLY)
    return {
        **{name: value / MILLISECOND for name, value in at.items()},
        "early": early,
        "least": ordered[0] / MILLISECOND,
    }


PARTS = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}


def tables(figures: list[Figure]) -> Iterator[str]:
    """For each store: rates, latencies, what it costs, and what did not come about."""
    for store in STORES:
        of_store = [figure for figure in figures if figure["store"] == store]
        if not of_store:
            continue
        good = [figure for figure in of_store if "failed" not in figure]
        server = next((figure["server"] for figure in good), store)
        yield f"### {server}"
        yield from (text for text in (_rates(good), _latencies(good), _costs(good)) if text)
        if missing := _missing(of_store):
            yield "Not measured:\n\n" + "\n".join(missing)


def _missing(figures: list[Figure]) -> list[str]:
    """What did not come about, and why; who did not do the same for the same reason stands in one line."""
    who: dict[tuple[str, str], list[str]] = {}
    for one in figures:
        if "failed" in one:
            names = who.setdefault((f"{one['measure']} {one['style']}".strip(), one["failed"]), [])
            names += [one["peer"]] if one["peer"] not in names else []
    return [f"- {measure}: {', '.join(names)} ({why})" for (measure, why), names in who.items()]


def entrants(figures: Iterable[Figure]) -> list[str]:
    """Ours first, then the peers as they come, the bare loop last."""
    names = list(dict.fromkeys(figure["peer"] for figure in figures))
    return sorted(names, key=lambda name: {OURS: 0, BARE: 2}.get(name, 1))


def rates(figures: Iterable[Figure], peer: str, measure: str, style: str) -> list[float]:
    """All turns' rates, in order of size."""
    return sorted(
        one["rate"]
        for one in figures
        if (one["peer"], one["measure"]) == (peer, measure) and one["style"] in (style, "") and "rate" in one
    )


def _rates(figures: list[Figure]) -> str:
    rows = []
    for peer in entrants(one for one in figures if "rate" in one):
        cells = []
        for measure, style, _ in COLUMNS:
            turns = rates(figures, peer, measure, "sync" if peer == BARE and style else style)
            spread = f" ({turns[0]:,.0f} to {turns[-1]:,.0f})" if len(turns) > 1 else ""
            cells.append(f"{median(turns):,.0f}{spread}" if turns else "")
        rows.append([peer, *cells])
    return markdown(["", *(title for *_, title in COLUMNS)], rows) if rows else ""


def _latencies(figures: list[Figure]) -> str:
    rows = []
    for peer in entrants(one for one in figures if "p50" in one):
        cells = []
        for measure in ("pickup", "lateness"):
            of = [one for one in figures if one["peer"] == peer and one["measure"] == measure]
            cells.append(" / ".join(f"{median(one[name] for one in of):,.1f}" for name in PARTS) if of else "")
        early = [one for one in figures if one["peer"] == peer and one["measure"] == "lateness"]
        told = f"{sum(one['early'] for one in early)} of {sum(one['jobs'] for one in early)}" if early else ""
        worst = min((one["least"] for one in early), default=0)
        rows.append(
            [peer, *cells, told + (f", by up to {-worst:,.0f} ms" if early and worst * MILLISECOND < -EARLY else "")]
        )
    return (
        markdown(
            ["", "pickup, ms: p50 / p95 / p99 / max", "lateness, ms: p50 / p95 / p99 / max", "started early"], rows
        )
        if rows
        else ""
    )


def _costs(figures: list[Figure]) -> str:
    heads = ["", "server's work for a job, busy"]
    if any(one["measure"] == "idle" for one in figures):
        heads += ["an idle worker: memory, MB", "CPU, % of a core", "server's work, a second"]
    rows = []
    for peer in entrants(one for one in figures if one["peer"] != BARE):
        busy = [one for one in figures if one["peer"] == peer and one["measure"] == "drain" and one.get("work")]
        idle = [one for one in figures if one["peer"] == peer and one["measure"] == "idle"]
        names = list(busy[0]["work"]) if busy else []
        work = [f"{median(one['work'][name] / one['jobs'] for one in busy):,.3g} {name}" for name in names]
        rows.append([peer, ", ".join(work), *_idle(idle)][: len(heads)])
    return markdown(heads, rows) if any(cell for row in rows for cell in row[1:]) else ""


def _idle(idle: list[Figure]) -> list[str]:
    if not idle:
        return ["", "", ""]
    names = list(idle[0].get("work", ()))
    work = [f"{median(one['work'][name] / one['seconds'] for one in idle):,.3g} {name}" for name in names]
    memory = median(one["memory"] / 1e6 for one in idle)
    return [f"{memory:,.0f}", f"{100 * median(one['cpu'] for one in idle):.1f}", ", ".join(work)]


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
