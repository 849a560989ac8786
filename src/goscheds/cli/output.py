"""How a command shows what it found: as a table for a person, as aligned text for a pipe, or as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import click
import msgspec

if TYPE_CHECKING:
    from rich.table import Table

T = TypeVar("T")
STYLES = {
    "scheduled": "cyan",
    "ready": "blue",
    "active": "yellow",
    "done": "green",
    "dead": "bold red",
    "cancelled": "magenta",
    "held": "green",
    "broken": "bold red",
    "skipped": "yellow",
    "lost": "bold red",
    "paused": "yellow",
}
"""Words that stand out in a cell, by their colour."""


class Column(NamedTuple, Generic[T]):
    """A column: its heading, and what it says of an item."""

    heading: str
    cell: Callable[[T], str]
    right: bool = False
    whole: bool = False
    """Never cut short on a narrow terminal, e.g. because it is there to be copied."""


def json_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")(command)


def print_json(value: Any) -> None:
    """A value as indented JSON, in UTF-8 whatever the terminal's encoding; what is no text, or steers, is escaped."""
    try:
        text = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()
    except UnicodeEncodeError:
        text = json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2)
    click.echo(re.sub(r"[^ -~\n]", _escaped, text).encode())


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def print_table(columns: Sequence[Column[T]], items: Sequence[T], empty: str) -> None:
    """The items as a table, or ``empty`` if there are none, which goes to stderr: a pipe gets nothing."""
    if not items:
        click.echo(empty, err=True)
    elif sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415 - imported when something is shown

        Console().print(rich_table(columns, items))
    else:
        for line in _aligned(columns, items):
            click.echo(line)


def rich_table(columns: Sequence[Column[T]], items: Sequence[T]) -> Table:
    """The items as rich's table, without the columns that have nothing to say of any of them."""
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold dim")
    told = [(column, cells) for column in columns if any(cells := [clean(column.cell(item)) for item in items])]
    for column, _ in told:
        table.add_column(column.heading, justify="right" if column.right else "left", no_wrap=column.whole)
    for row in zip(*(cells for _, cells in told), strict=True):
        table.add_row(*(Text(cell, STYLES.get(cell, ""), no_wrap=True, overflow="ellipsis") for cell in row))
    return table


def _aligned(columns: Sequence[Column[T]], items: Sequence[T]) -> Iterator[str]:
    rows = [[column.heading for column in columns]]
    rows += [[clean(column.cell(item)) for column in columns] for item in items]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for column, cell, width in zip(columns, row, widths, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def clean(text: str) -> str:
    """A job's text on one line, and without what would steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


@contextmanager
def live(render: Callable[[], Any], seconds: float) -> Iterator[None]:
    """Show something that changes, drawn anew every ``seconds``, while the block runs."""
    from rich.console import Console  # noqa: PLC0415 - imported when something is shown
    from rich.live import Live  # noqa: PLC0415 - the same

    with Live(console=Console(), get_renderable=render, refresh_per_second=1 / seconds):
        yield
