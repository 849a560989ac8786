"""``goscheds bench``: what a store and its workers reach on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from goscheds.bench.figures import Figure, Report
from goscheds.bench.parts import PARTS, measure
from goscheds.bench.plan import Plan, Style
from goscheds.bench.plot import plot
from goscheds.cli.output import Column, json_option, print_json, print_table

PLAN = Plan()
COLUMNS: tuple[Column[Figure], ...] = (
    Column("part", lambda figure: figure.part),
    Column("setting", lambda figure: figure.setting),
    Column("jobs", lambda figure: f"{figure.jobs:,}" if figure.jobs else "", right=True),
    Column("jobs/s", lambda figure: f"{figure.rate:,.0f}" if figure.rate else "", right=True),
    Column("p50 ms", lambda figure: f"{figure.spread.p50:.2f}" if figure.spread else "", right=True),
    Column("p95 ms", lambda figure: f"{figure.spread.p95:.2f}" if figure.spread else "", right=True),
    Column("p99 ms", lambda figure: f"{figure.spread.p99:.2f}" if figure.spread else "", right=True),
    Column("max ms", lambda figure: f"{figure.spread.max:.2f}" if figure.spread else "", right=True),
    Column("also", lambda figure: "; ".join(f"{name} {value:.3g}" for name, value in figure.also.items())),
)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = [part.strip() for part in text.split(",")]
    if not all(number.isdecimal() and int(number) for number in numbers):
        raise click.BadParameter(f"{text!r} is not a list of numbers. Write 1,2,4.")
    return tuple(map(int, numbers))


@click.command()
@click.argument("url", envvar="GOSCHEDS_STORE")
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)),
              help="Measure this part; may be given again.  [default: all]")  # fmt: skip
@click.option("--jobs", type=click.IntRange(100), default=PLAN.jobs, show_default=True,
              help="Jobs to push, to drain, and due in one instant.")  # fmt: skip
@click.option("--samples", type=click.IntRange(10), default=PLAN.samples, show_default=True,
              help="Jobs whose pickup is timed.")  # fmt: skip
@click.option("--processes", type=_numbers, default=",".join(map(str, PLAN.processes)), show_default=True,
              metavar="N,…", help="Numbers of worker processes.")  # fmt: skip
@click.option(
    "--style",
    "styles",
    multiple=True,
    type=click.Choice([style.value for style in Style]),
    help="Kind of handler.  [default: both]",
)
@click.option("--payload", type=click.IntRange(0), default=0, show_default=True, metavar="BYTES",
              help="Text among each job's arguments.")  # fmt: skip
@click.option("--rate", "rates", type=_numbers, default=",".join(map(str, PLAN.rates)), show_default=True,
              metavar="N,…", help="Jobs a second, in the steady state.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.1), default=PLAN.seconds, show_default=True,
              help="How long the steady state and the watch of an idle worker last.")  # fmt: skip
@click.option("--history", type=click.IntRange(0), default=0, show_default=True, metavar="JOBS",
              help="Jobs that are done already.")  # fmt: skip
@click.option("--backlog", type=click.IntRange(0), default=0, show_default=True, metavar="JOBS",
              help="Jobs that wait meanwhile, half of them for a later day.")  # fmt: skip
@click.option("--plot", "picture", type=click.Path(dir_okay=False, writable=True, path_type=Path), metavar="FILE",
              help="Draw the figures into this SVG file.")  # fmt: skip
@json_option
def bench(
    url: str, parts: tuple[str, ...], processes: tuple[int, ...], styles: tuple[str, ...],
    picture: Path | None, *, as_json: bool, **sizes: Any,
) -> None:  # fmt: skip
    """Measure the store at URL, with real worker processes and handlers that do nothing.

    The store's own settings decide how durable it all is. Everything happens in a namespace of its own, which is erased
    afterwards. Figures depend on the machine and on what else it does: compare those of one run alone.
    """
    plan = Plan(processes=processes, styles=tuple(map(Style, styles)) or PLAN.styles, **sizes)
    with _progress() as tell:
        report = measure(url, plan, parts or PARTS, tell=tell)
    if picture:
        picture.write_text(plot(report), "utf-8")
    if as_json:
        print_json(report)
    else:
        _show(report)


def _show(report: Report) -> None:
    print_table(COLUMNS, report.figures, "Nothing was measured.")
    click.echo(f"{report.store}, goscheds {report.goscheds}, {report.python}, {report.machine}, {report.cores} cores")


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Says on a terminal what is being measured."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415 - imported when something is shown

    with Console(stderr=True).status("") as status:
        yield lambda part, done: status.update(f"{part}: {PARTS[part].__doc__} ({done} figures so far)")
