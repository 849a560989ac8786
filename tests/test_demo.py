"""``goscheds demo``: that it counts every file on every store, kills a worker that holds jobs, and leaves nothing."""

from __future__ import annotations

import os
import re
import secrets
import signal
import sysconfig
from pathlib import Path

import psutil
import pytest
from kit import DEADLINE, plugged, until
from msgspec import to_builtins
from msgspec.structs import replace
from terminal import printed, process, refused, run

from goscheds import Job, Scheduler, State
from goscheds.cli.demo.files import Measure, Totals, as_argument, files_in, measure, standard_library
from goscheds.cli.demo.journal import Journal, Reading
from goscheds.cli.demo.scene import Strike
from goscheds.cli.demo.verdict import Evidence, problems, tell
from goscheds.clock import EPOCH
from goscheds.job import JobInfo
from goscheds.plugins import hookimpl
from goscheds.store import Capability

FILES = 60
ONE = Measure(6, 1, 2, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")


@pytest.fixture
def library(tmp_path):
    """Real files: some of the standard library's own, and two with names that are hard to carry."""
    directory = tmp_path / "library"
    directory.mkdir()
    for path in sorted(standard_library().glob("*.py"))[: FILES - 2]:
        (directory / path.name).write_bytes(path.read_bytes())
    (directory / "spaced ünïcode 100%.txt").write_text("hello\n")
    (directory / os.fsdecode(b"not utf-8 \xff")).write_text("hello\n")
    return directory


def plays(library: Path, *words: str, **environment: str) -> str:
    """What the demonstration prints."""
    with process("demo", str(library), *words, cwd=library.parent, **environment) as demo:
        told, errors = demo.communicate(timeout=4 * DEADLINE)
        assert demo.returncode == 0, told + errors
    return told


def all_is_well(told: str) -> None:
    killed = re.search(r"worker \d+: killed after [\d.]+ s, holding (\d+)", told)
    assert killed
    assert f"taken back {killed[1]} of {killed[1]}" in told
    assert f"  {FILES} files, " in told
    assert re.search(r"The report began [\d.]+ m?s after its moment", told)
    assert "A plain loop over the same files says the same, file by file. Every file was counted.\n" in told
    again = re.search(r"\d+ ran twice: .*\b(\d+) after their worker was killed", told)
    assert again
    assert int(again[1]) <= int(killed[1])


@pytest.mark.slow
class TestDemo:
    def test_on_a_file_of_its_own(self, library, tmp_path):
        all_is_well(plays(library, TMPDIR=str(tmp_path)))
        assert list(tmp_path.iterdir()) == [library]

    @pytest.mark.parametrize("server", ["redis", "postgres"])
    def test_on_a_server_in_a_namespace_that_is_erased(self, library, request, monkeypatch, server):
        url, name = request.getfixturevalue(f"{server}_url"), secrets.token_hex(4)
        monkeypatch.setattr("goscheds.cli.demo.secrets.token_hex", lambda _: name)
        all_is_well(printed("demo", str(library), "--store", url, "--workers", "2"))
        with Scheduler(url, f"demo-{name}") as scheduler:
            assert scheduler.counts().jobs == {}
            assert scheduler.workers() == []

    def test_an_interruption_clears_everything_away(self, library, tmp_path):
        with process("demo", str(library), cwd=tmp_path, TMPDIR=str(tmp_path)) as demo:
            workers = _workers(demo.pid)
            demo.send_signal(signal.SIGINT)
            _, errors = demo.communicate(timeout=DEADLINE)
            assert (demo.returncode, errors) == (1, "Error: Interrupted.\n")
        assert not any(worker.is_running() for worker in workers)
        assert list(tmp_path.iterdir()) == [library]

    def test_no_worker_outlives_a_demonstration_that_was_killed(self, library, tmp_path):
        with process("demo", str(library), cwd=tmp_path, TMPDIR=str(tmp_path)) as demo:
            workers = _workers(demo.pid)
            demo.kill()
            _, left = psutil.wait_procs(workers, DEADLINE)
        assert left == []


def _workers(demo: int) -> list[psutil.Process]:
    """The demonstration's worker processes, once they are all there and at work."""
    process = psutil.Process(demo)
    workers = until(lambda: len(children := process.children()) == 3 and children)
    until(lambda: all(worker.num_threads() > 1 for worker in workers))
    return workers


def test_needs_a_store_that_processes_share(library):
    assert "lives inside one process" in refused("demo", str(library), "--store", "memory://")


def test_workers_that_do_not_start_are_said_with_their_log(library, monkeypatch):
    monkeypatch.setattr("goscheds.cli.demo.crowd.APP", "not_here:scheduler")
    failed = run("demo", str(library))
    assert failed.exit_code == 1
    *log, last = failed.stderr.splitlines()
    assert last == "Error: The workers do not go on. The end of their log stands above."
    assert "There is no module 'not_here'" in log[-1]


def test_needs_a_store_that_can_forget(library):
    class Stores:
        @hookimpl
        def goscheds_stores(self):
            return {"everlasting": lambda url, namespace: Everlasting()}

    with plugged(Stores()):
        assert "can't erase a namespace" in refused("demo", str(library), "--store", "everlasting://")


class Everlasting:
    """A store that processes share, and that does not erase."""

    capabilities = frozenset({Capability.PROCESSES})

    def open(self) -> None: ...

    def close(self) -> None: ...


def test_needs_files(tmp_path):
    assert refused("demo", str(tmp_path)) == f"There are no readable files in {tmp_path}."


class TestFiles:
    def test_the_standard_library_is_its_own_files_alone(self):
        assert standard_library() == Path(sysconfig.get_paths()["stdlib"])
        files = files_in(standard_library())
        assert as_argument(standard_library() / "asyncio" / "base_events.py") in files
        assert not any("site-packages" in path or "__pycache__" in path for path in files)

    def test_a_file_is_counted_as_wc_and_sha256sum_count_it(self, tmp_path):
        (tmp_path / "a b").write_bytes(b"hello\n")
        assert files_in(tmp_path) == [as_argument(tmp_path / "a b")]
        assert measure(as_argument(tmp_path / "a b")) == replace(ONE, words=1)

    def test_any_name_makes_the_way_there_and_back(self, library):
        assert len(files_in(library)) == FILES
        assert all(path.isascii() for path in files_in(library))
        assert Totals.of({path: measure(path) for path in files_in(library)}).files == FILES

    def test_totals(self):
        totals = Totals.of({"b": ONE, "a": ONE})
        assert (totals.files, totals.size, totals.lines, totals.words) == (2, 12, 2, 4)
        assert totals == Totals.of({"a": ONE, "b": ONE})
        assert totals != Totals.of({"a": ONE, "c": ONE})


def test_the_journal_tells_what_began_and_what_failed(tmp_path):
    reading = Reading(tmp_path / "journal")
    first, second = Journal(tmp_path / "journal"), Journal(tmp_path / "journal")
    first.began("a")
    reading.read_on()
    second.began("a")
    second.failed("b")
    first.reported(2300)
    second.reported(9999)
    reading.read_on()
    reading.close()
    assert (reading.runs, reading.failed, reading.late) == ({"a": 2}, {"b"}, 2300)


class TestVerdict:
    def test_all_is_well(self, capsys):
        assert list(problems(EVIDENCE)) == []
        tell(EVIDENCE)
        assert capsys.readouterr().out.splitlines()[-2:] == [
            "A plain loop over the same files says the same, file by file. Every file was counted.",
            "3 ran twice: 1 after failing on purpose, 1 after their worker was killed, 1 after a lease that ran out.",
        ]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"counted": {"a": ONE}}, "1 of 2 files were not counted: b"),
            ({"plain": {"a": ONE, "b": replace(ONE, size=7)}}, "1 files were counted differently"),
            ({"late": -1}, "The report began too early."),
            ({"late": None}, "The report left no trace of its beginning."),
            ({"strike": None}, "No worker could be killed while it held jobs."),
        ],
    )
    def test_whatever_is_missing_is_said(self, change, said, capsys):
        evidence = replace(EVIDENCE, **change)
        assert any(problem.startswith(said) for problem in problems(evidence))
        tell(evidence)
        assert f"Error: {said}" in capsys.readouterr().err

    def test_a_report_that_lies(self):
        lie = replace(EVIDENCE, report=_report(Totals.of({"a": ONE})))
        assert "The report's totals are not the sum of what was counted." in problems(lie)

    def test_a_report_that_did_not_come(self):
        dead = replace(EVIDENCE, report=_report(None, State.DEAD))
        assert "The report ended dead: why" in problems(dead)


def _report(totals: Totals | None, state: State = State.DONE) -> JobInfo:
    return JobInfo(Job("report"), state, 1, "", 0, 0, "why", "", EPOCH, EPOCH, to_builtins(totals), cancelling=False)


EVIDENCE = Evidence(
    counted={"a": ONE, "b": ONE},
    plain={"a": ONE, "b": ONE},
    report=_report(Totals.of({"a": ONE, "b": ONE})),
    strike=Strike("w", 1, 1.0, frozenset({"k", "unbegun"})),
    runs={"once": 1, "f": 2, "k": 2, "o": 2},
    failed=frozenset({"f"}),
    late=2300,
)
