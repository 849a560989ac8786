"""Stores that break K, and those of F that need no server."""

from __future__ import annotations

import time

from msgspec.structs import replace

from broken import breaks
from broken.intact import Intact
from goscheds.errors import StoreError
from goscheds.record import LIVE, Counts, MoveVerb, Page, State


@breaks("K1")
class CountsAreOffAfterACancellation(Intact):
    def move(self, moves):
        states = super().move(moves)
        for move, state in zip(moves, states, strict=True):
            if move.verb is MoveVerb.CANCEL and state is State.CANCELLED:
                self._books.counts[self._books.jobs[move.id].record.queue, State.READY] += 1
        return states


@breaks("K1")
class CountsPairsWithNoJob(Intact):
    def counts(self):
        return Counts(dict(self._books.counts), super().counts().paused)


@breaks("K1")
class SkipsAJobBetweenPages(Intact):
    def find(self, query):
        page = super().find(query)
        return replace(page, next=str(int(page.next) + 2)) if page.next else page


@breaks("K1")
class PagesByOffset(Intact):
    def find(self, query):
        if query.ids:
            return super().find(query)
        rows = super().find(replace(query, after="", limit=10**9)).rows
        start = int(query.after or 0)
        end = start + query.limit
        return Page(rows[start:end], str(end) if len(rows) > end else "")


@breaks("K1")
class FindsIdsWhateverElseIsAsked(Intact):
    def find(self, query):
        return super().find(replace(query, queue="", states=()) if query.ids else query)


@breaks("K1")
class EndsAPauseAtAPurge(Intact):
    def purge(self, state, before, limit, queue=""):
        purged = super().purge(state, before, limit, queue)
        if purged:
            self._paused.clear()
        return purged


@breaks("K1")
class WakesTheScheduledAtARetryByHand(Intact):
    def move(self, moves):
        states = super().move(moves)
        if any(move.verb is MoveVerb.RETRY and state is State.READY for move, state in zip(moves, states, strict=True)):
            for job in [job for job in self._books.jobs.values() if job.state is State.SCHEDULED][:1]:
                self._books.promote(job)
        return states


@breaks("K2")
class PurgesEveryQueue(Intact):
    def purge(self, state, before, limit, queue=""):
        return super().purge(state, before, limit)


@breaks("K2")
class PurgesByWhenAJobWasPushed(Intact):
    def purge(self, state, before, limit, queue=""):
        settled = {job.record.id: job.changed_at for job in self._books.jobs.values()}
        for job in self._books.jobs.values():
            job.changed_at = job.pushed_at
        purged = super().purge(state, before, limit, queue)
        for job in self._books.jobs.values():
            job.changed_at = settled[job.record.id]
        return purged


@breaks("K2")
class PurgesLiveJobs(Intact):
    def purge(self, state, before, limit, queue=""):
        if state not in LIVE:
            return super().purge(state, before, limit, queue)
        doomed = [job for job in self._books.jobs.values() if job.state is state][:limit]
        for job in doomed:
            self._books.delete(job)
        return len(doomed)


@breaks("K2")
class PurgesOneTooMany(Intact):
    def purge(self, state, before, limit, queue=""):
        return super().purge(state, before, limit + 1, queue)


@breaks("F2")
class ForgetsEverythingWhenClosed(Intact):
    def close(self):
        super().close()
        self.erase()


@breaks("F2")
class OpensOnlyOnce(Intact):
    closed = False

    def close(self):
        super().close()
        self.closed = True

    def claim(self, queue, worker, limit, timeout):
        if self.closed:
            raise StoreError("closed")
        return super().claim(queue, worker, limit, timeout)


@breaks("F3")
class OpensOneAtATime(Intact):
    opening = False

    def open(self):
        if self.opening:
            raise StoreError("database is locked")
        self.opening = True
        time.sleep(0.01)
        self.opening = False
