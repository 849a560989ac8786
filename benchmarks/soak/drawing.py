"""The samples of a soak as a picture: a column for each store, a row for each thing that must not grow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from watching import Samples

CELL, HIGH, LEFT, TOP, GAP = 250, 62, 110, 70, 26
INK, SOFT, RULE, BLUE = "#1f2937", "#6b7280", "#e5e7eb", "#2563eb"
ROWS = ("memory, MB", "files", "threads", "connections", "store, MB", "log, MB", "dead rows", "waiting", "kept")


def draw(samples: Mapping[str, Samples], minutes: float, rate: float) -> str:
    """The SVG's text."""
    width = LEFT + len(samples) * (CELL + GAP) + 20
    rows = [row for row in ROWS if any(row in of for of in samples.values())]
    height = TOP + len(rows) * (HIGH + GAP) + 20
    drawn = [_text(20, 26, f"{minutes:g} minutes at {rate:g} jobs a second on each store", 17, INK, 600)]
    for column, (store, of) in enumerate(samples.items()):
        x = LEFT + column * (CELL + GAP)
        drawn.append(_text(x, TOP - 18, store, 14, INK, 600))
        for number, row in enumerate(rows):
            if row in of:
                drawn += _line(of[row], x, TOP + number * (HIGH + GAP), minutes * 60)
    drawn += [_text(20, TOP + number * (HIGH + GAP) + HIGH / 2, row, 12, INK) for number, row in enumerate(rows)]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    font = 'font-family="system-ui, Helvetica, Arial, sans-serif"'
    paper = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>', paper, *drawn, "</svg>\n"])


def _line(points: list[tuple[float, float]], x: float, y: float, seconds: float) -> Iterator[str]:
    most = max([value for _, value in points] + [1e-9]) * 1.1
    places = " ".join(f"{x + CELL * at / seconds:.1f},{y + HIGH - HIGH * value / most:.1f}" for at, value in points)
    yield f'<rect x="{x}" y="{y}" width="{CELL}" height="{HIGH}" fill="none" stroke="{RULE}"/>'
    yield f'<polyline points="{places}" fill="none" stroke="{BLUE}" stroke-width="1.5"/>'
    least, last = min(value for _, value in points), points[-1][1]
    told = f"{least:,.4g} to {most / 1.1:,.4g}, at last {last:,.4g}"
    yield _text(x + CELL, y + HIGH + 12, told, 10, SOFT, anchor="end")


def _text(x: float, y: float, words: str, size: int, colour: str, weight: int = 400, anchor: str = "start") -> str:
    look = f'font-size="{size}" fill="{colour}" font-weight="{weight}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(words)}</text>'
