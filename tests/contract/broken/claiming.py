"""Stores that break C."""

from __future__ import annotations

import time

from msgspec.structs import replace

from broken import breaks
from broken.intact import Intact
from goscheds.record import Outcome, State, Verb


@breaks("C1")
class HandsAJobOutTwiceInAThousand(Intact):
    def __init__(self, url, namespace):
        super().__init__(url, namespace)
        self.handed_out = 0

    def claim(self, queue, worker, limit, timeout):
        claims = super().claim(queue, worker, limit, timeout)
        with self._changed:
            before, self.handed_out = self.handed_out, self.handed_out + len(claims)
        if claims and before // 1000 < self.handed_out // 1000:
            self.again = claims[:1]
        elif claims and limit > 1 and hasattr(self, "again"):
            claims += self.__dict__.pop("again")
        return claims


@breaks("C1")
class UsesAFenceAgain(Intact):
    def settle(self, worker, outcomes):
        accepted = super().settle(worker, outcomes)
        for outcome in outcomes:
            if outcome.verb is Verb.RELEASED and outcome.id in accepted:
                self._books.jobs[outcome.id].fence -= 1
        return accepted


@breaks("C1")
class ClaimsOneTooMany(Intact):
    def claim(self, queue, worker, limit, timeout):
        return super().claim(queue, worker, limit + 1, timeout)


@breaks("C2")
class IgnoresPriority(Intact):
    def _push(self, record):
        return super()._push(replace(record, priority=0))


@breaks("C2")
class LastInFirstOut(Intact):
    def push(self, jobs):
        return super().push(jobs[::-1])[::-1]


@breaks("C2")
class ReleasesToTheEnd(Intact):
    def settle(self, worker, outcomes):
        return super().settle(
            worker,
            [replace(outcome, verb=Verb.RETRY) if outcome.verb is Verb.RELEASED else outcome for outcome in outcomes],
        )


@breaks("C2")
class PromotesInTheOrderOfPushing(Intact):
    def _promote_due(self, limit):
        due = [job for job in self._books.jobs.values() if job.state is State.SCHEDULED]
        due = [job for job in due if job.record.execute_at <= self.now()][:limit]
        for job in due:
            self._books.promote(job)
        return len(due)


@breaks("C2")
class HandsOutTheFirstThatIsDue(Intact):
    def _promote_due(self, limit):
        first = super()._promote_due(min(limit, 1))
        self._changed.notify_all()
        self._changed.wait(0.05)  # lets go of the lock
        return first + (super()._promote_due(limit - first) if first else 0)


@breaks("C3")
class WalksTheQueueToClaim(Intact):
    def claim(self, queue, worker, limit, timeout):
        with self._changed:
            sum(job.state is State.READY for job in self._books.jobs.values())
        return super().claim(queue, worker, limit, timeout)


@breaks("C4")
class LooksOnceASecond(Intact):
    def claim(self, queue, worker, limit, timeout):
        until = time.monotonic() + timeout
        while not (claims := super().claim(queue, worker, limit, 0)) and time.monotonic() < until:
            time.sleep(min(1, timeout))
        return claims


@breaks("C4")
class WakesOneForABatch(Intact):
    def push(self, jobs):
        with self._changed:
            ids = [self._push(job) for job in jobs]
            self._changed.notify(1)
        return ids


@breaks("C4")
class SleepsThroughARetry(Intact):
    def settle(self, worker, outcomes):
        with self._changed:
            notify_all, self._changed.notify_all = self._changed.notify_all, lambda: None
            try:
                return super().settle(worker, outcomes)
            finally:
                self._changed.notify_all = notify_all


@breaks("C4")
class ReturnsFromAnIdleClaimAtOnce(Intact):
    def claim(self, queue, worker, limit, timeout):
        return super().claim(queue, worker, limit, 0)


@breaks("C5")
class HandsOutWhatIsPushedIntoAPause(Intact):
    """A claim looks for a pause when it begins, and not once it waits."""

    def claim(self, queue, worker, limit, timeout):
        claims, until = super().claim(queue, worker, limit, 0), time.monotonic() + timeout
        looked = queue not in self._paused
        while looked and not claims and time.monotonic() < until and worker not in self._interrupted:
            time.sleep(0.005)
            with self._changed:
                paused, self._paused = self._paused, set()
                claims = super().claim(queue, worker, limit, 0)
                self._paused = paused
        return claims


@breaks("C5")
class GoesOnThroughAPause(Intact):
    """Who is at work already is handed more."""

    def settle_and_claim(self, worker, outcomes, queue, limit):
        with self._changed:
            paused, self._paused = self._paused, set()
            answer = super().settle_and_claim(worker, outcomes, queue, limit)
            self._paused = paused
        return answer


@breaks("C5")
class LosesWhatIsPushedIntoAPause(Intact):
    def _push(self, record):
        return record.id if record.queue in self._paused else super()._push(record)


@breaks("C5")
class EndsAPauseAtASettle(Intact):
    def settle(self, worker, outcomes):
        self._paused.clear()
        return super().settle(worker, outcomes)


@breaks("C5")
class CancelsWhatIsReleasedIntoAPause(Intact):
    def settle(self, worker, outcomes):
        if not self._paused:
            return super().settle(worker, outcomes)
        claims = {claim.record.id: claim for claim in self.held(worker)}
        return super().settle(
            worker,
            [
                Outcome.dead(claims[one.id]) if one.verb is Verb.RELEASED and one.id in claims else one
                for one in outcomes
            ],
        )
