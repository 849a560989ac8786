"""Verify a store by its URL: the engine of ``goscheds verify``.

The suite runs in a process of its own, so that neither pytest's machinery nor a store that breaks touches the caller.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING
from uuid import uuid4

import msgspec

from goscheds.contract.laws import LAWS
from goscheds.errors import ConfigError, GoschedsError
from goscheds.plugins import open_store
from goscheds.store import Erasable

if TYPE_CHECKING:  # it imports pytest, which is not installed everywhere
    from goscheds.contract.report import Finding, Rule

NEEDED = ("pytest", "hypothesis", "pytest_timeout")
REPORTED = (0, 1)  # pytest's exit codes: all passed, some failed


class Order(msgspec.Struct):
    """What the process is to do."""

    url: str
    laws: list[str]


def verify(
    url: str, laws: Collection[str] = tuple(LAWS), progress: Callable[[Finding], None] = lambda _: None
) -> list[Rule]:
    """Try the law on a store; rule by rule what held. ``progress`` hears of each test as it ends.

    The jobs live in namespaces of their own, which are erased where the store is ``Erasable``. Raises ConfigError if
    the URL or a law is not known or the extra ``contract`` is not installed, and StoreUnavailable if the store does not
    answer.
    """
    _check(url, laws)
    from goscheds.contract.report import Finding, rules  # noqa: PLC0415 - it imports pytest

    findings: list[Finding] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "log").open("w+b") as log,
        _process(log, folder) as process,
    ):
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(msgspec.json.encode(Order(url, sorted(laws))))
            process.stdin.close()
            for line in process.stdout:
                findings.append(msgspec.json.decode(line, type=Finding))
                progress(findings[-1])
        except BaseException:
            process.send_signal(signal.SIGINT)  # pytest then ends the processes that it started
            raise
        if process.wait() not in REPORTED or not findings:
            log.seek(0)
            raise GoschedsError(f"The contract did not run to its end:\n{log.read().decode(errors='replace')[-4000:]}")
    return rules(findings, laws)


def _check(url: str, laws: Collection[str]) -> None:
    if unknown := sorted(set(laws) - set(LAWS)):
        raise ConfigError(f"There is no law {', '.join(unknown)}. The laws are {', '.join(LAWS)}.")
    if missing := [name for name in NEEDED if not find_spec(name)]:
        raise ConfigError(
            f"The contract needs {', '.join(missing)}. Install what it needs with: pip install 'goscheds[contract]'"
        )
    store = open_store(url, f"contract-{uuid4().hex[:12]}")
    store.open()
    if isinstance(store, Erasable):
        store.erase()
    store.close()


def _process(log: IO[bytes], folder: str) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "HYPOTHESIS_STORAGE_DIRECTORY": folder,  # it would leave its own in the caller's directory
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "goscheds.contract.verify"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
    )


def main() -> int:
    """Take an order from standard input, and say on standard output what was found, line by line."""
    from goscheds.contract.processes import register_plugins  # noqa: PLC0415 - the caller has no use for it
    from goscheds.contract.report import examine  # noqa: PLC0415 - it imports pytest

    register_plugins()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # whatever the tests and pytest print is for the log

        def say(finding: Finding) -> None:
            out.write(msgspec.json.encode(finding) + b"\n")
            out.flush()

        return examine(order.url, order.laws, say)


if __name__ == "__main__":
    sys.exit(main())
