"""``goscheds worker`` and ``goscheds scheduler`` as processes: what they run, what they log, how they end."""

from __future__ import annotations

import json
import re
import signal
import time
from datetime import timedelta

import pytest
from kit import DEADLINE, ends, until
from terminal import USAGE, application, process, refused

from goscheds import Job, Scheduler, State

LEASE = 1.0

APP = """
    import asyncio
    import time
    from pathlib import Path

    from goscheds import Context, Scheduler

    scheduler = Scheduler("sqlite:///jobs.db")

    @scheduler.job
    def sleep(seconds: float, context: Context) -> str:
        Path(f"began-{context.job.id}-{context.fence}").touch()
        time.sleep(seconds)
        return "slept"

    @scheduler.job(queue="async")
    async def nap(seconds: float, context: Context) -> str:
        Path(f"began-{context.job.id}-{context.fence}").touch()
        await asyncio.sleep(seconds)
        return "napped"
"""


@pytest.fixture
def app(tmp_path):
    return application(APP, tmp_path)


@pytest.fixture
def scheduler(tmp_path):
    with Scheduler(f"sqlite:///{tmp_path}/jobs.db") as scheduler:
        yield scheduler


def push(scheduler: Scheduler, name: str = "sleep", queue: str = "default", seconds: float = 0) -> str:
    return scheduler.push(Job(name, {"seconds": seconds}, queue=queue))


def begins(tmp_path, id: str, fence: int = 1) -> None:
    until((tmp_path / f"began-{id}-{fence}").exists, f"job {id} to begin")


def logged(worker, status: int = 0) -> str:
    """What it logged, once it has ended by itself."""
    _, log = worker.communicate(timeout=DEADLINE)
    assert worker.returncode == status, log
    return log


class TestWorker:
    @pytest.mark.slow
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_drains(self, tmp_path, app, scheduler, number):
        jobs = [push(scheduler, seconds=1), push(scheduler, "nap", "async", seconds=1)]
        with process("worker", app, cwd=tmp_path) as worker:
            for id in jobs:
                begins(tmp_path, id)
            worker.send_signal(number)
            log = logged(worker)
        assert {scheduler.get(id).state for id in jobs} == {"done"}
        lines = log.splitlines()
        assert all(
            re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d INFO    Worker ", line) for line in lines
        )
        assert "serves default (8), async (100) at sqlite:///jobs.db." in lines[0]
        assert lines[-1].endswith("has stopped.")

    @pytest.mark.slow
    def test_a_second_signal_leaves_at_once_and_gives_back(self, tmp_path, app, scheduler):
        jobs = [push(scheduler, seconds=60), push(scheduler, "nap", "async", seconds=60)]
        with process("worker", app, cwd=tmp_path) as worker:
            for id in jobs:
                begins(tmp_path, id)
            worker.terminate()
            until(lambda: "stops" in worker.stderr.readline())
            worker.terminate()
            began = time.monotonic()
            logged(worker)
        assert time.monotonic() - began < DEADLINE / 2
        assert [(scheduler.get(id).state, scheduler.get(id).attempts) for id in jobs] == [("ready", 0)] * 2

    @pytest.mark.slow
    def test_what_runs_longer_than_the_grace_period_is_given_back(self, tmp_path, app, scheduler):
        id = push(scheduler, seconds=60)
        with process("worker", app, "--grace", "100ms", cwd=tmp_path) as worker:
            begins(tmp_path, id)
            worker.terminate()
            logged(worker)
        assert scheduler.get(id).state == "ready"

    @pytest.mark.slow
    def test_a_killed_one_loses_its_jobs_to_another(self, tmp_path, app, scheduler):
        id = push(scheduler, seconds=2)
        with process("worker", app, "--lease", f"{LEASE:g}s", cwd=tmp_path) as first:
            begins(tmp_path, id)
            first.kill()
        with process("worker", app, "--lease", f"{LEASE:g}s", cwd=tmp_path) as second:
            begins(tmp_path, id, fence=3)  # recovery is a claim of its own, the second
            ends(scheduler, id)
            second.terminate()
            logged(second)
        assert scheduler.get(id).crashes == 1

    @pytest.mark.slow
    def test_only_the_queues_that_it_is_given(self, tmp_path, app, scheduler):
        other, mine = push(scheduler), push(scheduler, queue="mail")
        with process("worker", app, "--queues", "mail=2", cwd=tmp_path) as worker:
            ends(scheduler, mine)
            (seen,) = scheduler.workers()
            assert json.loads(seen.info)["queues"] == {"mail": 2}
            worker.terminate()
            assert "No slots here for async, default" in logged(worker)
        assert scheduler.get(other).state == "ready"

    @pytest.mark.slow
    def test_logs_json_if_asked_to(self, tmp_path, app, scheduler):
        id = scheduler.push(Job("sleep", {"seconds": "long"}))
        with process("worker", app, "--log-json", cwd=tmp_path) as worker:
            ends(scheduler, id, State.DEAD)
            worker.terminate()
            lines = [json.loads(line) for line in logged(worker).splitlines()]
        assert [line["level"] for line in lines] == ["info", "error", "info", "info"]
        assert {line["logger"] for line in lines} == {"goscheds"}
        assert id in lines[1]["message"]

    @pytest.mark.slow
    def test_no_more_than_the_level_asked_for(self, tmp_path, app):
        with process("worker", app, "--log-level", "error", cwd=tmp_path) as worker:
            with Scheduler(f"sqlite:///{tmp_path}/jobs.db") as scheduler:
                until(scheduler.workers)
            worker.terminate()
            assert logged(worker) == ""

    @pytest.mark.slow
    def test_warns_of_what_hardly_was_meant(self, tmp_path):
        name = application("from goscheds import Scheduler\nscheduler = Scheduler('memory://')", tmp_path)
        with process("worker", name, cwd=tmp_path) as worker:
            first, second = worker.stderr.readline(), worker.stderr.readline()
            worker.terminate()
            worker.wait(DEADLINE)
        assert f"WARNING {name} has no handlers: decorate functions with @scheduler.job" in first
        assert "WARNING memory:// lives in this process" in second

    @pytest.mark.parametrize("words", [[], ["sqlite:///jobs.db"]])
    def test_needs_the_handlers_and_says_so(self, words):
        assert "goscheds worker app:scheduler" in refused("worker", *words, status=USAGE)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--queues", "mail=x"], "Write mail=8,reports=1."),
            (["--lease", "10"], "It needs a unit"),
            (["--log-level", "loud"], "is not one of"),
        ],
    )
    def test_what_was_mistyped_is_said(self, app, words, said):
        assert said in refused("worker", app, *words, status=USAGE)

    @pytest.mark.slow
    def test_a_store_that_is_not_there_ends_it_in_one_line(self, tmp_path):
        name = application("from goscheds import Scheduler\nit = Scheduler('redis://a:geheim@127.0.0.1:1')", tmp_path)
        with process("worker", name, cwd=tmp_path) as worker:
            *_, last = logged(worker, status=1).splitlines()
        assert last.startswith("Error: redis://a:***@127.0.0.1:1 did not answer")


class TestScheduler:
    @pytest.mark.slow
    def test_does_the_duties_for_a_url_and_nothing_else(self, tmp_path, scheduler):
        id = scheduler.push_in(timedelta(milliseconds=500), Job("sleep"))
        with process("scheduler", "sqlite:///jobs.db", cwd=tmp_path) as duties:
            ends(scheduler, id, State.READY)
            duties.terminate()
            assert "the duties alone for namespace 'goscheds' at sqlite:///jobs.db." in logged(duties)

    @pytest.mark.slow
    def test_the_store_may_stand_in_the_environment(self, tmp_path, scheduler):
        id = scheduler.push_in(timedelta(milliseconds=500), Job("sleep"))
        with process("scheduler", cwd=tmp_path, GOSCHEDS_STORE="sqlite:///jobs.db") as duties:
            ends(scheduler, id, State.READY)
            duties.terminate()
            logged(duties)

    def test_needs_a_store(self):
        assert "Which store? Give app:scheduler" in refused("scheduler", status=USAGE)
