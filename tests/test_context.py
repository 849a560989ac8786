from __future__ import annotations

import threading
import time

import pytest
from kit import heard

from goscheds.context import Context
from goscheds.errors import JobCancelled
from goscheds.job import Job


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
