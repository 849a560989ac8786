"""What a run has shown, in words."""

from __future__ import annotations

from collections import Counter

from goscheds.chaos.laws import recoveries
from goscheds.chaos.rig import Result

SHOWN = 5
"""Violations whose jobs' lives are told."""


def report(result: Result) -> str:
    """A run: what was done to it, and what was lost; where it broke the law, the lives of some of the jobs."""
    history = result.history
    there = sum(1 for life in history.lives.values() if life.row)
    claims = sum(len(life.holdings) for life in history.lives.values())
    struck = Counter(strike.fault for strike in result.strikes)
    took = sorted(recovery.took / 1e6 for recovery in recoveries(history))
    done = f"{result.plan.seconds:g} s; all was done {result.quiet_after:.1f} s after the last."
    lines = [
        f"Seed {result.plan.seed}: {there} jobs, {claims} claims, {len(result.strikes)} faults in {done}",
        "Faults: " + ", ".join(f"{name} {number}" for name, number in sorted(struck.items())) + ".",
    ]
    if took:
        lines.append(f"{len(took)} jobs of killed workers were taken back after {took[0]:.1f} to {took[-1]:.1f} s.")
    lines.append(f"The law was broken {len(result.violations)} time(s)." if result.violations else "The law held.")
    for number, violation in enumerate(result.violations):
        lines.append(f"{violation.law} {violation.id}: {violation.what}")
        if violation.id and number < SHOWN:
            lines += [f"    {line}" for line in history.tell(violation.id)]
    if result.violations:
        lines += [f"The same faults again: --seed {result.plan.seed}", "What the processes said last:", result.log]
    return "\n".join(lines)
