"""Handlers that hang past their timeout: spare slots take their places, up to a bound, and then the worker is worn."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from kit import Tampered, ends, scheduled, until, working
from test_supervisor import application, begun, supervising

from goscheds import Context, Job, Retry, Scheduler, State, Worker

TIMEOUT = timedelta(milliseconds=20)


HANGING = """
    import threading
    from datetime import timedelta
    from pathlib import Path

    from goscheds import Context, Retry, Scheduler

    scheduler = Scheduler("sqlite:///jobs.db")

    @scheduler.job(timeout=timedelta(seconds=0.1), retry=Retry(max_attempts=1))
    def hang() -> None:
        threading.Event().wait()

    @scheduler.job
    def sleep(context: Context) -> None:
        Path(f"began-{context.job.id}-{context.fence}").write_text("1")
"""


class Hanging:
    """A worker of one slot, with a handler that hangs until it is let go."""

    def __init__(self, scheduler: Scheduler, slots: int = 1):
        self.let_go = threading.Event()
        self.scheduler = scheduler
        self.worker = Worker(scheduler, {"default": slots}, grace=timedelta(seconds=5))
        self.worker.register_handler("hang", lambda job: self.let_go.wait())
        self.worker.register_handler("pass", lambda job: threading.current_thread().name)

    def hang(self) -> str:
        return self.scheduler.push(Job("hang", timeout=TIMEOUT, retry=Retry(max_attempts=1)))

    def passes(self) -> str:
        """The thread that ran another job."""
        id = self.scheduler.push(Job("pass"))
        ends(self.scheduler, id)
        return self.scheduler.result(id)


@pytest.fixture
def hanging():
    with scheduled(Tampered()) as scheduler:
        hanging = Hanging(scheduler)
        with working(scheduler, hanging.worker):
            yield hanging
            hanging.let_go.set()


def test_a_spare_slot_takes_the_place_of_one_that_hangs(hanging, caplog):
    id = hanging.hang()
    ends(hanging.scheduler, id, State.DEAD)
    assert hanging.passes() == f"goscheds-default-spare-{id}"
    assert "still runs; a spare slot takes its place" in caplog.text
    assert "should be replaced" not in caplog.text


def test_who_returns_at_last_leaves_the_place_to_its_spare(hanging):
    ends(hanging.scheduler, id := hanging.hang(), State.DEAD)
    hanging.passes()
    hanging.let_go.set()
    until(lambda: "goscheds-default-0" not in {thread.name for thread in threading.enumerate()})
    assert hanging.passes() == f"goscheds-default-spare-{id}"


def test_beyond_as_many_spares_as_slots_the_worker_is_worn(hanging, caplog):
    for _ in range(2):
        ends(hanging.scheduler, hanging.hang(), State.DEAD)
    assert "2 handlers of the queue 'default' hang past their timeout" in until(lambda: caplog.text)
    assert "its slot is taken until it returns" in caplog.text
    waiting = hanging.scheduler.push(Job("pass"))
    assert hanging.scheduler.get(waiting).state is State.READY
    hanging.let_go.set()
    ends(hanging.scheduler, waiting)


def test_a_spare_that_is_needed_no_more_may_be_opened_again(hanging, caplog):
    for _ in range(3):
        ends(hanging.scheduler, hanging.hang(), State.DEAD)
        hanging.passes()
        hanging.let_go.set()
        until(lambda: len([t for t in threading.enumerate() if t.name.startswith("goscheds-default")]) == 1)
        hanging.let_go.clear()
    assert "should be replaced" not in caplog.text


def test_a_handler_that_stops_when_told_keeps_its_slot():
    with scheduled(Tampered()) as scheduler:
        worker = Worker(scheduler, {"default": 1})

        @scheduler.job(timeout=TIMEOUT)
        def obedient(context: Context) -> None:
            until(lambda: context.cancelled)

        @scheduler.job
        def other() -> None: ...

        with working(scheduler, worker):
            for _ in range(3):
                obedient.push()
            ends(scheduler, other.push())
            until(lambda: len([t for t in threading.enumerate() if t.name.startswith("goscheds-default")]) == 1)


@pytest.mark.slow
def test_a_worn_worker_is_replaced_by_its_supervisor(tmp_path):
    app = application(HANGING, tmp_path)
    options = ("--processes", "1", "--queues", "default=1", "--grace", "1s")
    with (
        Scheduler(f"sqlite:///{tmp_path}/jobs.db") as scheduler,
        supervising(app, *options, cwd=tmp_path) as supervised,
    ):
        supervised.serves(1)
        for _ in range(2):
            scheduler.push(Job("hang", timeout=timedelta(seconds=0.1)))
        supervised.says(r"is replaced: 2 handlers of the queue 'default' hang past their timeout")
        supervised.serves(2)
        begun(tmp_path, scheduler.push(Job("sleep")))
        supervised.says(r"exited with status 0")
