from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest
from kit import heard, scheduled

from goscheds.codec import to_json
from goscheds.context import Context
from goscheds.errors import BadArguments, JobCancelled
from goscheds.execution import Loading
from goscheds.job import Job
from goscheds.record import Record
from goscheds.worker import Worker


@pytest.fixture
def context() -> Context:
    return Context(lambda: Job("greet", {"name": "Ada"}), attempt=2, fence=3, worker="w")


def test_it_knows_the_run(context):
    assert (context.attempt, context.fence, context.worker) == (2, 3, "w")


def test_the_job_is_read_once_and_only_when_asked_for():
    read = []
    context = Context(lambda: read.append(1) or Job("greet"), 1, 1, "w")
    assert read == []
    assert context.job is context.job
    assert read == [1]


def test_a_log_that_names_it_does_not_tell_the_arguments():
    shown = []

    def login(job: Job, context: Context) -> None:
        shown.append(repr(context))
        assert job is context.job
        shown.append(f"{context}")

    with scheduled() as scheduler:
        worker = Worker(scheduler)
        worker.register_handler("login", login)
        scheduler.push(Job("login", {"password": "secret"}, id="one"))
        assert worker.drain() == 1
    assert shown == ["<Context of job 'one', attempt 1>"] * 2
    assert repr(Context(lambda: Job("login", {"password": "secret"}), 1, 0, "")) == "<Context of a call, attempt 1>"


def test_it_is_no_json():
    context = Context(Loading(Record("id", "name", "queue", b"payload")), 1, 1, "w", "id")
    for value in (context, {"context": context}, [context]):
        with pytest.raises(BadArguments, match="a Context is not JSON"):
            to_json(value, "the value")


def test_one_of_a_worker_is_nothing_for_the_collector():
    assert not gc.is_tracked(Context(Loading(Record("id", "name", "queue")), 1, 1, "w", "id"))


def test_one_that_leads_back_to_itself_is_collected():
    class Sink:
        context: Context

    def call(sink: Sink) -> None:
        sink.context = Context(lambda: Job("greet", {"sink": sink}), 1, 0, "")

    call(sink := Sink())
    gone = weakref.ref(sink)
    del sink
    gc.collect()
    assert gone() is None


def test_there_is_no_reason_to_stop_at_first(context):
    context.check()
    assert not context.cancelled
    assert context.reason == ""
    assert not context.wait(0)


def test_being_told_to_stop(context):
    context.stop("the job was cancelled")
    assert context.cancelled
    assert context.wait(60)
    with pytest.raises(JobCancelled, match="the job was cancelled"):
        context.check()


def test_the_first_reason_stays(context):
    context.stop("first")
    context.stop("second")
    assert context.reason == "first"


def test_whoever_sleeps_is_woken_by_the_stop(context):
    begun, woken = threading.Event(), threading.Event()

    def handler():
        begun.set()
        if context.wait(60):
            woken.set()

    threading.Thread(target=handler, daemon=True).start()
    heard(begun)
    context.stop("enough")
    heard(woken)


def test_sleeping_lasts_no_longer_than_asked_for(context):
    began = time.monotonic()
    assert not context.wait(0.01)
    assert time.monotonic() - began >= 0.01
