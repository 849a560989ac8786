from __future__ import annotations

import threading
import time

import pytest

from goscheds import outage
from goscheds.errors import StoreError, StoreUnavailable
from goscheds.outage import Outage, insist

AWAY = StoreUnavailable("nobody there.")


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    """What was slept, in a time that passes by sleeping alone."""
    naps: list[float] = []
    monkeypatch.setattr(outage.time, "monotonic", lambda: 1000 + sum(naps))
    monkeypatch.setattr(outage.time, "sleep", naps.append)
    return naps


class Stopping(threading.Event):
    """Waits as ``slept`` sleeps."""

    def __init__(self, naps: list[float]) -> None:
        super().__init__()
        self._naps = naps

    def wait(self, timeout=None):
        self._naps.append(timeout)
        return self.is_set()


def fails(times: int, error: Exception = AWAY):
    """A call that fails so many times, and then gives how often it was made."""
    calls = []

    def call():
        calls.append(1)
        if len(calls) <= times:
            raise error
        return len(calls)

    return call


def test_a_call_that_works_is_made_once(slept):
    assert insist(fails(0), "push") == 1
    assert slept == []


def test_a_call_is_repeated_while_the_store_is_away(slept):
    assert insist(fails(3), "push") == 4
    assert len(slept) == 3
    assert slept[0] < slept[2]


def test_insisting_ends_with_what_failed_and_for_how_long(slept):
    with pytest.raises(StoreUnavailable, match=r"Could not push: nobody there\. Tried for 2 s\.") as raised:
        insist(fails(1000), "push")
    assert raised.value.__cause__ is AWAY
    assert sum(slept) == pytest.approx(2)


def test_an_answer_is_an_answer_even_if_it_is_an_error(slept):
    with pytest.raises(StoreError, match="no such table"):
        insist(fails(1, StoreError("no such table")), "push")
    assert slept == []


def test_a_round_that_works_is_nothing_to_tell(caplog):
    with Outage("Queue 'mail'", threading.Event()):
        pass
    assert caplog.messages == []


def test_it_says_once_that_it_went_and_once_that_it_is_back(slept, caplog):
    outage = Outage("Queue 'mail'", Stopping(slept))
    for _ in range(5):
        with outage:
            raise AWAY
    assert outage.lasts
    for _ in range(5):
        with outage:
            pass
    assert not outage.lasts
    assert [message.split(",")[0] for message in caplog.messages] == [
        "Queue 'mail': nobody there. Trying again until it works.",
        "Queue 'mail': it works again",
    ]


def test_a_second_outage_is_told_again(slept, caplog):
    outage = Outage("Queue 'mail'", Stopping(slept))
    for _ in range(2):
        with outage:
            raise AWAY
        outage.over()
    assert len(caplog.messages) == 4


def test_waits_grow_up_to_the_longest(slept):
    outage = Outage("Queue 'mail'", Stopping(slept), longest=1)
    for _ in range(50):
        outage.endure(AWAY)
    assert slept[0] <= 0.1
    assert 0.5 <= slept[-1] <= 1 == max(1, *slept)
    assert sum(nap < 0.5 for nap in slept) < 12


def test_waits_begin_anew_after_it(slept):
    outage = Outage("Queue 'mail'", Stopping(slept))
    for _ in range(20):
        outage.endure(AWAY)
    outage.over()
    outage.endure(AWAY)
    assert slept[-1] <= 0.1 < slept[-2]


def test_stopping_ends_a_wait_at_once():
    stopping = threading.Event()
    stopping.set()
    began = time.monotonic()
    outage = Outage("Queue 'mail'", stopping)
    for _ in range(1000):
        outage.endure(AWAY)
    assert time.monotonic() - began < 1


class Unheard(BaseException):
    """Nothing that anybody would catch."""


@pytest.mark.parametrize("error", [ValueError("our own fault"), KeyError(), SystemExit(1), Unheard()])
def test_whatever_goes_wrong_in_a_round_the_thread_lives_on(slept, caplog, error):
    with Outage("Queue 'mail'", Stopping(slept)):
        raise error
    [told] = caplog.records
    assert (str(error) or repr(error)) in told.getMessage()
    assert told.exc_info, "it says where"


def test_a_stores_error_needs_no_traceback(slept, caplog):
    with Outage("Queue 'mail'", Stopping(slept)):
        raise AWAY
    assert not caplog.records[0].exc_info


def test_many_threads_share_one(caplog):
    stopping = threading.Event()
    stopping.set()
    outage = Outage("Queue 'mail'", stopping)
    together = threading.Barrier(8)

    def fail():
        together.wait()
        for _ in range(100):
            outage.endure(AWAY)

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(caplog.messages) == 1
