"""A virtual environment for each peer, made when it is first asked for, from its pinned requirements."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FOLDER = ROOT / ".venv-peers"
"""Git-ignored, like every ``.venv…``."""


class NotInstalled(Exception):
    """The peer can't be had here; says why."""


def environment(pins: str, python: str) -> Path:
    """The interpreter of an environment that holds what the pins say. Raises NotInstalled."""
    folder = FOLDER / pins
    wanted = (HERE / "pins" / f"{pins}.txt").read_text()
    stamp = folder / ".pins"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {pins}", file=sys.stderr)
        _make(folder, HERE / "pins" / f"{pins}.txt", interpreter(python))
        stamp.write_text(wanted)
    return folder / "bin" / "python"


def _make(folder: Path, pins: Path, python: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [python, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(pins)],
    ):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip, with our own pins
        if ran.returncode:
            raise NotInstalled((ran.stderr or ran.stdout).strip().splitlines()[-1])


def interpreter(least: str) -> str:
    """A Python that is new enough: this one, or another of this machine. Raises NotInstalled."""
    need = tuple(map(int, least.split(".")))
    if sys.version_info[:2] >= need:
        return sys.executable
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python"), reverse=True)
    for candidate in [*(f"python3.{minor}" for minor in range(14, need[1] - 1, -1)), *map(str, pyenv)]:
        code = f"import sys, ensurepip; sys.exit(sys.version_info[:2] < {need})"
        if (
            shutil.which(candidate)
            and not subprocess.run(  # noqa: S603 - Pythons of this machine
                [candidate, "-c", code], capture_output=True, check=False
            ).returncode
        ):
            return candidate
    raise NotInstalled(f"needs Python {least} or later, and there is none here")


def versions(pins: str) -> dict[str, str]:
    """What the pins say, by package."""
    lines = (HERE / "pins" / f"{pins}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)
