"""Stores that break S and X."""

from __future__ import annotations

import time

from msgspec.structs import replace

from broken import breaks
from broken.intact import Intact
from goscheds.record import Heartbeat, MoveVerb, State, Verb


@breaks("S1")
class ForgetsTheFence(Intact):
    def settle(self, worker, outcomes):
        jobs = self._books.jobs
        return super().settle(
            worker, [replace(one, fence=jobs[one.id].fence) if one.id in jobs else one for one in outcomes]
        )


@breaks("S1")
class LetsAnyWorkerSettle(Intact):
    def _settle(self, worker, outcome):
        job = self._books.jobs.get(outcome.id)
        return super()._settle(job.worker if job else worker, outcome)


@breaks("S1")
class PushesTheFollowUpsOfARefusedOutcome(Intact):
    def settle(self, worker, outcomes):
        accepted = super().settle(worker, outcomes)
        for outcome in outcomes:
            if outcome.id not in accepted:
                self.push(outcome.jobs)
        return accepted


@breaks("S1")
class StopsAtAStaleOutcome(Intact):
    def settle(self, worker, outcomes):
        accepted = []
        for outcome in outcomes:
            if not super().settle(worker, [outcome]):
                break
            accepted.append(outcome.id)
        return accepted


@breaks("S1")
class TakesTheMetaOfARefusedOutcome(Intact):
    def settle(self, worker, outcomes):
        accepted = super().settle(worker, outcomes)
        for outcome in outcomes:
            if outcome.id not in accepted and outcome.meta and (job := self._books.jobs.get(outcome.id)):
                job.record = replace(job.record, meta=outcome.meta)
        return accepted


@breaks("S2")
class ForgetsFollowUps(Intact):
    def settle(self, worker, outcomes):
        return super().settle(worker, [replace(outcome, jobs=()) for outcome in outcomes])


@breaks("S2")
class SettlesUpToAHundred(Intact):
    def settle(self, worker, outcomes):
        return super().settle(worker, outcomes[:100]) + [outcome.id for outcome in outcomes[100:]]


@breaks("S2")
class WipesMeta(Intact):
    def settle(self, worker, outcomes):
        accepted = super().settle(worker, outcomes)
        for outcome in outcomes:
            if outcome.id in accepted and (job := self._books.jobs.get(outcome.id)):
                job.record = replace(job.record, meta=outcome.meta)
        return accepted


@breaks("S2")
class PushesFollowUpsBeforeItSettles(Intact):
    def _settle(self, worker, outcome):
        job = self._books.jobs.get(outcome.id)
        if job and job.state is State.ACTIVE and job.fence == outcome.fence and job.worker == worker:
            for record in outcome.jobs:
                self._push(record)
        return super()._settle(worker, replace(outcome, jobs=()))


@breaks("S2")
class ClaimsBeforeItSettles(Intact):
    def settle_and_claim(self, worker, outcomes, queue, limit):
        claims = self.claim(queue, worker, limit, 0)
        return self.settle(worker, outcomes), claims


@breaks("U2")
class SettlesWhatHasFollowUpsFirstWhenItClaims(Intact):
    def settle_and_claim(self, worker, outcomes, queue, limit):
        super().settle(worker, [outcome for outcome in outcomes if outcome.jobs])
        return super().settle_and_claim(worker, outcomes, queue, limit)


@breaks("S3")
class PushesFollowUpsAnewWhenItClaims(Intact):
    def settle_and_claim(self, worker, outcomes, queue, limit):
        answer = super().settle_and_claim(worker, outcomes, queue, limit)
        for outcome in outcomes:
            for one in outcome.jobs:
                self.push([replace(one, id=f"{one.id}-{self.now()}")])
        return answer


@breaks("S3")
class RefusesARepeatedSettle(Intact):
    def _settle(self, worker, outcome):
        job = self._books.jobs.get(outcome.id)
        return bool(job and job.state is State.ACTIVE) and super()._settle(worker, outcome)


@breaks("S3")
class ReleasesWhenTheBatchIsSettled(Intact):
    def settle(self, worker, outcomes):
        accepted = super().settle(worker, sorted(outcomes, key=lambda outcome: outcome.verb is Verb.RELEASED))
        return [outcome.id for outcome in outcomes if outcome.id in accepted]


@breaks("S3")
class ReleasesAgainWhenRepeated(Intact):
    def settle(self, worker, outcomes):
        for outcome in outcomes:
            job = self._books.jobs.get(outcome.id)
            if outcome.verb is Verb.RELEASED and job and job.state is State.READY and 0 < job.fence == outcome.fence:
                self._books.release([outcome.id])
        return super().settle(worker, outcomes)


@breaks("S3")
class LetsTheLastOutcomeStand(Intact):
    def _settle(self, worker, outcome):
        job = self._books.jobs.get(outcome.id)
        if job and job.state is State.DONE and job.fence == outcome.fence and outcome.verb is not Verb.DONE:
            self._books.take(job, worker)
            job.fence -= 1
        return super()._settle(worker, outcome)


@breaks("X1")
class CancelsScheduledJobsInWordsOnly(Intact):
    def move(self, moves):
        jobs = self._books.jobs
        words = [
            one.verb is MoveVerb.CANCEL and one.id in jobs and jobs[one.id].state is State.SCHEDULED for one in moves
        ]
        states = super().move([one for one, word in zip(moves, words, strict=True) if not word])
        return [State.CANCELLED if word else states.pop(0) for word in words]


@breaks("X1")
class CancelsWhatIsOver(Intact):
    def move(self, moves):
        for move in moves:
            job = self._books.jobs.get(move.id)
            if move.verb is MoveVerb.CANCEL and job and job.state is State.DEAD:
                self._books.settle(job, State.CANCELLED, b"")
        return super().move(moves)


@breaks("X2")
class NeverTellsTheHolder(Intact):
    def heartbeat(self, worker, lease, info):
        return Heartbeat(super().heartbeat(worker, lease, info).lapsed)


@breaks("X2")
class TellsTheHolderOnce(Intact):
    def __init__(self, url, namespace):
        super().__init__(url, namespace)
        self.told = set()

    def heartbeat(self, worker, lease, info):
        beat = super().heartbeat(worker, lease, info)
        news = tuple(id for id in beat.cancel if id not in self.told)
        self.told.update(news)
        return Heartbeat(beat.lapsed, news)


@breaks("X2")
class RetriesWhatIsToBeCancelled(Intact):
    def _settle(self, worker, outcome):
        job = self._books.jobs.get(outcome.id)
        if job and outcome.verb is Verb.RETRY:
            job.cancelling = False
        return super()._settle(worker, outcome)


@breaks("X2")
class ForgetsACancellationAtRecovery(Intact):
    def recover(self, worker, limit):
        for lapsed in self._workers:
            for id in self._books.held[lapsed] if not self._alive(lapsed) else ():
                self._books.jobs[id].cancelling = False
        return super().recover(worker, limit)


@breaks("X3")
class LooksBeforeItCancels(Intact):
    def move(self, moves):
        looked = {id: job.state for id, job in list(self._books.jobs.items())} if len(moves) == 1 else {}
        if len(moves) == 1 and moves[0].verb is MoveVerb.CANCEL and looked.get(moves[0].id) is State.READY:
            time.sleep(0.0005)
            super().move(moves)
            return [State.CANCELLED]
        return super().move(moves)


@breaks("X3")
class ReschedulesWhatIsOver(Intact):
    def move(self, moves):
        for move in moves:
            job = self._books.jobs.get(move.id)
            if move.verb is MoveVerb.RESCHEDULE and job and job.state is State.DONE:
                self._books.enqueue(job, move.execute_at, move.delay)
        return super().move(moves)
