"""What a person sees on a terminal: tables in colour that fit, counts that move, bars for what takes long."""

from __future__ import annotations

import itertools
import re
import threading

import pytest
from kit import DEADLINE, until
from terminal import on_a_terminal

from goscheds import Job, Scheduler
from goscheds.cli import progress
from goscheds.cli.demo.files import standard_library

STORE = ("-s", "sqlite:///jobs.db")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def scheduler(tmp_path):
    with Scheduler(f"sqlite:///{tmp_path}/jobs.db") as scheduler:
        yield scheduler


def lines(written: str) -> list[str]:
    return [line.rstrip() for line in CONTROL.sub("", written).splitlines()]


@pytest.mark.slow
class TestTables:
    def test_a_long_line_is_cut_to_the_width_but_for_the_id(self, tmp_path, scheduler):
        id = scheduler.push(Job("a_name_that_is_rather_long_for_a_job_of_this_kind"))
        with on_a_terminal("jobs", *STORE, cwd=tmp_path) as read:
            heading, row = until(lambda: len(seen := lines(read())) == 2 and seen)
        assert heading.startswith("ID ")
        assert row.startswith(f"{id}  a_name_")
        assert "…" in row
        assert "  ready  " in row
        assert len(row) <= 80

    def test_states_have_colours(self, tmp_path, scheduler):
        id = scheduler.push(Job("a"))
        scheduler.cancel(id)
        with on_a_terminal("jobs", *STORE, cwd=tmp_path) as read:
            assert "\x1b[35mcancelled" in until(lambda: "cancelled" in (seen := read()) and seen)

    def test_stats_are_looked_at_again(self, tmp_path, scheduler):
        scheduler.push(Job("a", queue="mail"))
        with on_a_terminal("stats", "--watch", *STORE, cwd=tmp_path) as read:
            until(lambda: "No workers at work." in read())
            assert "paused" not in read()
            scheduler.pause("mail")
            until(lambda: "paused" in read())


@pytest.mark.slow
def test_the_demonstration_draws_a_table_that_changes(tmp_path):
    with on_a_terminal(
        "demo", str(standard_library() / "asyncio"), "--workers", "2", cwd=tmp_path, columns=100
    ) as read:
        until(lambda: "ran twice" in read(), seconds=60)
        seen = CONTROL.sub("", read())
    assert re.search(r"\d+ +0 +killed after \d", seen)
    assert "report" in seen
    assert "due in " in seen
    assert "Every file was counted." in seen


class TestProgress:
    def test_what_is_quick_shows_nothing_and_gives_its_value(self, capsys):
        assert progress.patiently("Working", lambda: 42, lambda: (0, 1)) == 42
        assert capsys.readouterr().err == ""

    def test_what_fails_raises_it(self):
        with pytest.raises(ZeroDivisionError):
            progress.patiently("Working", lambda: 1 // 0, lambda: (0, 1))

    def test_what_takes_long_shows_how_far_it_is(self, monkeypatch, capsys):
        monkeypatch.setattr(progress, "PATIENCE", 0.01)
        monkeypatch.setattr(progress, "LOOK", 0.01)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setenv("FORCE_COLOR", "1")
        looks, looked = itertools.count(), threading.Event()

        def look():
            if next(looks) == 1:  # what it saw before is shown
                looked.set()
            return 30, 100

        assert progress.patiently("Working", lambda: looked.wait(DEADLINE), look)
        shown = CONTROL.sub("", capsys.readouterr().err)
        assert "Working" in shown
        assert "30%" in shown
