from __future__ import annotations

from datetime import timedelta

import pytest
from kit import dice

from goscheds.errors import BadMoment, ConfigError
from goscheds.retry import Retry, bound

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("doublings", "seconds"), [(0, 1), (1, 2), (5, 32), (11, 2048), (12, 3600), (60, 3600), (10_000, 3600)]
)
def test_the_bound_doubles_up_to_the_cap(doublings, seconds):
    assert bound(doublings, SECOND, timedelta(hours=1)) == seconds * 1_000_000


def test_a_base_of_zero_stays_zero():
    assert bound(50, timedelta(0), SECOND) == 0


def test_the_first_retry_is_at_once():
    assert Retry().delay(1, dice(1)) == 0


@pytest.mark.parametrize("attempts", [2, 3, 7, 13, 14, 100])
def test_later_retries_wait_a_random_time_up_to_the_bound(attempts):
    random = dice(attempts)
    most = bound(attempts - 2, SECOND, timedelta(hours=1))
    delays = [Retry().delay(attempts, random) for _ in range(200)]
    assert all(0 <= delay <= most for delay in delays)
    assert min(delays) < most * 0.1
    assert max(delays) > most * 0.9


def test_the_same_randomness_gives_the_same_delay():
    assert Retry().delay(9, dice(7)) == Retry().delay(9, dice(7))


@pytest.mark.parametrize(
    ("retry", "enough", "not_enough"),
    [(Retry(), 20, 19), (Retry(max_attempts=5), 5, 4), (Retry.never(), 1, 0)],
)
def test_attempts_run_out(retry, enough, not_enough):
    assert retry.exhausted(enough)
    assert retry.exhausted(enough + 1)
    assert not retry.exhausted(not_enough)


def test_attempts_without_limit_do_not():
    assert not Retry.immediately().exhausted(1_000_000)
    assert Retry.immediately().delay(1_000_000, dice(1)) == 0


def test_crashes_are_counted_apart():
    assert Retry().poisonous(3)
    assert not Retry().poisonous(2)
    assert Retry.never().poisonous(3)
    assert not Retry(max_crashes=0).poisonous(1_000_000)


@pytest.mark.parametrize("policy", [{"max_attempts": -1}, {"max_crashes": -1}, {"base": SECOND * 2, "cap": SECOND}])
def test_a_policy_that_makes_no_sense_is_refused(policy):
    with pytest.raises(ConfigError, match="Retry"):
        Retry(**policy)


@pytest.mark.parametrize("field", ["base", "cap"])
def test_a_wait_below_zero_is_refused(field):
    with pytest.raises(BadMoment, match=f"Retry.{field}"):
        Retry(**{field: timedelta(seconds=-1)})
