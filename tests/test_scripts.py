"""The scripts, in a folder with a space in its name, by any POSIX shell, with programs that only say their names."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]

RECORDER = """#!/bin/sh
case $* in
    "-c "*) exit 0 ;; # whether it runs, and how old it is
esac
echo "${0##*/} $*" >>"$RECORD"
case $* in
    "-m venv --clear "*) mkdir -p "${4:?}/bin" && cp "$0" "${4:?}/bin/python" && cp "$0" "${4:?}/bin/goscheds" ;;
    *"$FAIL"*) exit 3 ;;
esac
"""

UV = """#!/bin/sh
echo "uv $*" >>"$RECORD"
[ "$1" = venv ] || exit 0
for last; do :; done # the folder of the environment
exec python3 -m venv --clear "${last:?}"
"""


class Clone:
    """A copy of what the scripts need, on a machine that has a shell and a Python."""

    def __init__(self, folder: Path, shell: str) -> None:
        self.folder = folder / "a clone"
        self.shell = shell
        self.programs = folder / "programs"
        self.record = folder / "record"
        shutil.copytree(ROOT / "scripts", self.folder / "scripts")
        for name in ("pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.folder)
        self.programs.mkdir()
        for tool in ("sh", "dirname", "date", "cat", "cksum", "mkdir", "cp"):
            (self.programs / tool).symlink_to(shutil.which(tool))
        self.add("python3", RECORDER)

    def add(self, name: str, text: str) -> None:
        program = self.programs / name
        program.write_text(text)
        program.chmod(0o755)

    def run(
        self, script: str, *arguments: str, fail: str = "nothing", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        self.record.write_text("")
        return subprocess.run(
            [shutil.which(self.shell), self.folder / "scripts" / script, *arguments],
            env={"PATH": str(self.programs), "RECORD": str(self.record), "FAIL": fail, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.programs,
            check=False,
        )

    def ran(self) -> list[str]:
        return self.record.read_text().replace(str(self.folder), "CLONE").splitlines()


@pytest.fixture(params=SHELLS)
def clone(tmp_path, request):
    return Clone(tmp_path, request.param)


def test_the_first_demo_makes_everything_and_the_second_nothing(clone):
    first = clone.run("demo", "--jobs", "a b")
    assert first.returncode == 0, first.stderr
    assert [line.split(" CLONE")[0] for line in clone.ran() if "--version" not in line] == [
        "python3 -m venv --clear",
        "python -m pip install -q --disable-pip-version-check -c constraints.txt -e .",
        "goscheds demo --jobs a b",
    ]
    assert " s." in first.stdout.splitlines()[-1]
    clone.run("demo")
    assert clone.ran() == ["goscheds demo"]


@pytest.mark.parametrize(
    ("arguments", "requirement"),
    [
        (("--store", "redis://localhost"), ".[redis]"),
        (("--store=rediss://localhost",), ".[redis]"),
        (("--store", "valkey://localhost"), ".[redis]"),
        (("--store=postgresql://localhost/x",), ".[postgres]"),
        (("--store", "sqlite:///jobs.db"), "."),
    ],
)
def test_the_demo_installs_what_its_store_needs(tmp_path, arguments, requirement):
    clone = Clone(tmp_path, "sh")
    clone.run("demo", *arguments)
    assert any(line.endswith(f"-c constraints.txt -e {requirement}") for line in clone.ran())


def test_a_change_of_what_is_installed_is_installed(clone):
    clone.run("test")
    assert any(line.endswith("-e .[dev]") for line in clone.ran())
    clone.run("demo", "--store=redis://localhost")
    assert clone.ran() == ["goscheds demo --store=redis://localhost"]  # dev has it all
    with (clone.folder / "constraints.txt").open("a") as constraints:
        constraints.write("more==1\n")
    clone.run("test")
    assert any(line.endswith("-e .[dev]") for line in clone.ran())


def test_uv_is_used_where_it_is(clone):
    clone.add("uv", UV)
    clone.run("demo")
    assert any(line.startswith("uv pip install") for line in clone.ran())
    assert not any("-m pip install" in line for line in clone.ran())


def test_an_existing_environment_is_kept(clone):
    existing = clone.folder / ".venv" / "bin"
    existing.mkdir(parents=True)
    for name in ("python", "goscheds"):
        shutil.copy(clone.programs / "python3", existing / name)
    clone.run("demo")
    assert not any("venv" in line for line in clone.ran())


def test_a_python_that_does_not_run_is_passed_over(clone):
    clone.add("python3", "#!/bin/sh\nexit 127\n")
    clone.add("python3.12", RECORDER)
    clone.run("demo")
    assert any(line.startswith("python3.12 -m venv") for line in clone.ran())


def test_without_a_python_it_says_what_to_do(clone):
    clone.add("python3", "#!/bin/sh\nexit 127\n")
    ran = clone.run("demo")
    assert ran.returncode == 1
    assert "no Python 3.11 or later" in ran.stderr
    assert "PYTHON=" in ran.stderr


def test_a_python_that_was_asked_for_by_name_is_not_replaced(clone):
    ran = clone.run("demo", PYTHON="python2.7")
    assert ran.returncode == 1
    assert "PYTHON=python2.7 does not run" in ran.stderr


def test_all_tests_are_measured_and_their_failure_is_the_scripts(clone):
    ran = clone.run("test", fail="run -m pytest")
    assert ran.returncode == 3
    assert clone.ran()[-4:] == [
        "python -m coverage erase",
        "python -m coverage run -m pytest -n auto --dist worksteal",
        "python -m coverage combine -q",
        "python -m coverage report",
    ]


def test_some_of_the_tests_are_run_unmeasured(clone):
    ran = clone.run("test", "-m", "not slow", fail="-m pytest")
    assert ran.returncode == 3
    assert clone.ran()[-1] == "python -m pytest -n auto --dist worksteal -m not slow"
    assert not any("coverage" in line for line in clone.ran())


@pytest.mark.parametrize("broken", ["ruff check", "ruff format", "mypy", "tests/test_house.py"])
def test_each_check_can_fail_and_none_hides_the_others(tmp_path, broken):
    clone = Clone(tmp_path, "sh")
    assert clone.run("check").returncode == 0
    assert clone.run("check", fail=broken).returncode == 1
    assert len(clone.ran()) == 4


def test_ci_is_a_script_that_parses():
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
