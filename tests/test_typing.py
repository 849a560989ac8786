"""The types that users see, as mypy and pyright see them: what both accept, and what both refuse and why."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "typing"
MYPY_ERROR = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<rule>[a-z-]+)\]$", re.MULTILINE)
REFUSED = re.compile(r"# refused: (?P<mypy>[a-z, -]+) \| (?P<pyright>[A-Za-z, ]+)$")

Complaints = dict[int, set[str]]
"""The rules broken, by line."""


def mypy(file: Path) -> Complaints:
    """What mypy complains of, at its strictest; it reads goscheds as a user's would, by its py.typed."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", str(file)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stderr == ""
    complaints: Complaints = defaultdict(set)
    for match in MYPY_ERROR.finditer(found.stdout):
        assert Path(match["file"]).name == file.name, found.stdout
        complaints[int(match["line"])].add(match["rule"])
    assert bool(complaints) == bool(found.returncode), found.stdout
    return dict(complaints)


def pyright(file: Path) -> Complaints:
    """What pyright complains of; strictly, where the file says so."""
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", str(file)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    complaints: Complaints = defaultdict(set)
    for told in json.loads(found.stdout)["generalDiagnostics"]:
        complaints[told["range"]["start"]["line"] + 1].add(told["rule"])
    return dict(complaints)


def expected(file: Path, checker: str) -> Complaints:
    """What the comments say."""
    lines = enumerate(file.read_text().splitlines(), 1)
    return {line: set(match[checker].split(", ")) for line, text in lines if (match := REFUSED.search(text))}


CHECKERS = pytest.mark.parametrize("checker", [mypy, pyright], ids=lambda checker: checker.__name__)


@pytest.mark.slow
@CHECKERS
def test_what_users_write_is_accepted(checker):
    assert checker(CASES / "accepted.py") == {}


@pytest.mark.slow
@CHECKERS
def test_what_can_not_work_is_refused(checker):
    file = CASES / "refused.py"
    assert len(expected(file, checker.__name__)) > 30
    assert checker(file) == expected(file, checker.__name__)
