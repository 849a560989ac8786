"""The types that users see are complete: what pyright says of the installed package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PUBLIC = {"clock", "context", "errors", "job", "operations", "record", "retry", "scheduler", "store", "task", "worker"}
"""The rooms that users import from. Inside the others a type may be inferred, and mypy --strict looks at it there."""


@pytest.fixture(scope="module")
def symbols():
    """Every exported symbol, with what pyright knows of its type."""
    bin = Path(sys.executable).parent
    # --verifytypes looks at the python on PATH, whatever --pythonpath says (pyright 1.1.414).
    environment = {**os.environ, "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "pyright", "--verifytypes", "goscheds", "--ignoreexternal", "--outputjson"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return [symbol for symbol in json.loads(answer.stdout)["typeCompleteness"]["symbols"] if symbol["isExported"]]


def is_twin(name, names):
    """``apush`` beside ``push``: made by ``goscheds.twins.awaitable``, whose own type says what comes out."""
    owner, _, own = name.rpartition(".")
    return own.startswith("a") and f"{owner}.{own[1:]}" in names


@pytest.mark.slow
def test_every_type_is_known(symbols):
    unknown = [symbol["name"] for symbol in symbols if not symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]]
    assert len(symbols) > 1000
    assert unknown == []


@pytest.mark.slow
def test_every_public_type_is_written_down(symbols):
    names = {symbol["name"] for symbol in symbols}
    inferred = [
        symbol["name"]
        for symbol in symbols
        if any("missing type annotation" in flaw["message"] for flaw in symbol["diagnostics"])
        and symbol["name"].split(".")[1] in PUBLIC
        and not is_twin(symbol["name"], names)
        and not symbol["name"].endswith(".log")
    ]
    assert inferred == []
