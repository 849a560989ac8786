from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from kit import claim, dice

from goscheds.clock import to_micros
from goscheds.codec import Meta, decode_meta, encode_meta
from goscheds.errors import BadMoment, GiveUp, RunAgain
from goscheds.record import Outcome, Verb
from goscheds.retry import Retry, bound
from goscheds.verdict import (
    MAX_ERROR,
    MAX_TRACE,
    Crashed,
    End,
    Hopeless,
    Keep,
    Raised,
    Returned,
    Stopped,
    TimedOut,
    Unknown,
    judge,
    shorten,
)

MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
KEPT = Keep(done=1, dead=1)
DELETED = Keep(done=0, dead=0)
POLICIES = {
    "default": Retry(),
    "never": Retry.never(),
    "immediately": Retry.immediately(),
    "three": Retry(max_attempts=3, max_crashes=2),
    "endless": Retry(max_attempts=0, max_crashes=0),
}


@dataclass
class Case:
    """What an end is to come to, by policy: the verb of its 1st, 2nd and 3rd time."""

    end: End
    verbs: dict[str, str]


FAILED = {
    "default": "retry retry retry",
    "never": "dead",
    "immediately": "retry retry retry",
    "three": "retry retry dead",
    "endless": "retry retry retry",
}
CRASHED = {
    "default": "retry retry dead",
    "never": "retry retry dead",
    "immediately": "retry retry dead",
    "three": "retry dead",
    "endless": "retry retry retry",
}
CASES = {
    "returned": Case(Returned(b"1"), dict.fromkeys(POLICIES, "done")),
    "raised": Case(Raised(ValueError("no")), FAILED),
    "exited": Case(Raised(SystemExit(3)), FAILED),
    "run again": Case(Raised(RunAgain(timedelta(minutes=1))), FAILED),
    "run again at": Case(Raised(RunAgain(at=MOMENT)), FAILED),
    "timed out": Case(TimedOut(), FAILED),
    "crashed": Case(Crashed(), CRASHED),
    "gave up": Case(Raised(GiveUp("sold out")), dict.fromkeys(POLICIES, "dead")),
    "stopped": Case(Stopped(), dict.fromkeys(POLICIES, "cancelled")),
    "hopeless": Case(Hopeless("unreadable"), dict.fromkeys(POLICIES, "dead")),
    "unknown": Case(Unknown("nobody knows it"), dict.fromkeys(POLICIES, "retry retry retry")),
}


def judged(end: End, meta: Meta = Meta(), retry: Retry = Retry(), keep: Keep = KEPT) -> Outcome:  # noqa: B008 - frozen
    return judge(claim(fence=7), meta, retry, end, keep, dice(1))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", CASES)
def test_every_end_under_every_policy(case, policy):
    meta = Meta()
    for verb in CASES[case].verbs[policy].split():
        outcome = judged(CASES[case].end, meta, POLICIES[policy])
        assert outcome.verb == verb
        assert (outcome.fence, outcome.jobs) == (7, ())
        meta = decode_meta(outcome.meta)


@pytest.mark.parametrize(
    ("case", "counted"),
    [
        ("raised", Meta(attempts=5, crashes=1, misses=2)),
        ("run again", Meta(attempts=5, crashes=1, misses=2)),
        ("timed out", Meta(attempts=5, crashes=1, misses=2)),
        ("gave up", Meta(attempts=5, crashes=1, misses=2)),
        ("crashed", Meta(attempts=4, crashes=2, misses=2)),
        ("unknown", Meta(attempts=4, crashes=1, misses=3)),
        ("hopeless", Meta(attempts=4, crashes=1, misses=2)),
    ],
)
def test_what_is_counted(case, counted):
    meta = decode_meta(judged(CASES[case].end, Meta(attempts=4, crashes=1, misses=2)).meta)
    assert (meta.attempts, meta.crashes, meta.misses) == (counted.attempts, counted.crashes, counted.misses)


@pytest.mark.parametrize(
    ("case", "kept"), [("returned", "done"), ("stopped", "done"), ("gave up", "dead"), ("hopeless", "dead")]
)
def test_what_is_not_kept_is_deleted_as_it_ends(case, kept):
    assert judged(CASES[case].end, keep=KEPT).keep
    assert not judged(CASES[case].end, keep=DELETED).keep
    assert not judged(CASES[case].end, keep=Keep(**{"done": 1, "dead": 1, kept: 0})).keep


def test_a_crash_that_kills_is_deleted_too_where_the_dead_are_not_kept():
    assert not judged(Crashed(), Meta(crashes=2), keep=DELETED).keep


def test_a_first_failure_runs_again_at_once_and_a_later_one_after_a_while():
    assert judged(Raised(ValueError())).delay == 0
    delays = {judge(claim(), Meta(attempts=4), Retry(), TimedOut(), KEPT, dice(n)).delay for n in range(9)}
    assert len(delays) == 9
    assert all(0 < delay <= 8_000_000 for delay in delays)


def test_run_again_says_when():
    assert judged(Raised(RunAgain(timedelta(minutes=1)))).delay == 60_000_000
    assert judged(Raised(RunAgain(timedelta(0))), Meta(attempts=4)).delay == 0
    assert judged(Raised(RunAgain(at=MOMENT))).execute_at == to_micros(MOMENT)


@pytest.mark.parametrize(
    "again",
    [RunAgain(at=datetime(2030, 1, 1)), RunAgain(timedelta(days=-1))],  # noqa: DTZ001 - naive
)
def test_run_again_at_a_moment_that_no_store_can_keep_is_an_error(again):
    with pytest.raises(BadMoment):
        judged(Raised(again))


def test_a_crash_that_is_not_charged_kills_nobody():
    outcome = judged(Crashed(charged=False), Meta(crashes=2, misses=3))
    assert outcome.verb is Verb.RETRY
    assert 0 < outcome.delay < 8_000_000, "so that those it crashed with are elsewhere when it runs again"
    assert (decode_meta(outcome.meta).crashes, decode_meta(outcome.meta).misses) == (2, 4)


def test_a_crashed_job_runs_again_at_once():
    outcome = judged(Crashed())
    assert (outcome.delay, outcome.execute_at) == (0, 0)


@pytest.mark.parametrize(("misses", "seconds"), [(0, 1), (1, 2), (5, 32), (6, 60), (500, 60)])
def test_an_unknown_job_waits_longer_each_time(misses, seconds):
    outcome = judged(Unknown("No handler"), Meta(misses=misses))
    assert outcome.delay == seconds * 1_000_000 == bound(misses, timedelta(seconds=1), timedelta(minutes=1))
    assert decode_meta(outcome.meta).error == "No handler; waiting for a worker that can run it."


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (Raised(ValueError("no such order")), "ValueError: no such order"),
        (Raised(SystemExit(3)), "SystemExit: 3"),
        (Raised(GiveUp("sold out")), "sold out"),
        (Raised(RunAgain(timedelta(seconds=1), reason="busy")), "busy"),
        (TimedOut(), "The attempt took longer than the job's timeout."),
        (Crashed(), "Its worker died, or lost its lease, while it ran."),
        (Hopeless("unreadable"), "unreadable"),
    ],
)
def test_what_is_said(end, error):
    assert decode_meta(judged(end).meta).error == error


def test_a_job_that_kills_its_workers_says_so():
    assert decode_meta(judged(Crashed(), Meta(crashes=2)).meta).error == "It ran 3 times in a worker that died of it."


def test_the_traceback_is_kept_for_what_was_raised_and_nothing_else():
    with pytest.raises(ValueError, match="order") as raised:
        int("no such order")
    meta = decode_meta(judged(Raised(raised.value)).meta)
    assert "test_verdict.py" in meta.trace
    for end in (TimedOut(), Crashed(), Raised(RunAgain(timedelta(0)))):
        assert decode_meta(judged(end, meta).meta).trace == ""


def test_a_success_forgets_the_failures_before_it():
    outcome = judged(Returned(), Meta(attempts=2, error="ValueError: no", trace="…"))
    assert decode_meta(outcome.meta) == Meta(attempts=2)


def test_a_plain_success_writes_nothing_but_its_result():
    outcome = judged(Returned(b'"yes"'))
    assert (outcome.verb, outcome.result, outcome.meta) == (Verb.DONE, b'"yes"', b"")


def test_a_result_that_is_not_kept_leaves_a_note():
    assert decode_meta(judged(Returned(note="too large")).meta).error == "too large"


@pytest.mark.parametrize("text", ["x" * 10_000, "half a surrogate \ud83d pair", "\0", "ä" * MAX_ERROR])
def test_any_error_can_be_kept(text):
    meta = decode_meta(judged(Raised(ValueError(text))).meta)
    assert len(meta.error) <= MAX_ERROR
    assert len(meta.trace) <= MAX_TRACE
    assert decode_meta(encode_meta(meta)) == meta


def test_a_short_error_is_kept_whole():
    assert shorten("x" * MAX_ERROR) == "x" * MAX_ERROR
    assert shorten("x" * (MAX_ERROR + 1)) == "x" * (MAX_ERROR - 1) + "…"


def test_an_error_that_can_not_even_be_printed_is_survived():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    assert "Broken" in decode_meta(judged(Raised(Broken())).meta).error
