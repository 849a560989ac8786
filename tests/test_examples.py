"""Every program in examples/ runs, and says what it should."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from kit import DEADLINE, until
from terminal import process

EXAMPLES = Path(__file__).parent.parent / "examples"


def says(example: str, directory: Path) -> list[str]:
    """What an example prints, line by line, in a directory of its own."""
    ran = subprocess.run(
        [sys.executable, EXAMPLES / example],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=4 * DEADLINE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_every_example_has_a_test():
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"first.py", "explicit.py", "async_handlers.py", "web.py"}


def test_first(tmp_path):
    said = says("first.py", tmp_path)
    assert said[0] == "Hello, world!"
    assert said[1] in ("scheduled", "done")


def test_explicit(tmp_path):
    assert says("explicit.py", tmp_path) == [
        "0.png done 0.png is 100 wide",
        "1.png done 1.png is 200 wide",
        "2.png dead a picture has a width",
        "resized: 2",
    ]


@pytest.mark.slow
def test_async_handlers(tmp_path):
    primes, pages = says("async_handlers.py", tmp_path)
    assert primes == "1229 primes below 10,000"
    assert pages.startswith("100 pages, ")
    assert int(pages.split()[2]) > 1


@pytest.mark.slow
def test_web(tmp_path):
    with _serving(tmp_path) as ask, process("worker", "web", cwd=tmp_path, PYTHONPATH=str(EXAMPLES)) as worker:
        status, accepted = ask("POST", "/receipts?order=7")
        assert status == 202
        done = until(lambda: (answer := ask("GET", f"/jobs/{accepted['job']}")[1])["state"] == "done" and answer)
        assert done == {"state": "done", "result": "receipt 7 sent", "error": ""}
        assert ask("POST", "/receipts?order=seven")[0] == 400
        assert ask("POST", "/receipts")[0] == 400
        assert ask("GET", "/jobs/nope")[0] == 404
        assert ask("GET", "/nope")[0] == 404
        worker.terminate()
        assert worker.wait(DEADLINE) == 0


@contextmanager
def _serving(directory: Path) -> Iterator[Callable[[str, str], tuple[int, dict[str, str]]]]:
    command = [sys.executable, EXAMPLES / "web.py", "0"]
    with subprocess.Popen(
        command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        address = server.stdout.readline().strip().removeprefix("http://")

        def ask(method: str, path: str) -> tuple[int, dict[str, str]]:
            with closing(HTTPConnection(address, timeout=DEADLINE)) as connection:
                connection.request(method, path)
                answer = connection.getresponse()
                return answer.status, json.load(answer)

        try:
            yield ask
        finally:
            server.terminate()
