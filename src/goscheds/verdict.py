"""What becomes of a job when its run has ended. Pure: it touches nothing, and randomness is an argument."""

from __future__ import annotations

import traceback
from datetime import timedelta
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from goscheds.clock import duration_micros, to_micros
from goscheds.codec import Meta, encode_meta
from goscheds.errors import GiveUp, RunAgain
from goscheds.record import Claim, Outcome
from goscheds.retry import Retry, bound

MAX_ERROR = 500
MAX_TRACE = 4_000
MISS_BASE, MISS_CAP = timedelta(seconds=1), timedelta(minutes=1)


class Returned(Struct, frozen=True):
    """The handler returned; ``result`` is JSON, empty if it is None or was not kept, as ``note`` then says."""

    result: bytes = b""
    note: str = ""


class Raised(Struct, frozen=True):
    """The handler raised."""

    error: BaseException


class TimedOut(Struct, frozen=True):
    """The attempt took longer than its timeout."""


class Crashed(Struct, frozen=True):
    """The attempt ended with its worker. Not ``charged``: several may be to blame, and none may die for another."""

    charged: bool = True


class Stopped(Struct, frozen=True):
    """The handler ended because somebody cancelled the job."""


class Hopeless(Struct, frozen=True):
    """No retry can help: arguments that don't fit, a record that can't be read."""

    reason: str


class Unknown(Struct, frozen=True):
    """This worker can't run it, and another may: it has no handler of the name, or is too old for the job's format."""

    reason: str


End = Returned | Raised | TimedOut | Crashed | Stopped | Hopeless | Unknown


class Keep(Struct, frozen=True):
    """How long ended jobs are kept, microseconds; 0 = deleted as they end."""

    done: int
    dead: int


def judge(  # noqa: PLR0911 - one return for each way to end
    claim: Claim, meta: Meta, retry: Retry, end: End, keep: Keep, random: Random
) -> Outcome:
    """The outcome of a claim whose run ended like this."""
    if isinstance(end, Returned):  # nearly every time; to match its pattern took as long as the rest of the verdict
        changed = _account(claim, replace(meta, error=end.note, trace="")) if end.note or meta.error else b""
        return Outcome.done(claim, changed, end.result, keep=keep.done > 0)
    match end:
        case Stopped():
            return Outcome.cancelled(claim, keep=keep.done > 0)
        case Hopeless(reason):
            return _dead(claim, replace(meta, error=shorten(reason)), keep)
        case Unknown(reason):
            return _missed(claim, meta, reason)
        case Crashed(charged):
            return _crashed(claim, meta, retry, keep, charged, random)
        case TimedOut():
            took = "The attempt took longer than the job's timeout."
            return _failed(claim, replace(meta, error=took, trace=""), retry, keep, random)
        case Raised(error):
            return _raised(claim, meta, retry, error, keep, random)


def _raised(claim: Claim, meta: Meta, retry: Retry, error: BaseException, keep: Keep, random: Random) -> Outcome:
    meta = replace(meta, error=shorten(_summary(error)), trace=_trace(error))
    if isinstance(error, GiveUp):
        return _dead(claim, replace(meta, attempts=meta.attempts + 1, error=shorten(error.reason)), keep)
    if isinstance(error, RunAgain):
        meta = replace(meta, error=shorten(str(error)), trace="")
    return _failed(claim, meta, retry, keep, random, error if isinstance(error, RunAgain) else None)


def _failed(
    claim: Claim, meta: Meta, retry: Retry, keep: Keep, random: Random, again: RunAgain | None = None
) -> Outcome:
    meta = replace(meta, attempts=meta.attempts + 1)
    if retry.exhausted(meta.attempts):
        return _dead(claim, meta, keep)
    if again and again.at:
        return Outcome.retry(claim, _account(claim, meta), execute_at=to_micros(again.at))
    if again and again.after is not None:
        return Outcome.retry(claim, _account(claim, meta), delay=duration_micros(again.after, "RunAgain.after"))
    return Outcome.retry(claim, _account(claim, meta), delay=retry.delay(meta.attempts, random))


def _crashed(claim: Claim, meta: Meta, retry: Retry, keep: Keep, charged: bool, random: Random) -> Outcome:
    """At once again: the crash cost a lease already, and the job is run apart from others from now on."""
    error = "Its worker died, or lost its lease, while it ran."
    meta = replace(meta, crashes=meta.crashes + charged, error=error, trace="")
    if retry.poisonous(meta.crashes):
        return _dead(claim, replace(meta, error=f"It ran {meta.crashes} times in a worker that died of it."), keep)
    if charged:
        return Outcome.retry(claim, _account(claim, meta))
    apart = int(random.uniform(0, bound(meta.misses, MISS_BASE, MISS_CAP)))  # so that they part, and one is alone
    return Outcome.retry(claim, _account(claim, replace(meta, misses=meta.misses + 1)), delay=apart)


def _missed(claim: Claim, meta: Meta, reason: str) -> Outcome:
    """Left for a worker that knows it; no attempt is counted."""
    error = f"{reason}; waiting for a worker that can run it."
    wait = bound(meta.misses, MISS_BASE, MISS_CAP)
    return Outcome.retry(
        claim, _account(claim, replace(meta, misses=meta.misses + 1, error=shorten(error))), delay=wait
    )


def _dead(claim: Claim, meta: Meta, keep: Keep) -> Outcome:
    return Outcome.dead(claim, _account(claim, meta), keep=keep.dead > 0)


def _account(claim: Claim, meta: Meta) -> bytes:
    return encode_meta(meta, claim.record.meta)


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _trace(error: BaseException) -> str:
    """The end of the traceback: the handler's own frames are there."""
    return _clean("".join(traceback.format_exception(error))[-MAX_TRACE:])


def shorten(text: str) -> str:
    """An error as it is kept: bounded, and without what JSON can't carry."""
    return _clean(text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…")


def _clean(text: str) -> str:
    """An exception's text may hold half a surrogate pair, which no encoding can carry."""
    return text.encode("utf-8", "replace").decode()
