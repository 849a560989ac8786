"""Stores that break P and U."""

from __future__ import annotations

import time
import unicodedata
from typing import ClassVar

from msgspec.structs import replace

from broken import breaks
from broken.intact import Intact
from goscheds.backends.memory import MemoryStore
from goscheds.errors import StoreError
from goscheds.record import MoveVerb, State, Verb


@breaks("P2")
class DropsTheLastOfALargeBatch(Intact):
    def push(self, jobs):
        kept = jobs[:-1] if len(jobs) > 500 else jobs
        return super().push(kept) + [job.id for job in jobs[len(kept) :]]


@breaks("P2")
class PushesABatchOneByOne(Intact):
    def push(self, jobs):
        return [id for job in jobs for id in super(PushesABatchOneByOne, self).push([job])]


@breaks("P2")
class StopsABatchAtAConflict(Intact):
    def push(self, jobs):
        ids = []
        for job in jobs:
            ids += super().push([job])
            if ids[-1] != job.id and len(jobs) > 2:
                return ids + [job.id for job in jobs[len(ids) :]]
        return ids


@breaks("P2")
class KeepsWhatComesBeforeAJobThatItCanNotKeep(Intact):
    def push(self, jobs):
        ids = super().push([job for job in jobs if job.timeout.bit_length() < 64])
        if len(ids) < len(jobs):
            raise StoreError("a timeout is too long")
        return ids


@breaks("P3")
class ReplacesAJobOfTheSameId(Intact):
    def _push(self, record):
        known = self._books.jobs.get(record.id)
        if known and known.state is State.READY:
            known.record = replace(known.record, payload=record.payload)
        return super()._push(record)


@breaks("P3")
class RefusesARepeatedPush(Intact):
    def push(self, jobs):
        if jobs and all(job.id in self._books.jobs for job in jobs):
            raise StoreError("duplicate key value violates unique constraint")
        return super().push(jobs)


@breaks("P4")
class CutsPayloadsAtNul(Intact):
    def _push(self, record):
        return super()._push(replace(record, payload=record.payload.split(b"\x00")[0]))


@breaks("P4")
class ForgetsThePayloadOfTheDead(Intact):
    def settle(self, worker, outcomes):
        accepted = super().settle(worker, outcomes)
        for outcome in outcomes:
            if outcome.verb is Verb.DEAD and (job := self._books.jobs.get(outcome.id)):
                job.record = replace(job.record, payload=b"")
        return accepted


@breaks("P4")
class NormalisesQueueNames(Intact):
    def _push(self, record):
        return super()._push(replace(record, queue=unicodedata.normalize("NFC", record.queue)))

    def claim(self, queue, worker, limit, timeout):
        return super().claim(unicodedata.normalize("NFC", queue), worker, limit, timeout)


@breaks("P4")
class TrimsNames(Intact):
    def _push(self, record):
        return super()._push(replace(record, name=record.name.strip()))


@breaks("P4")
class KeepsPayloadsUpTo64Kilobytes(Intact):
    def _push(self, record):
        return super()._push(replace(record, payload=record.payload[:65_536]))


class Namespaces(Intact):
    """Memory shared by name, as a server has it."""

    shared: ClassVar[dict[str, MemoryStore]]

    def __init__(self, url, namespace):
        super().__init__(url, namespace)
        known = self.shared.setdefault(self.key(namespace), self)
        self.__dict__ = known.__dict__ | {"namespace": namespace}

    def key(self, namespace):
        return namespace


@breaks("P5")
class SharesANamespaceWithItsExtensions(Namespaces):
    shared: ClassVar = {}

    def key(self, namespace):
        return namespace.partition(".")[0]


@breaks("P5")
class ErasesByAPattern(Namespaces):
    shared: ClassVar = {}

    def erase(self):
        super().erase()
        for name, store in self.shared.items() if "_" in getattr(self, "namespace", "") else ():
            if len(name) == len(self.namespace) and store.namespace != self.namespace:
                MemoryStore.erase(store)


@breaks("U1")
class LosesTheUniqueKeyAtRetry(Intact):
    def settle(self, worker, outcomes):
        accepted = super().settle(worker, outcomes)
        for outcome in outcomes:
            if outcome.verb is Verb.RETRY and outcome.id in accepted:
                job = self._books.jobs[outcome.id]
                self._books.holders.pop(job.record.unique_key, None)
                job.record = replace(job.record, unique_key="")
        return accepted


@breaks("U1")
class ChecksTheUniqueKeyBeforeItLocks(Intact):
    def push(self, jobs):
        if len(jobs) > 1 or not jobs[0].unique_key:
            return super().push(jobs)
        (job,) = jobs
        if holder := self._books.holders.get(job.unique_key):
            return [holder]
        time.sleep(0.001)
        with self._changed:
            self._books.holders.pop(job.unique_key, None)
            return super().push(jobs)


@breaks("U1")
class KeepsUniqueKeysPerQueue(Intact):
    def _push(self, record):
        key = record.unique_key and f"{record.queue}/{record.unique_key}"
        return super()._push(replace(record, unique_key=key))


@breaks("U1")
class RetriesByHandOverATakenKey(Intact):
    def move(self, moves):
        for move in moves:
            job = self._books.jobs.get(move.id)
            if move.verb is MoveVerb.RETRY and job and job.state is State.DEAD:
                self._books.holders.pop(job.record.unique_key, None)
        return super().move(moves)


@breaks("U2")
class KeepsTheKeyOfADoneJob(Intact):
    def settle(self, worker, outcomes):
        accepted = super().settle(worker, outcomes)
        for outcome in outcomes:
            job = self._books.jobs.get(outcome.id)
            if job and job.state is State.DONE and job.record.unique_key:
                self._books.holders.setdefault(job.record.unique_key, job.record.id)
        return accepted


@breaks("U2")
class FreesTheKeyOfANewHolderWithAnOldJob(Intact):
    def purge(self, state, before, limit, queue=""):
        for id in self._books.settled.get(state, ()):
            self._books.holders.pop(self._books.jobs[id].record.unique_key, None)
        return super().purge(state, before, limit, queue)
