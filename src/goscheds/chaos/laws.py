"""The law, proved over a history: each function finds what breaks one rule of it.

What was not answered proves nothing either way; only what must be so, whatever happened to the answers, counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, pairwise

from msgspec import Struct

from goscheds.chaos.actor import LINE
from goscheds.chaos.history import History, Holding, Life, Report, Violation
from goscheds.record import Lost, State, Verb
from goscheds.store import DUTY_LEASE

SECOND = 1_000_000
ROUND = 2 * SECOND
"""Between two looks for orphans, at most."""
SLACK = 2 * SECOND
"""What a busy machine may add."""
BACKOFF = 5 * SECOND
"""How long a client may wait before it tries again what failed."""
ABREAST = 50_000
"""Microseconds within which two claims count as at once: some stores date a claim by its transaction's beginning."""
KILLS = ("kill worker", "kill duty holder", "kill producer", "kill supervisor", "kill child")
ENDS = (Verb.DONE, Verb.DEAD, Verb.CANCELLED)


def check(history: History) -> list[Violation]:
    """Everything in a history that the law forbids."""
    return [violation for rule in RULES for violation in rule(history)]


def none_lost(history: History) -> Iterator[Violation]:
    """P1: what was acknowledged is there, and everything that is there ends done."""
    for push in history.pushes:
        for offer, id in zip(push.jobs, push.ids, strict=False):
            row = history.lives[id].row
            if row is None:
                yield Violation("P1", id, "Its push was acknowledged, and the store does not have it.")
            elif id != offer.id and row.record.unique_key != offer.unique_key:
                yield Violation("U1", offer.id, f"Its push was answered with {id}, which has another unique key.")
    for id, life in history.lives.items():
        if life.row and life.row.state is not State.DONE:
            yield Violation("P1", id, f"It is {life.row.state}, and never came to be done.")


def batches_whole(history: History) -> Iterator[Violation]:
    """P2: a batch is there, or it is not."""
    for push in history.pushes:
        there = {history.lives[offer.id].row is not None for offer in push.jobs if not offer.unique_key}
        if len(there) > 1:
            yield Violation("P2", push.jobs[0].id, "Its batch is there in part.")


def none_early(history: History) -> Iterator[Violation]:
    """T1: no job is claimed, or begins, before it is due."""
    for id, life in history.lives.items():
        dues = [(offer.execute_at or push.began) + offer.delay for push, offer in life.offers]
        due = min(dues, default=0) - history.tolerance
        for holding in life.holdings:
            if holding.at < max(due, holding.claim.execute_at):
                yield Violation("T1", id, f"It was claimed under {holding.fence} before it was due.")
        for at, fence in life.started:
            if at < due:
                yield Violation("T1", id, f"Its handler began under {fence} before it was due.")


def one_holder(history: History) -> Iterator[Violation]:
    """C1, L1: each fence has one holder, and who keeps its lease keeps its job until it gives it back."""
    for id, life in history.lives.items():
        for one, other in pairwise(life.holdings):
            if one.fence == other.fence and (one.worker, one.at) != (other.worker, other.at):
                yield Violation("C1", id, f"Fence {one.fence} was given to {one.worker} and to {other.worker}.")
            elif one.fence != other.fence and other.at < one.at - history.tolerance:
                yield Violation("C1", id, f"Fence {other.fence} was given before fence {one.fence}.")
            elif other.fence == one.fence + 1 and not _given_up(history, life, one, other):
                yield Violation("L1", id, f"It was taken from {one.worker}, which had a good lease and held it.")


def _given_up(history: History, life: Life, one: Holding, other: Holding) -> bool:
    """Whether a holding may have ended before the next one began."""
    if other.claim.lost is Lost.LEASE:
        return not _kept(history, one, other.at)
    by = other.at + history.tolerance
    return any(report.fence == one.fence and report.began <= by for report in life.reports)


def _kept(history: History, holding: Holding, until: int) -> bool:
    """Whether a lease was good for certain, without a break, from a claim up to a moment."""
    beats = [beat for beat in history.beats[holding.worker] if history.clock(beat.began) <= until]
    if any(beat.lapsed and history.clock(beat.at) >= holding.at for beat in beats):
        return False
    if history.leavings.get(holding.worker, until) < until:
        return False
    last = max((history.clock(beat.began) + int(beat.lease * SECOND) for beat in beats), default=0)
    return last > until + history.tolerance


def settled_by_the_fence(history: History) -> Iterator[Violation]:
    """S1, S3: only the current fence settles, and it may; a job ends once."""
    for id, life in history.lives.items():
        for report in life.reports:
            yield from _stale(history, id, life, report)
        ended = {report.fence for report in life.reports if report.accepted and report.verb in ENDS}
        last = max((holding.fence for holding in life.holdings), default=0)
        if len(ended) > 1:
            yield Violation("S1", id, f"It ended under several fences: {sorted(ended)}.")
        elif ended and last > max(ended):
            yield Violation("S1", id, f"It ended under {max(ended)}, and was claimed again under {last}.")
        elif ended and life.row and life.row.fence != max(ended):
            yield Violation("S1", id, f"It ended under {max(ended)}, and the store says {life.row.fence}.")


def _stale(history: History, id: str, life: Life, report: Report) -> Iterator[Violation]:
    later = [one for one in life.holdings if one.fence > report.fence and one.at < report.began - history.tolerance]
    if report.accepted and later:
        yield Violation("S1", id, f"{report.verb} under {report.fence} was accepted after fence {later[0].fence}.")
    refused = report.ended and not report.accepted
    if refused and life.row and life.row.fence == report.fence:
        yield Violation("S3", id, f"{report.verb} under {report.fence} was refused, which is its last fence.")


def done_by_a_run(history: History) -> Iterator[Violation]:
    """S1: what is done was run to its end, under the fence that it was settled by."""
    for id, life in history.lives.items():
        if life.row is None or life.row.state is not State.DONE:
            continue
        if life.row.fence not in {fence for _, fence in life.returned}:
            yield Violation("S1", id, f"It is done under {life.row.fence}, and no handler came to its end under that.")


def keys_unique(history: History) -> Iterator[Violation]:
    """U1: no two jobs with one key are live at once, for certain."""
    spans: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for id, life in history.lives.items():
        key = life.offers[0][1].unique_key if life.offers else ""
        ended = min((report.began for report in life.reports if report.verb in ENDS), default=0)
        if key and 0 < life.acknowledged < ended and life.row:
            spans[key].append((life.acknowledged, ended, id))
    for key, lives in spans.items():
        for (begins, ends, id), (others_begin, others_end, other) in combinations(sorted(lives), 2):
            if max(begins, others_begin) < min(ends, others_end) - history.tolerance:
                yield Violation("U1", id, f"It was live together with {other}; both have the key {key}.")


def in_line(history: History) -> Iterator[Violation]:
    """C2: until the first fault, the jobs of one queue are claimed in the order of their pushes."""
    calm = min((history.clock(struck.at) for struck in history.struck), default=None)
    first: list[tuple[int, int, int, str]] = []
    for id, life in history.lives.items():
        queue = life.offers[0][1].queue if life.offers else ""
        if queue == LINE and life.acknowledged and life.holdings and life.holdings[0].fence == 1:
            claimed = life.holdings[0].at
            if calm is None or claimed < calm:
                first.append((life.offers[0][0].began, life.acknowledged, claimed, id))
    for (_, pushed, claimed, id), (began, _, next_claimed, other) in combinations(sorted(first), 2):
        if pushed < began and claimed > next_claimed + ABREAST:
            yield Violation("C2", id, f"It was pushed before {other}, and claimed after it.")


class Recovery(Struct, frozen=True):
    """How long a killed worker's job was held by a dead hand; microseconds, and without the time of other faults."""

    id: str
    took: int
    calm: int


def recoveries(history: History) -> Iterator[Recovery]:
    """What became of the jobs that killed workers held."""
    killed = {struck.target: history.clock(struck.at) for struck in history.struck if struck.fault in KILLS}
    for id, life in history.lives.items():
        for one, other in pairwise(life.holdings):
            moment = killed.get(one.source)
            given_back = any(report.fence == one.fence for report in life.reports)
            if moment and other.fence == one.fence + 1 and one.at <= moment < other.at and not given_back:
                yield Recovery(id, other.at - moment, _calm(history, moment, other.at))


def taken_back_in_time(history: History) -> Iterator[Violation]:
    """L2: a killed worker's jobs are taken back within its lease, a change of the duties' holder, and a round."""
    bound = history.lease + int(DUTY_LEASE * SECOND) + ROUND + SLACK
    for recovery in recoveries(history):
        if recovery.calm > bound:
            yield Violation("L2", recovery.id, f"It was taken back after {recovery.calm / SECOND:.1f} s of calm.")


def _calm(history: History, begin: int, end: int) -> int:
    """How much of a span no fault of the store, the network or a stopped process had any part in."""
    calm, reached = end - begin, begin
    for since, until in sorted(_troubles(history)):
        calm -= max(0, min(end, until) - max(reached, since))
        reached = max(reached, until)
    return calm


def _troubles(history: History) -> Iterator[tuple[int, int]]:
    """When there was more to overcome than a killed process, and until when it may have been felt."""
    since: dict[str, int] = {}
    for struck in history.struck:
        if struck.fault not in KILLS:
            if struck.over and struck.fault in since:
                yield since.pop(struck.fault), history.clock(struck.at) + BACKOFF
            else:
                since.setdefault(struck.fault, history.clock(struck.at))


RULES = (
    none_lost,
    batches_whole,
    none_early,
    one_holder,
    settled_by_the_fence,
    done_by_a_run,
    keys_unique,
    in_line,
    taken_back_in_time,
)
