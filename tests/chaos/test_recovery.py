"""How long a killed worker's job waits, and the command that measures it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from goscheds.chaos.recovery import Spread, measure, spreads
from goscheds.cli import main

LEASE = 1.0
BOUND = LEASE + 2.0 + 2.0 + 2.0  # a change of the duties' holder, a round, and a busy machine


@pytest.mark.slow
@pytest.mark.parametrize(("trial", "bound"), [("worker", BOUND), ("machine", BOUND), ("duties", 2.0 + 2.0)])
def test_what_a_dead_one_held_goes_on_in_time(tmp_path: Path, trial: str, bound: float):
    (times,) = measure(f"sqlite:///{tmp_path}/jobs.db", trial, LEASE, kills=1).values()
    assert 0 < times[0] < bound


@pytest.mark.slow
def test_a_supervised_worker_s_job_does_not_wait_for_its_lease(tmp_path: Path):
    (times,) = measure(f"sqlite:///{tmp_path}/jobs.db", "child", lease=6.0, kills=2).values()
    assert max(times) < 3.0


def test_times_are_told_in_short():
    assert spreads({"worker": [3.0, 1.0, 2.0]}, 10.0) == [Spread("worker", 10.0, 3, 1.0, 2.0, 3.0)]


@pytest.mark.slow
def test_the_command_says_what_held(tmp_path: Path):
    ran = CliRunner().invoke(main, ["chaos", f"sqlite:///{tmp_path}/jobs.db", "--seconds", "4", "--seed", "3"])
    assert ran.exit_code == 0, ran.output
    assert "The law held." in ran.output


def test_the_command_refuses_a_store_in_one_process():
    ran = CliRunner().invoke(main, ["chaos", "memory://"])
    assert ran.exit_code == 1
    assert "inside one process" in ran.output
