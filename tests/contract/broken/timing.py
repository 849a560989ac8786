"""Stores that break T."""

from __future__ import annotations

import time

from msgspec.structs import replace

from broken import breaks
from broken.intact import Intact
from goscheds.record import MoveVerb


@breaks("T1")
class IgnoresExecuteAtByAMillisecond(Intact):
    def _promote_due(self, limit):
        promoted = 0
        while promoted < limit and (job := self._books.next_due()) and job.record.execute_at <= self.now() + 1000:
            self._books.promote(job)
            promoted += 1
        return promoted


@breaks("T1")
class RunsRetriesAtOnce(Intact):
    def settle(self, worker, outcomes):
        return super().settle(worker, [replace(outcome, delay=0) for outcome in outcomes])


@breaks("T1")
class ReschedulesToNow(Intact):
    def move(self, moves):
        return super().move(
            [replace(move, delay=0, execute_at=0) if move.verb is MoveVerb.RESCHEDULE else move for move in moves]
        )


@breaks("T2")
class KeepsMilliseconds(Intact):
    def _push(self, record):
        return super()._push(replace(record, execute_at=-(-record.execute_at // 1000) * 1000))


@breaks("T2")
class EndsIn2038(Intact):
    def _push(self, record):
        return super()._push(replace(record, execute_at=min(record.execute_at, 2**31 * 1_000_000)))


@breaks("T2")
class ForgetsTheDelayAfterAMoment(Intact):
    def _push(self, record):
        return super()._push(replace(record, delay=0) if record.execute_at else record)


@breaks("T3")
class SleepsThroughAnEarlierJob(Intact):
    def promote(self, worker, limit, timeout):
        until = time.monotonic() + timeout
        while not (promoted := super().promote(worker, limit, 0)):
            left = until - time.monotonic()
            if left <= 0:
                break
            due = self._books.due_at()
            time.sleep(max(0, min(left, (due - self.now()) / 1_000_000 if due else left)))
        return promoted


@breaks("T3")
class ReturnsFromAnIdlePromotionAtOnce(Intact):
    def promote(self, worker, limit, timeout):
        return super().promote(worker, limit, 0)


@breaks("T3")
class LetsEveryoneHoldTheDuties(Intact):
    def promote(self, worker, limit, timeout):
        self._duty = ("", 0)
        return super().promote(worker, limit, timeout)


@breaks("T3")
class NeverGivesTheDutiesUp(Intact):
    def heartbeat(self, worker, lease, info):
        duty = self._duty
        beat = super().heartbeat(worker, lease, info)
        self._duty = duty
        return beat
