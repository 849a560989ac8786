"""The law: what every store promises, sentence by sentence.

The contract's tests are named by these numbers, e.g. ``test_p2_a_batch_lands_whole_or_not_at_all``.
"""

from __future__ import annotations

import re

LAWS: dict[str, str] = {
    "P1": "Once push returns, the job survives the death of every process, and of a durable store itself.",
    "P2": "A batch lands whole or not at all.",
    "P3": "The same id twice is one job, so that a producer may retry blindly.",
    "P4": "What comes back is byte for byte what went in.",
    "P5": "Namespaces never see each other.",
    "T1": "No job starts before its execute_at by the store's own clock, whatever the clients' clocks say.",
    "T2": "Moments come back to the microsecond, from 1970 to 2200.",
    "T3": "A due job is claimable in time with no traffic at all, and an earlier one is not held up by a later one.",
    "C1": "A job has one holder at a time: claims that race take each job once, under a fence that only grows.",
    "C2": "Within a queue, higher priority comes first, then the order in which jobs became ready.",
    "C3": "A claim costs the same however many jobs are waiting, scheduled or done.",
    "C4": "An idle claim blocks in the store and wakes on push; a lost wake-up costs latency, never a job.",
    "C5": "A paused queue hands out nothing and loses nothing.",
    "S1": "Only the current fence may settle: a stale outcome is refused, changes nothing, and enqueues nothing.",
    "S2": "Settling is a batch of mixed outcomes, each atomic with its follow-up jobs.",
    "S3": "Repeating a verb whose answer was lost changes nothing further.",
    "L1": "A worker that heartbeats keeps its jobs however long they run.",
    "L2": "One that stops loses all of them, at whatever instant of a claim it was killed.",
    "L3": "A worker whose lease ran out learns it, and can't settle what it lost.",
    "L4": "A job past its timeout is taken back even from a worker that heartbeats.",
    "L5": "Crashes are told apart from failures, so that a job which keeps killing its workers can end dead.",
    "L6": "Recovery itself may be killed at any instant and loses nothing.",
    "L7": "A claim whose answer was lost on the way is found by the worker that holds it.",
    "U1": "There is at most one live job per unique key, under any race, and push returns the holder's id.",
    "U2": "A unique key is free the moment its job leaves the live states.",
    "X1": "Once cancel says yes, a waiting job never starts.",
    "X2": "The holder of an active job is told of its cancellation by the next heartbeat.",
    "X3": "Cancel against claim has exactly one winner.",
    "K1": "Counts equal the lists, every job is in exactly one state, and paging sees each job once.",
    "K2": "Purge takes what it was asked for, and nothing live.",
    "F1": "A driver's error arrives as StoreUnavailable or StoreError, with its cause.",
    "F2": "A store that was gone and is back works again by itself, and nothing is lost.",
    "F3": "Many processes may open and upgrade one store at once.",
}

_TEST = re.compile(r"test_([a-z]\d)_")


def law_of(test: str) -> str:
    """The number of the law that a test's name begins with; "" if it names none."""
    named = _TEST.match(test)
    law = named[1].upper() if named else ""
    return law if law in LAWS else ""
