from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from kit import heard

from goscheds.clock import EPOCH, LATEST, ManualClock, SystemClock, duration_micros, from_micros, to_micros
from goscheds.errors import BadMoment

LAST = datetime(2200, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "micros"),
    [
        (EPOCH, 0),
        (EPOCH + timedelta(microseconds=1), 1),
        (LAST, LATEST),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 0),
        (datetime(2026, 3, 29, 1, 59, 59, 999_999, tzinfo=UTC), 1_774_749_599_999_999),
    ],
)
def test_moments_are_counted_to_the_microsecond(moment, micros):
    assert to_micros(moment) == micros
    assert from_micros(micros) == moment


@pytest.mark.parametrize(
    "moment",
    [
        EPOCH - timedelta(microseconds=1),
        LAST + timedelta(microseconds=1),
        datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_moments_outside_1970_to_2200_are_refused(moment):
    with pytest.raises(BadMoment, match="1970-01-01 to 2200-01-01"):
        to_micros(moment)


def test_a_naive_moment_is_refused_with_what_to_do():
    with pytest.raises(BadMoment, match="naive datetime"):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001 - the point of it


@pytest.mark.parametrize(("duration", "micros"), [(timedelta(0), 0), (timedelta(days=1), 86_400_000_000)])
def test_durations_are_counted_in_microseconds(duration, micros):
    assert duration_micros(duration, "it") == micros


@pytest.mark.parametrize("duration", [timedelta(microseconds=-1), timedelta(days=365 * 231)])
def test_durations_below_zero_or_of_centuries_are_refused(duration):
    with pytest.raises(BadMoment, match="The delay is"):
        duration_micros(duration, "The delay")


def test_the_systems_clock_is_the_machines():
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert before < from_micros(SystemClock().now()) < datetime.now(UTC) + timedelta(seconds=1)


def test_the_systems_clock_waits_no_longer_than_told():
    changed = threading.Condition()
    with changed:
        SystemClock().wait(changed, 1)


def test_a_manual_clock_moves_when_told():
    clock = ManualClock(LAST - timedelta(days=1))
    clock.advance(timedelta(hours=1))
    assert clock.now() == to_micros(LAST - timedelta(hours=23))


def test_a_manual_clock_does_not_go_back():
    with pytest.raises(BadMoment):
        ManualClock().advance(timedelta(seconds=-1))


def test_a_manual_clock_starts_now_unless_told():
    assert abs(ManualClock().now() - SystemClock().now()) < 10_000_000


def test_a_manual_clock_wakes_whoever_waits():
    clock, changed = ManualClock(), threading.Condition()
    waiting, woken = threading.Event(), threading.Event()

    def wait():
        with changed:
            waiting.set()
            clock.wait(changed, 60_000_000)
        woken.set()

    threading.Thread(target=wait, daemon=True).start()
    heard(waiting)
    with changed:  # it waits by now: it let go of the condition
        pass
    clock.advance(timedelta(seconds=1))
    heard(woken)
