"""What the tests of the command line share: commands called in this process, and applications in a directory."""

from __future__ import annotations

import itertools
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import dedent

from click.testing import CliRunner, Result

from goscheds.cli import main

USAGE = 2
_names = itertools.count()


def run(*words: str, **environment: str) -> Result:
    """Call the command line in this process, with no store in the environment but the one told."""
    clean = {"GOSCHEDS_STORE": None, "GOSCHEDS_NAMESPACE": None, **environment}
    return CliRunner().invoke(main, words, env=clean, prog_name="goscheds")


def printed(*words: str) -> str:
    """What a command that succeeds prints."""
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str, status: int = 1) -> str:
    """The one line in which a command fails; usage errors have the usage above it."""
    result = run(*words)
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    line = result.stderr.splitlines()[-1]
    assert line.startswith("Error: ")
    if status != USAGE:
        assert result.stderr.count("\n") == 1
    return line.removeprefix("Error: ")


def application(source: str, directory: Path) -> str:
    """Write a module in ``directory``, under a name that was never imported; its name."""
    name = f"app{next(_names)}_of_{os.getpid()}"
    (directory / f"{name}.py").write_text(dedent(source))
    return name


@contextmanager
def on_a_terminal(*words: str, cwd: Path, columns: int = 80) -> Iterator[Callable[[], str]]:
    """Run the command line on a terminal of its own; what gives all that it has written so far. Ctrl-C ends it."""
    ours, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "40", "TERM": "xterm-256color"}
    running = subprocess.Popen(
        [sys.executable, "-m", "goscheds", *words], cwd=cwd, env=environment, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    written = bytearray()

    def read() -> str:
        with suppress(OSError):  # EIO: the program has ended
            while select.select([ours], [], [], 0.05)[0]:
                written.extend(os.read(ours, 65536))
        return written.decode()

    try:
        yield read
    finally:
        running.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            running.wait(5)
        running.kill()
        running.wait()
        os.close(ours)


@contextmanager
def process(*words: str, cwd: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command line in a process of its own; it is dead when the block ends."""
    running = subprocess.Popen(
        [sys.executable, "-m", "goscheds", *words],
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()
