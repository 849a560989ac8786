"""The page for store authors runs: its plugin serves a store, its bindings hold, and its last example verifies it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from goscheds.contract import PARTS
from goscheds.store import Capability

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "writing-a-store.md").read_text()
BLOCKS = re.findall(r"(?:^`([\w/]+\.py)`:\n\n)?^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

METADATA = tomllib.loads(re.search(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1])["project"]


@pytest.fixture
def package(tmp_path):
    (tmp_path / "shelf").mkdir()
    (tmp_path / "tests").mkdir()
    names = iter(("tests/test_fixtures.py", "verifying.py"))
    for name, source in BLOCKS:
        (tmp_path / (name or next(names))).write_text(source)
    installed = tmp_path / "goscheds_shelf-1.0.dist-info"  # as installing the package leaves it
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: goscheds-shelf\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        f"[goscheds]\nshelf = {METADATA['entry-points']['goscheds']['shelf']}\n"
    )
    return tmp_path


def run(package: Path, *args: str) -> str:
    ran = subprocess.run(
        [sys.executable, *args],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_its_bindings_hold(package):
    out = run(
        package, "-m", "pytest", "-q", "--strict-markers", "-W", "error", "-m", "not slow", "-k", "p3 or u1 or Fall"
    )
    assert re.search(r"\d passed", out)


@pytest.mark.slow
def test_its_last_example_verifies_the_store(package):
    told = run(package, "verifying.py").splitlines()
    assert [line.split()[:2] for line in told] == [["P3", "held"], ["U2", "held"]]


def test_it_names_every_part_of_the_contract_and_every_capability():
    for name in (*PARTS, *(capability.name for capability in Capability)):
        assert f"`{name}`" in PAGE
