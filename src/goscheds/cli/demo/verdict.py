"""What the demonstration says at its end, and whether anything is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import click
import msgspec
from msgspec import Struct

from goscheds.cli.demo.files import Measure, Totals
from goscheds.cli.demo.journal import Reading
from goscheds.cli.demo.scene import Strike
from goscheds.cli.times import spell
from goscheds.job import JobInfo
from goscheds.record import State
from goscheds.store import DUTY_LEASE

LATE = 500_000
"""Microseconds; more is explained."""
SHOWN = 5
"""Files that are named when many are wrong."""


class Evidence(Struct, frozen=True):
    """Everything that the verdict is made from."""

    counted: Mapping[str, Measure]  # by path, what the store says
    plain: Mapping[str, Measure]  # by path, what a plain loop says
    report: JobInfo
    strike: Strike | None
    runs: Mapping[str, int]  # by job, how often its handler began
    failed: frozenset[str]  # jobs that failed on purpose
    late: int | None  # microseconds

    @classmethod
    def of(
        cls, counted: Mapping[str, Measure], plain: Mapping[str, Measure], report: JobInfo, strike: Strike | None,
        reading: Reading,
    ) -> Evidence:  # fmt: skip
        """The store's word, the plain loop's, and the journal's."""
        return cls(counted, plain, report, strike, dict(reading.runs), frozenset(reading.failed), reading.late)


def problems(evidence: Evidence) -> Iterator[str]:
    """What is missing or wrong; nothing, if all is well."""
    if missing := sorted(evidence.plain.keys() - evidence.counted.keys()):
        yield f"{len(missing):,} of {len(evidence.plain):,} files were not counted: {_some(missing)}"
    both = evidence.plain.keys() & evidence.counted.keys()
    if different := sorted(path for path in both if evidence.plain[path] != evidence.counted[path]):
        yield f"{len(different):,} files were counted differently (did they change meanwhile?): {_some(different)}"
    if evidence.report.state is not State.DONE:
        yield f"The report ended {evidence.report.state}: {evidence.report.error}"
    elif msgspec.convert(evidence.report.result, Totals) != Totals.of(evidence.counted):
        yield "The report's totals are not the sum of what was counted."
    if evidence.late is None or evidence.late < 0:
        yield "The report began too early." if evidence.late else "The report left no trace of its beginning."
    if evidence.strike is None:
        yield "No worker could be killed while it held jobs."


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:SHOWN]) + (", …" if len(paths) > SHOWN else "")


def tell(evidence: Evidence) -> None:
    """Print the report, and what became of the files."""
    if evidence.report.state is State.DONE and evidence.late is not None:
        totals = msgspec.convert(evidence.report.result, Totals)
        click.echo(f"\nThe report began {spell(timedelta(microseconds=evidence.late))} after its moment, and says:")
        click.echo(
            f"  {totals.files:,} files, {totals.lines:,} lines, {totals.words:,} words, {totals.size:,} bytes, "
            f"sha256 {totals.sha256[:16]}…"
        )
        if evidence.late > LATE:
            click.echo(f"  (When the holder of the duties is killed, another takes over within {DUTY_LEASE:g} s.)")
    wrong = list(problems(evidence))
    if not wrong:
        click.echo("A plain loop over the same files says the same, file by file. Every file was counted.")
    click.echo(_repeats(evidence))
    for problem in wrong:
        click.echo(f"Error: {problem}", err=True)


def _repeats(evidence: Evidence) -> str:
    """How many jobs began more than once, by the workers' own journal, and why."""
    twice = {id for id, runs in evidence.runs.items() if runs > 1}
    killed = (evidence.strike.held if evidence.strike else frozenset()) & twice - evidence.failed
    failed = evidence.failed & twice
    other = twice - killed - failed
    reasons = [
        (failed, "after failing on purpose"),
        (killed, "after their worker was killed"),
        (other, "after a lease that ran out"),
    ]
    told = ", ".join(f"{len(ids):,} {reason}" for ids, reason in reasons if ids)
    return f"{len(twice):,} ran twice" + (f": {told}." if told else ".")
