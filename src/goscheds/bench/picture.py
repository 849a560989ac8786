"""A picture of figures: an SVG file, drawn by hand, as bars and dots need no library of 30 MB.

``picture`` draws panels below one another; ``Bars`` are rates on a scale from zero, ``Dots`` are percentiles on a
logarithmic one, since a p99 is often ten times a p50.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LEFT, RIGHT, MARGIN = 900, 330, 80, 24
ROW, HEAD, GAP = 24, 54, 22
INK, SOFT, RULE, PAPER = "#1f2937", "#6b7280", "#e5e7eb", "#ffffff"
BLUE, GREY, PALE = "#2563eb", "#9ca3af", "#d1d5db"
SHADES = ("#1e3a8a", "#3b82f6", "#93c5fd", "#ffffff")
"""Of p50, p95, p99 and the maximum, which is a ring."""
LEAST, MOST = 0.1, 1e6
"""Milliseconds; what a logarithmic scale can show."""


@dataclass(frozen=True)
class Bar:
    """A value, and how it is drawn; ``from`` and ``to`` are its spread, if there is one."""

    label: str
    value: float
    colour: str = BLUE
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Dots:
    """Values on a logarithmic scale, in rising order."""

    label: str
    values: tuple[float, ...]
    ink: str = INK  # of the label


@dataclass(frozen=True)
class Panel:
    """Rows under a title."""

    title: str
    rows: Sequence[Bar | Dots]
    legend: tuple[str, ...] = ()


def picture(title: str, below: str, panels: Sequence[Panel]) -> str:
    """The SVG's text. ``below`` stands under all panels: where and how it was measured."""
    drawn, y = [], MARGIN + 20.0
    drawn.append(_text(MARGIN, y, title, size=18, weight=600))
    for panel in (one for one in panels if one.rows):
        y += GAP
        drawn += _panel(panel, y)
        y += HEAD + ROW * len(panel.rows)
    y += GAP
    drawn.append(_text(MARGIN, y, below, size=11, colour=SOFT))
    height = y + MARGIN
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    font = 'font-family="system-ui, Helvetica, Arial, sans-serif"'
    paper = f'<rect width="{WIDTH}" height="{height:.0f}" fill="{PAPER}"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>', paper, *drawn, "</svg>\n"])


def _panel(panel: Panel, y: float) -> Iterator[str]:
    yield _text(MARGIN, y + 14, panel.title, size=13, weight=600)
    yield from _legend(panel.legend, y + 14)
    top, bottom = y + HEAD - 12, y + HEAD + ROW * len(panel.rows) - 4
    logarithmic = isinstance(panel.rows[0], Dots)
    values = [value for row in panel.rows for value in _values(row)]
    scale = _Log(values) if logarithmic else _Linear(values)
    for tick in scale.ticks():
        x = scale.at(tick)
        yield f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{RULE}"/>'
        yield _text(x, top - 5, scale.name(tick), size=10, colour=SOFT, anchor="middle")
    for n, row in enumerate(panel.rows):
        middle = y + HEAD + ROW * n + ROW / 2 - 4
        ink = row.ink if isinstance(row, Dots) else INK
        yield _text(LEFT - 10, middle + 4, row.label, size=12, colour=ink, anchor="end")
        yield from _bar(row, scale, middle) if isinstance(row, Bar) else _dots(row, scale, middle)


def _values(row: Bar | Dots) -> tuple[float, ...]:
    return row.values if isinstance(row, Dots) else (row.value, row.high or 0)


def _bar(bar: Bar, scale: _Linear | _Log, y: float) -> Iterator[str]:
    end = scale.at(bar.value)
    yield f'<rect x="{LEFT}" y="{y - 7:.1f}" width="{max(end - LEFT, 1):.1f}" height="14" rx="2" fill="{bar.colour}"/>'
    if bar.low is not None and bar.high is not None:
        low, high = scale.at(bar.low), scale.at(bar.high)
        yield f'<line x1="{low:.1f}" y1="{y:.1f}" x2="{high:.1f}" y2="{y:.1f}" stroke="{INK}" stroke-width="1.5"/>'
        end = max(end, high)
    yield _text(end + 6, y + 4, f"{bar.value:,.0f}", size=11, colour=INK)


def _dots(dots: Dots, scale: _Linear | _Log, y: float) -> Iterator[str]:
    xs = [scale.at(value) for value in dots.values]
    yield f'<line x1="{xs[0]:.1f}" y1="{y:.1f}" x2="{xs[-1]:.1f}" y2="{y:.1f}" stroke="{PALE}" stroke-width="2"/>'
    for x, shade in reversed(list(zip(xs, SHADES, strict=True))):
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{shade}" stroke="{SHADES[0]}" stroke-width="1"/>'
    first = dots.values[0]
    yield _text(xs[-1] + 10, y + 4, f"{first:,.0f}" if first >= 100 else f"{first:.3g}", size=11)  # noqa: PLR2004 - three digits


def _legend(names: Sequence[str], y: float) -> Iterator[str]:
    x = float(WIDTH - MARGIN)
    for name, shade in reversed(list(zip(names, SHADES, strict=False))):
        x -= 7.0 * len(name)
        yield _text(x, y, name, size=11, colour=SOFT)
        yield f'<circle cx="{x - 9:.1f}" cy="{y - 4:.1f}" r="5" fill="{shade}" stroke="{SHADES[0]}" stroke-width="1"/>'
        x -= 28


class _Linear:
    """From zero to a round number above all values."""

    def __init__(self, values: Sequence[float]) -> None:
        most = max([*values, 1e-9])
        step = 10.0 ** math.floor(math.log10(most))
        self._step = next(step * part for part in (0.2, 0.5, 1, 2, 5) if most <= step * part * 5)
        self._most = self._step * math.ceil(most / self._step)

    def at(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self._most

    def ticks(self) -> list[float]:
        return [self._step * n for n in range(round(self._most / self._step) + 1)]

    def name(self, tick: float) -> str:
        return f"{tick:,.0f}" if self._step >= 1 else f"{tick:g}"


class _Log:
    """Whole decades around all values."""

    def __init__(self, values: Sequence[float]) -> None:
        shown = [min(max(value, LEAST), MOST) for value in values]
        self._first = math.floor(math.log10(min(shown)))
        self._last = max(math.ceil(math.log10(max(shown))), self._first + 1)

    def at(self, value: float) -> float:
        place = math.log10(min(max(value, 10.0**self._first), 10.0**self._last)) - self._first
        return LEFT + (WIDTH - LEFT - RIGHT) * place / (self._last - self._first)

    def ticks(self) -> list[float]:
        return [10.0**decade for decade in range(self._first, self._last + 1)]

    def name(self, tick: float) -> str:
        return f"{tick:,.0f}" if tick >= 1 else f"{tick:g}"


def _text(
    x: float, y: float, words: str, *, size: int, colour: str = INK, weight: int = 400, anchor: str = "start"
) -> str:
    look = f'font-size="{size}" fill="{colour}" font-weight="{weight}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(words)}</text>'
