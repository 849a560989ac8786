"""The contract's processes end with the test that started them, however it ends."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import os, signal, sys
from goscheds.contract.processes import Actors

actor = Actors(sys.argv[1], "test", dict(os.environ)).start("churn", worker="orphan", lease=60.0)
actor.hear()
print(actor._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_process_whose_test_was_killed_ends_by_itself(tmp_path):
    url = f"sqlite:///{tmp_path}/jobs.db"
    with subprocess.Popen([sys.executable, "-c", PARENT, url], stdout=subprocess.PIPE, text=True) as parent:
        orphan = Path("/proc") / parent.stdout.readline().strip()
    until = time.monotonic() + 10
    while orphan.exists() and "State:\tZ" not in (orphan / "status").read_text():
        assert time.monotonic() < until
        time.sleep(0.01)
