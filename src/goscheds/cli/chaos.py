"""``goscheds chaos``: trouble for workers on a store of the user's own, and the law proved over what they saw."""

from __future__ import annotations

import sys

import click

from goscheds.chaos.recovery import TRIALS, Spread, measure, spreads
from goscheds.chaos.report import report
from goscheds.chaos.rig import Plan, run
from goscheds.cli.output import Column, print_table
from goscheds.url import redact

PLAN = Plan()
COLUMNS: tuple[Column[Spread], ...] = (
    Column("killed", lambda spread: spread.victim),
    Column("lease", lambda spread: f"{spread.lease:g} s", right=True),
    Column("kills", lambda spread: str(spread.kills), right=True),
    Column("min", lambda spread: f"{spread.shortest:.2f} s", right=True),
    Column("median", lambda spread: f"{spread.median:.2f} s", right=True),
    Column("max", lambda spread: f"{spread.longest:.2f} s", right=True),
)


@click.command()
@click.argument("url", envvar="GOSCHEDS_STORE")
@click.option("--seed", type=int, default=PLAN.seed, show_default=True, help="Which faults, and when.")
@click.option("--seconds", type=click.FloatRange(1), default=60.0, show_default=True, help="How long there is trouble.")
@click.option("--lease", type=click.FloatRange(1), default=PLAN.lease, show_default=True, help="The workers' lease.")
@click.option("--workers", type=click.IntRange(1), default=PLAN.workers, show_default=True, help="Worker processes.")
@click.option("--supervisors", type=click.IntRange(0), default=PLAN.supervisors, show_default=True,
              help="Supervisors, each with two workers more.")  # fmt: skip
@click.option("--producers", type=click.IntRange(1), default=PLAN.producers, show_default=True,
              help="Producer processes.")  # fmt: skip
@click.option("--kills", type=click.IntRange(1), help="Instead: let so many die, and time the recovery.")
@click.option("--victim", type=click.Choice([*TRIALS]), default="worker", show_default=True,
              help="Who dies of --kills: a worker, its machine too, a supervised one, who has the duties.")  # fmt: skip
def chaos(
    url: str,
    seed: int,
    seconds: float,
    lease: float,
    workers: int,
    supervisors: int,
    producers: int,
    kills: int | None,
    victim: str,
) -> None:
    """Kill and stop workers on the store at URL, break their connections, and prove that nothing was lost.

    The store's server is left alone, and everything happens in a namespace of its own, which is erased afterwards.
    Exits with 1 if the law was broken; the same --seed brings about the same faults.
    """
    if kills:
        print_table(COLUMNS, spreads(measure(url, victim, lease, kills, _tell), lease), "Nothing was measured.")
        return
    plan = Plan(seed, seconds, lease, workers, supervisors, producers)
    result = run(url, plan, tell=_tell)
    click.echo(f"{redact(url)}\n{report(result)}")
    if result.violations:
        raise click.exceptions.Exit(1)


def _tell(what: str) -> None:
    """Say on a terminal what is being done."""
    if sys.stderr.isatty():
        click.echo(what, err=True)
