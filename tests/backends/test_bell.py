"""What the SQL stores wait by."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial

from goscheds.backends.sql.bell import Bell
from goscheds.contract.bench import LATE, background, eventually


class Counting(Bell):
    """Counts how often somebody looks whether it has rung for a topic."""

    def __init__(self) -> None:
        super().__init__()
        self.looks: Counter[str] = Counter()

    def heard(self, topic: str) -> int:
        self.looks[topic] += 1
        return super().heard(topic)


def test_a_ring_wakes_who_waits_for_its_topic_and_nobody_else():
    bell = Counting()
    bell.open()
    bell.patience = 60
    wait = lambda topic: bell.wait("w", topic, 0, time.monotonic() + 60, 60)  # noqa: E731 - for each of three
    mail, other, duties = [background(partial(wait, topic)) for topic in ("mail", "other", "")]
    eventually(lambda: all(bell.looks[topic] and topic in bell.waiting for topic in ("mail", "other", "")))
    with bell.changed:  # all of them wait, or somebody would have it
        before = Counter(bell.looks)
    bell.ring("mail", "nobody's")
    assert mail.result(LATE)
    assert (bell.looks["other"], bell.looks[""]) == (before["other"], before[""])
    bell.ring_all()
    assert other.result(LATE)
    assert duties.result(LATE)


def test_an_interrupt_and_the_end_wake_whoever_they_concern_of_every_topic():
    bell = Bell()
    bell.open()
    bell.patience = 60
    wait = lambda worker, topic: bell.wait(worker, topic, 0, time.monotonic() + 60, 60)  # noqa: E731 - for each of three
    mine = [background(partial(wait, "mine", topic)) for topic in ("mail", "")]
    yours = background(partial(wait, "yours", "mail"))
    eventually(lambda: len(bell.waiting) == 3)
    bell.interrupt("mine")
    assert [one.result(LATE) for one in mine] == [False, False]
    assert not yours.done()
    bell.close()
    assert not yours.result(LATE)
