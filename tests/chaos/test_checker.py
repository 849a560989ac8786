"""The checker finds what it is for: a good history passes, and each forged one is found by the rule that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from goscheds.chaos.actor import LINE
from goscheds.chaos.history import History
from goscheds.chaos.journal import (
    Beat,
    Claimed,
    End,
    Event,
    Hello,
    Leaving,
    Offer,
    Pushed,
    Pushing,
    Returned,
    Settled,
    Settling,
    Started,
    Struck,
    Taken,
)
from goscheds.chaos.laws import check, recoveries
from goscheds.record import Lost, Record, Row, State, Verb

SECOND = 1_000_000
EPOCH = 1_000_000 * SECOND  # the store's clock at the beginning


@dataclass
class Forge:
    """Writes histories; seconds from the beginning, and a lease of one second."""

    journals: dict[str, list[Event]] = field(default_factory=lambda: {"rig": [Hello(0, EPOCH, 1)]})
    rows: dict[str, Row] = field(default_factory=dict)
    calls: int = 0

    def note(self, source: str, event: Event) -> None:
        self.journals.setdefault(source, []).append(event)

    def push(self, at: float, *ids: str, answer: tuple[str, ...] | None = None, **offered: object) -> None:
        self.calls += 1
        fields = {"queue": "q", "execute_at": 0, "delay": 0, "unique_key": "", **offered}
        self.note("producer", Pushing(ns(at), self.calls, [Offer(id, **fields) for id in ids]))
        if answer != ():
            self.note("producer", Pushed(ns(at + 0.01), self.calls, list(answer or ids)))

    def claim(self, at: float, id: str, fence: int, by: str = "a", lost: Lost = Lost.NOT, due: int = 0) -> None:
        taken = Taken(id, fence, micros(at), due, lost)
        self.note(by, Claimed(ns(at + 0.01), ns(at - 0.01), "claim", by, [taken]))

    def run(self, at: float, id: str, fence: int, by: str = "a") -> None:
        self.note(by, Started(ns(at), id, fence))
        self.note(by, Returned(ns(at), id, fence))

    def settle(
        self, at: float, id: str, fence: int, by: str = "a", verb: Verb = Verb.DONE, answer: str = "yes"
    ) -> None:
        self.calls += 1
        self.note(by, Settling(ns(at), self.calls, by, [End(id, fence, verb)]))
        if answer:
            self.note(by, Settled(ns(at + 0.01), self.calls, [id] if answer == "yes" else []))

    def beat(self, *moments: float, by: str = "a", lapsed: bool = False) -> None:
        for at in moments:
            self.note(by, Beat(ns(at + 0.01), ns(at), by, 1.0, lapsed))

    def strike(self, fault: str, begins: float, ends: float, target: str = "a") -> None:
        self.note("rig", Struck(ns(begins), fault, target, over=False))
        self.note("rig", Struck(ns(ends), fault, target, over=True))

    def row(self, id: str, fence: int, state: State = State.DONE, key: str = "") -> None:
        self.rows[id] = Row(Record(id, "n", "q", unique_key=key), state, fence, "", 0, 0)

    def life(self, id: str, at: float = 1.0, by: str = "a", **offered: object) -> None:
        """A job's good life."""
        self.push(at, id, **offered)
        self.claim(at + 0.1, id, 1, by)
        self.run(at + 0.2, id, 1, by)
        self.settle(at + 0.3, id, 1, by)
        self.row(id, 1, key=str(offered.get("unique_key", "")))

    def history(self) -> History:
        return History(self.journals, self.rows.values(), lease=1.0)


def ns(seconds: float) -> int:
    return int(seconds * 1e9)


def micros(seconds: float) -> int:
    return EPOCH + int(seconds * SECOND)


GOOD: list[Callable[[Forge], None]] = []
BAD: list[tuple[str, Callable[[Forge], None]]] = []


def good(scene: Callable[[Forge], None]) -> Callable[[Forge], None]:
    GOOD.append(scene)
    return scene


def bad(law: str) -> Callable[[Callable[[Forge], None]], Callable[[Forge], None]]:
    def remember(scene: Callable[[Forge], None]) -> Callable[[Forge], None]:
        BAD.append((law, scene))
        return scene

    return remember


@good
def a_job_runs(forge):
    forge.life("one")


@good
def a_key_is_taken_again_by_a_push_without_an_answer(forge):
    forge.life("one", 1, unique_key="k")
    forge.push(2, "two", answer=(), unique_key="k")
    forge.claim(2.1, "two", 1)
    forge.run(2.2, "two", 1)
    forge.settle(2.3, "two", 1)
    forge.row("two", 1, key="k")


@good
def an_unanswered_push_left_nothing(forge):
    forge.push(1, "one", "two", answer=())


@good
def a_killed_workers_job_is_taken_back_and_run(forge):
    forge.push(1, "one")
    forge.beat(0.9, 1.2)
    forge.claim(1.1, "one", 1)
    forge.strike("kill worker", 1.3, 1.3)
    forge.claim(2.5, "one", 2, "b", Lost.LEASE)
    forge.settle(2.6, "one", 2, "b", Verb.RETRY)
    forge.claim(2.7, "one", 3, "b")
    forge.run(2.8, "one", 3, "b")
    forge.settle(2.9, "one", 3, "b")
    forge.row("one", 3)


@good
def a_stopped_worker_settles_too_late_and_is_refused(forge):
    forge.push(1, "one")
    forge.beat(0.9)
    forge.claim(1.1, "one", 1)
    forge.run(1.2, "one", 1)
    forge.claim(2.5, "one", 2, "b", Lost.LEASE)
    forge.run(2.6, "one", 2, "b")
    forge.settle(2.7, "one", 2, "b")
    forge.settle(3.0, "one", 1, answer="no")
    forge.row("one", 2)


@good
def a_lost_answer_is_asked_for_again(forge):
    forge.push(1, "one")
    forge.claim(1.1, "one", 1)
    forge.run(1.2, "one", 1)
    forge.settle(1.3, "one", 1, answer="")
    forge.settle(1.4, "one", 1)
    forge.row("one", 1)


@good
def a_unique_key_changes_hands(forge):
    forge.life("one", 1, unique_key="k")
    forge.push(1.05, "two", answer=("one",), unique_key="k")
    forge.life("three", 2, unique_key="k")


@good
def a_taking_back_waits_for_the_network(forge):
    forge.push(1, "one")
    forge.claim(1.1, "one", 1)
    forge.strike("kill worker", 1.3, 1.3)
    forge.strike("stall", 1.4, 30.0, "connections")
    forge.claim(33, "one", 2, "b", Lost.LEASE)
    forge.run(33.1, "one", 2, "b")
    forge.settle(33.2, "one", 2, "b")
    forge.row("one", 2)


@bad("P1")
def an_acknowledged_job_is_gone(forge):
    forge.push(1, "one")


@bad("P1")
def a_job_never_ends(forge):
    forge.push(1, "one")
    forge.row("one", 0, State.READY)


@bad("P1")
def a_job_is_given_up(forge):
    forge.push(1, "one")
    forge.row("one", 1, State.DEAD)


@bad("U1")
def a_push_is_answered_with_a_stranger(forge):
    forge.life("one")
    forge.push(1, "two", answer=("one",), unique_key="k")


@bad("P2")
def a_batch_is_there_in_part(forge):
    forge.push(1, "one", "two", answer=())
    forge.life("one")


@bad("T1")
def a_job_is_claimed_before_it_is_due(forge):
    forge.life("one", 1, execute_at=micros(1.15))


@bad("T1")
def a_job_is_claimed_before_its_delay_is_over(forge):
    forge.life("one", 1, delay=SECOND // 2)


@bad("T1")
def a_retry_is_claimed_before_it_is_due(forge):
    forge.life("one")
    forge.claim(1.1, "one", 1, due=micros(1.2))


@bad("C1")
def a_fence_is_given_to_two(forge):
    forge.life("one")
    forge.claim(1.1, "one", 1, "b")


@bad("C1")
def fences_run_backwards(forge):
    forge.life("one")
    forge.claim(1.2, "one", 2, "b")
    forge.claim(1.15, "one", 3, "b")


@bad("L1")
def a_beating_worker_loses_its_job(forge):
    forge.push(1, "one")
    forge.beat(0.9, 1.2, 1.5, 1.8)
    forge.claim(1.1, "one", 1)
    forge.claim(2.0, "one", 2, "b", Lost.LEASE)
    forge.run(2.1, "one", 2, "b")
    forge.settle(2.2, "one", 2, "b")
    forge.row("one", 2)


@bad("L1")
def a_held_job_is_handed_out(forge):
    forge.push(1, "one")
    forge.claim(1.1, "one", 1)
    forge.claim(1.2, "one", 2, "b")
    forge.run(1.3, "one", 2, "b")
    forge.settle(1.4, "one", 2, "b")
    forge.row("one", 2)


@bad("S1")
def a_stale_settle_is_accepted(forge):
    forge.push(1, "one")
    forge.claim(1.1, "one", 1)
    forge.claim(2.5, "one", 2, "b", Lost.LEASE)
    forge.run(2.6, "one", 2, "b")
    forge.settle(2.8, "one", 1, verb=Verb.RETRY)
    forge.settle(2.9, "one", 2, "b")
    forge.row("one", 2)


@bad("S1")
def a_job_ends_twice(forge):
    forge.life("one")
    forge.claim(1.4, "one", 2, "b")
    forge.run(1.5, "one", 2, "b")
    forge.settle(1.6, "one", 2, "b")
    forge.row("one", 2)


@bad("S1")
def a_job_is_claimed_after_its_end(forge):
    forge.life("one")
    forge.claim(1.5, "one", 2, "b")


@bad("S1")
def the_store_names_another_fence(forge):
    forge.life("one")
    forge.run(1.5, "one", 7)
    forge.row("one", 7)


@bad("S1")
def a_job_is_done_that_never_ran(forge):
    forge.push(1, "one")
    forge.claim(1.1, "one", 1)
    forge.settle(1.3, "one", 1)
    forge.row("one", 1)


@bad("S3")
def a_rightful_settle_is_refused(forge):
    forge.push(1, "one")
    forge.claim(1.1, "one", 1)
    forge.run(1.2, "one", 1)
    forge.settle(1.3, "one", 1, answer="no")
    forge.row("one", 1)


@bad("U1")
def a_key_has_two_live_holders(forge):
    forge.life("one", 1, unique_key="k")
    forge.life("two", 1.1, unique_key="k")


@bad("C2")
def a_later_job_is_claimed_first(forge):
    forge.life("one", 1.0, queue=LINE)
    forge.push(0.5, "two", queue=LINE)
    forge.claim(1.3, "two", 1)
    forge.run(1.4, "two", 1)
    forge.settle(1.5, "two", 1)
    forge.row("two", 1)


@bad("L2")
def a_killed_workers_job_lies_too_long(forge):
    forge.push(1, "one")
    forge.claim(1.1, "one", 1)
    forge.strike("kill worker", 1.3, 1.3)
    forge.claim(9.5, "one", 2, "b", Lost.LEASE)
    forge.run(9.6, "one", 2, "b")
    forge.settle(9.7, "one", 2, "b")
    forge.row("one", 2)


@pytest.mark.parametrize("scene", GOOD, ids=lambda scene: scene.__name__)
def test_a_good_history_passes(scene):
    forge = Forge()
    forge.life("bystander")
    scene(forge)
    assert check(forge.history()) == []


@pytest.mark.parametrize(("law", "scene"), BAD, ids=lambda value: getattr(value, "__name__", value))
def test_a_forged_history_is_found(law, scene):
    forge = Forge()
    forge.life("bystander")
    scene(forge)
    history = forge.history()
    found = check(history)
    assert law in {violation.law for violation in found}
    assert "bystander" not in {violation.id for violation in found}
    assert all(list(history.tell(violation.id)) for violation in found)


def test_who_left_may_lose_its_job_at_once():
    forge = Forge()
    a_beating_worker_loses_its_job(forge)
    forge.note("a", Leaving(ns(1.9), "a"))
    assert check(forge.history()) == []


def test_who_learned_of_a_lapse_may_have_lost_its_job():
    forge = Forge()
    a_beating_worker_loses_its_job(forge)
    forge.beat(1.85, lapsed=True)
    assert check(forge.history()) == []


def test_the_time_of_other_faults_does_not_count():
    forge = Forge()
    a_taking_back_waits_for_the_network(forge)
    (recovery,) = recoveries(forge.history())
    assert recovery.took == pytest.approx(31.7 * SECOND, abs=1000)
    assert recovery.calm == pytest.approx(0.1 * SECOND, abs=1000)
