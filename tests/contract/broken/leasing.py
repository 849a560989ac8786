"""Stores that break L."""

from __future__ import annotations

import heapq
import time

from msgspec.structs import replace

from broken import breaks
from broken.intact import Intact
from goscheds.record import Heartbeat, Lost, State


@breaks("L1")
class RecoversLiveWorkers(Intact):
    def recover(self, worker, limit):
        with self._changed:
            for id in self._workers.keys() - {worker}:
                self._workers[id] = (0, b"")
            return super().recover(worker, limit)


@breaks("L1")
class CountsALeaseFromTheFirstHeartbeat(Intact):
    def heartbeat(self, worker, lease, info):
        first = self._workers[worker] if self._alive(worker) and lease else None
        beat = super().heartbeat(worker, lease, info)
        if first:
            self._workers[worker] = first
        return beat


@breaks("L2")
class GivesJobsToWorkersWithoutALease(Intact):
    def _claim_ready(self, queue, worker, limit):
        self._alive = lambda _: True
        try:
            return super()._claim_ready(queue, worker, limit)
        finally:
            del self._alive


@breaks("L2")
class ForgetsAWorkerOnceItIsRecovered(Intact):
    def recover(self, worker, limit):
        lapsed = [id for id in self._workers if not self._alive(id)]
        claims = super().recover(worker, limit)
        for id in lapsed:
            self._workers.pop(id, None)
        return claims


@breaks("L2")
class ChecksTheLeaseBeforeItWaits(Intact):
    def claim(self, queue, worker, limit, timeout):
        claims, until = super().claim(queue, worker, limit, 0), time.monotonic() + timeout
        looked = self._alive(worker)
        while looked and not claims and time.monotonic() < until:
            time.sleep(0.005)
            with self._changed:
                lease, self._workers[worker] = self._workers[worker], (self.now() + 1_000_000, b"")
                claims = super().claim(queue, worker, limit, 0)
                self._workers[worker] = lease
        return claims


@breaks("L3")
class NeverSaysThatALeaseRanOut(Intact):
    def heartbeat(self, worker, lease, info):
        return Heartbeat(lapsed=False, cancel=super().heartbeat(worker, lease, info).cancel)


@breaks("L3")
class ListsNoWorkerThatIsGone(Intact):
    def workers(self):
        return [worker for worker in super().workers() if self._alive(worker.id)]


@breaks("L4")
class LeavesLateJobsToTheLiving(Intact):
    def _past_deadline(self, worker, limit):
        return []


@breaks("L4")
class SparesTheCallersOwnLateJobs(Intact):
    def _past_deadline(self, worker, limit):
        own = set(self._books.held[worker])
        put_back = [entry for entry in self._deadlines if entry[2] in own]
        self._deadlines = [entry for entry in self._deadlines if entry[2] not in own]
        claims = super()._past_deadline(worker, limit)
        self._deadlines += put_back
        heapq.heapify(self._deadlines)
        return claims


@breaks("L4")
class GivesARecoveredJobADeadline(Intact):
    def recover(self, worker, limit):
        claims = super().recover(worker, limit)
        for claim in claims:
            if claim.record.timeout:
                deadline = claim.claimed_at + claim.record.timeout
                heapq.heappush(self._deadlines, (deadline, claim.fence, claim.record.id))
        return claims


@breaks("L4")
class TakesBackWhatIsNoLongerHeld(Intact):
    def _past_deadline(self, worker, limit):
        late = [id for due, _, id in self._deadlines if due <= self.now()]
        claims = super()._past_deadline(worker, limit)
        for id in late:
            if (job := self._books.jobs.get(id)) and job.state is State.SCHEDULED:
                claims.append(self._take(job, worker, Lost.DEADLINE))
        return claims


@breaks("L5")
class TellsNoCrashFromAFailure(Intact):
    def recover(self, worker, limit):
        return [replace(claim, lost=Lost.NOT) for claim in super().recover(worker, limit)]


@breaks("L5")
class CallsEveryLossACrash(Intact):
    def recover(self, worker, limit):
        return [replace(claim, lost=Lost.LEASE) for claim in super().recover(worker, limit)]


@breaks("L6")
class RecoversNothingTwice(Intact):
    def __init__(self, url, namespace):
        super().__init__(url, namespace)
        self.recovered = set()

    def recover(self, worker, limit):
        with self._changed:
            hidden = {
                lapsed: [id for id in self._books.held[lapsed] if id in self.recovered]
                for lapsed in self._workers
                if not self._alive(lapsed)
            }
            for lapsed, ids in hidden.items():
                for id in ids:
                    del self._books.held[lapsed][id]
            claims = super().recover(worker, limit)
            for lapsed, ids in hidden.items():
                self._books.held[lapsed].update(dict.fromkeys(ids))
            self.recovered.update(claim.record.id for claim in claims)
            return claims

    def settle(self, worker, outcomes):
        self.recovered.difference_update(outcome.id for outcome in outcomes)
        return super().settle(worker, outcomes)


@breaks("L7")
class KnowsNoClaimWhoseAnswerWasLost(Intact):
    def held(self, worker):
        return [claim for claim in super().held(worker) if claim.fence == 1]


@breaks("L7")
class KnowsWhatWasSettled(Intact):
    def __init__(self, url, namespace):
        super().__init__(url, namespace)
        self.settled = []

    def settle(self, worker, outcomes):
        held = {claim.record.id: claim for claim in self.held(worker)}
        accepted = super().settle(worker, outcomes)
        self.settled += [held[id] for id in accepted if id in held]
        return accepted

    def held(self, worker):
        return super().held(worker) + getattr(self, "settled", [])[:1]
