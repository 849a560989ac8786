"""The benchmark: what its figures say, that it takes them from real jobs, and that it leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from goscheds.bench.figures import BenchFailed, Figure, Report, Spread, nearest
from goscheds.bench.hands import gathered
from goscheds.bench.latency import first_starts
from goscheds.bench.meters import between
from goscheds.bench.parts import PARTS, measure
from goscheds.bench.picture import _Linear, _Log
from goscheds.bench.plan import Plan, Style
from goscheds.bench.plot import SHOWN, plot
from goscheds.bench.site import site
from goscheds.bench.stock import ELSEWHERE
from goscheds.bench.throughput import lasted
from goscheds.errors import ConfigError
from goscheds.record import State
from goscheds.scheduler import Scheduler

SMALL = Plan(jobs=300, samples=10, spread=10, seconds=0.3, processes=(1,))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.mark.parametrize(
    ("count", "part", "at"), [(1, 0.5, 0), (100, 0.5, 49), (100, 0.99, 98), (100, 1.0, 99), (3, 0.5, 1), (10, 0.95, 9)]
)
def test_a_percentile_is_the_nearest_value_that_occurred(count, part, at):
    assert nearest(range(count), part) == at


def test_a_spread_is_in_milliseconds():
    assert Spread.of([3_000_000, 1_000_000, 2_000_000]) == Spread(2.0, 3.0, 3.0, 3.0)


def test_a_job_that_ran_twice_counts_from_its_first_start():
    assert first_starts([[(1, 50), (2, 70)], [(1, 40)]]) == {1: 40, 2: 70}


def test_a_drain_lasts_from_the_first_start_to_the_last_over_all_workers():
    assert lasted([[(1, 50), (2, 70)], [(3, 40)]]) == 30


def test_a_meter_that_the_first_reading_did_not_have_is_left_out():
    assert between({"commands": 10.0}, {"commands": 30.0, "new": 5.0}, "job", 4) == {"commands/job": 5.0}


@pytest.mark.slow
@pytest.mark.parametrize("part", [part for part in PARTS if part != "idle"])
def test_every_part_has_figures_on_a_store_of_one_process(part):
    report = measure("memory://", SMALL, [part])
    assert report.figures
    for figure in report.figures:
        assert figure.rate > 0 or figure.spread
        assert figure.also.get("early", 0) == 0


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_figures_with_worker_processes(part, url):
    figures = measure(url, SMALL, [part]).figures
    assert len(figures) == (2 if part in ("drain", "steady", "pickup") else 1)


@pytest.mark.parametrize("style", Style)
def test_every_job_runs_once_and_is_done(url, style):
    with site(url, SMALL, style) as place:
        place.push(30)
        with place.hands(2) as hands:
            hands.begin()
            hands.wait(30)
            ran = sorted(n for notes in hands.end() for n, _ in notes)
        assert ran == list(range(30))
        assert place.scheduler.counts().jobs == {("default", State.DONE): 30}


def test_nothing_is_left_behind(url):
    with site(url, SMALL) as place:
        place.push(10)
        namespace = place.scheduler.namespace
    with Scheduler(url, namespace) as after:
        assert after.counts().jobs == {}


def test_a_history_and_a_backlog_stand_where_no_worker_looks(url):
    with site(url, replace(SMALL, history=30, backlog=21)) as place:
        assert place.scheduler.counts().jobs == {
            (ELSEWHERE, State.DONE): 30,
            (ELSEWHERE, State.READY): 10,
            (ELSEWHERE, State.SCHEDULED): 11,
        }


def test_a_picture_has_a_row_for_each_figure_and_no_markup_of_others():
    spread = Spread(0.0, 2.0, 30.0, 400.0)
    figures = [Figure("drain", "<b>&", 10, 5.0), Figure("pickup", "one", spread=spread), Figure("idle", "none")]
    drawn = ET.fromstring(plot(Report("memory://", "1", "2", "3", 4, figures)))  # noqa: S314 - it was drawn here
    words = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"drain, <b>&", "pickup, one", "idle, none"} & {*words} == {"drain, <b>&", "pickup, one"}
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) == 2 * len(SHOWN)  # the legend's and the row's


@pytest.mark.parametrize(("values", "ends"), [((0.0, 3.0), (0.1, 10)), ((250.0,), (100, 1000)), ((5e7,), (1e6, 1e7))])
def test_a_logarithmic_scale_has_whole_decades_around_what_it_shows(values, ends):
    ticks = _Log(values).ticks()
    assert (ticks[0], ticks[-1]) == pytest.approx(ends)


@pytest.mark.parametrize(("most", "last"), [(8, 8), (9_500, 10_000), (50_833, 60_000), (0.3, 0.3), (100_000, 100_000)])
def test_a_linear_scale_ends_at_a_round_number(most, last):
    assert _Linear([0, most]).ticks()[-1] == pytest.approx(last)


def test_a_store_that_cannot_erase_is_refused(monkeypatch):
    monkeypatch.setattr("goscheds.bench.site.Erasable", type("AnotherAbility", (), {}))
    with pytest.raises(ConfigError, match="can't erase a namespace"):
        measure("memory://", SMALL, ["bulk"])


def test_a_worker_that_dies_is_told_of(url):
    with site(url, SMALL) as place:
        hired = []

        def hire():
            hired.append(place._hire())
            return hired[-1]

        with gathered(hire, 1) as hands:
            hired[0].close()
            with pytest.raises(BenchFailed, match="ended by itself"):
                hands.wait(1)


def test_the_command_prints_json_and_draws(tmp_path):
    picture = tmp_path / "figures.svg"
    sizes = ("--jobs", "1000", "--history", "50", "--plot", str(picture))
    options = ("--part", "drain", *sizes, "--style", "async", "--processes", "1,2", "--json")
    command = [sys.executable, "-m", "goscheds", "bench", "memory://", *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(ran.stdout)
    assert [figure["setting"] for figure in report["figures"]] == ["async, 1 worker"]
    assert report["figures"][0]["rate"] > 0
    assert "drain, async, 1 worker" in picture.read_text()
