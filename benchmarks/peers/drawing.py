"""The medians of all turns as a picture: what one worker drains, and how soon it starts a job."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from statistics import median

from entrants import BARE, OURS, STORES
from tables import PARTS, Figure, entrants, rates

from goscheds.bench.picture import BLUE, GREY, INK, Bar, Dots, Panel, picture

NAMES = {"redis": "Redis", "postgres": "Postgres", "sqlite": "SQLite", "memory": "memory"}
STYLES = ("sync", "async")


def draw(figures: list[Figure]) -> str:
    """The text of an SVG file. The bare loop is left out: beside it, the rest would be hard to tell apart."""
    good = [figure for figure in figures if "failed" not in figure]
    panels = list(_drains(good))
    for measure, title in (("pickup", "pickup on an idle queue"), ("lateness", "lateness of scheduled jobs")):
        panels.append(Panel(f"{title}, milliseconds (the number: p50)", list(_dots(good, measure)), tuple(PARTS)))
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return picture(
        "goscheds beside its peers",
        f"Medians of several turns in one run; the line: lowest to highest. {machine}",
        panels,
    )


def _drains(figures: list[Figure]) -> Iterator[Panel]:
    for store in STORES:
        bars = []
        of_store = [one for one in figures if one["store"] == store]
        for peer in entrants(of_store):
            for style in STYLES:
                turns = rates(of_store, peer, "drain", style)
                if turns and peer != BARE:
                    colour = BLUE if peer == OURS else GREY
                    bars.append(Bar(f"{peer}, {style} handler", median(turns), colour, turns[0], turns[-1]))
        yield Panel(f"{NAMES[store]}: jobs a second, drained by one process", bars)


def _dots(figures: list[Figure], measure: str) -> Iterator[Dots]:
    for store in STORES:
        of_store = [one for one in figures if one["store"] == store and one["measure"] == measure]
        for peer in entrants(of_store):
            of = [one for one in of_store if one["peer"] == peer]
            ink = BLUE if peer == OURS else INK
            yield Dots(f"{peer}, {NAMES[store]}", tuple(median(one[part] for one in of) for part in PARTS), ink)
