"""The scenes on a terminal, as a table that changes; in a pipe, as a line every second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from goscheds.cli.demo.scene import Scene

if TYPE_CHECKING:
    from rich.console import Group

LINE = 1.0
"""Seconds between lines where there is no terminal."""
BAR = 48
"""Characters that the progress bar is wide."""
REFRESH = 10
"""Drawings a second."""


@contextmanager
def screen() -> Iterator[Callable[[Scene], None]]:
    """What to show scenes with."""
    if not sys.stdout.isatty():
        yield _Lines().show
        return
    from rich.live import Live  # noqa: PLC0415 - imported when something is shown

    with Live(refresh_per_second=REFRESH) as live:
        yield lambda scene: live.update(_drawn(scene))


class _Lines:
    def __init__(self) -> None:
        self._next = 0.0
        self._hands: dict[int, str] = {}

    def show(self, scene: Scene) -> None:
        for hand in scene.hands:
            if self._hands.get(hand.pid) != hand.state:
                self._hands[hand.pid] = hand.state
                click.echo(f"{scene.elapsed:5.1f} s  worker {hand.pid}: {hand.state}")
        if scene.elapsed >= self._next or scene.over:
            self._next = scene.elapsed + LINE
            click.echo(f"{scene.elapsed:5.1f} s  " + "  ".join(f"{what} {number}" for what, number in scene.counts))


def _drawn(scene: Scene) -> Group:
    from rich.console import Group  # noqa: PLC0415 - imported when something is shown
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - the same
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    counts = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for what, _ in scene.counts:
        counts.add_column(what, min_width=8)
    counts.add_row(*(number for _, number in scene.counts), style="bold")
    workers = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for heading in ("worker", "holds", ""):
        workers.add_column(heading, min_width=8)
    for hand in scene.hands:
        workers.add_row(str(hand.pid), str(hand.holds), hand.state, style="red" if "killed" in hand.state else "")
    bar = Table.grid(padding=(0, 3, 0, 0))
    told = Text(f"{scene.done:,} of {scene.total:,} files, {scene.elapsed:.0f} s", "dim")
    bar.add_row(ProgressBar(scene.total, scene.done, width=BAR), told)
    return Group("", workers, "", counts, "", bar)
