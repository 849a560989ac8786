"""How long a killed worker's job waits, and the command that measures it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from goscheds.chaos.recovery import measure
from goscheds.cli import main

LEASE = 1.0
BOUND = LEASE + 2.0 + 2.0 + 2.0  # a change of the duties' holder, a round, and a busy machine


@pytest.mark.slow
def test_a_killed_workers_job_begins_again_in_time(tmp_path: Path):
    spreads = measure(f"sqlite:///{tmp_path}/jobs.db", LEASE, kills=3)
    assert sum(spread.kills for spread in spreads) == 3
    for spread in spreads:
        assert LEASE / 2 < spread.shortest <= spread.median <= spread.longest < BOUND


@pytest.mark.slow
def test_the_command_says_what_held(tmp_path: Path):
    ran = CliRunner().invoke(main, ["chaos", f"sqlite:///{tmp_path}/jobs.db", "--seconds", "4", "--seed", "3"])
    assert ran.exit_code == 0, ran.output
    assert "The law held." in ran.output


def test_the_command_refuses_a_store_in_one_process():
    ran = CliRunner().invoke(main, ["chaos", "memory://"])
    assert ran.exit_code == 1
    assert "inside one process" in ran.output
