"""Stores on Redis with faults that only other processes can meet."""

from __future__ import annotations

import threading
import time

from msgspec.structs import replace

from broken import breaks, name_scheme, serve
from goscheds.backends.redis import connect
from goscheds.backends.redis.scripts import Line
from goscheds.store import Capability


def served(url, namespace):
    """The intact store; the schemes of this room are Redis URLs otherwise."""
    return connect("redis" + url[url.index("://") :], namespace)


class Wrapped:
    """A store around the intact one. The verbs that a fault does not touch pass through."""

    def __init__(self, url, namespace):
        self.inner = served(url, namespace)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def erase(self):
        self.inner.erase()


@breaks("P1")
class PutsPushesOff(Wrapped):
    """It answers before it has written, as one that batches does, or one that replicates behind."""

    def push(self, jobs):
        threading.Timer(0.2, self.inner.push, [jobs]).start()
        return [job.id for job in jobs]


@breaks("T1")
class UsesTheClientsClock(Wrapped):
    def push(self, jobs):
        now = time.time_ns() // 1000
        return self.inner.push(
            [replace(job, execute_at=now + job.delay, delay=0) if job.delay else job for job in jobs]
        )


@breaks("L2")
class ForgetsAnIdBetweenBlmoveAndClaim(Wrapped):
    """It waits in BLMOVE into a list of its own, and owns the job only with the next command."""

    def __init__(self, url, namespace):
        super().__init__(url, namespace)
        waiting, client, tag = self.inner._waiting, self.inner._server.client, self.inner._tag
        take = waiting.take

        def take_second(worker, left, line, held, behind):
            ticket, answer = take(worker, left, line, f"{tag}:limbo", behind)
            if ticket:
                client.lmove(f"{tag}:limbo", held)
            return ticket, answer

        waiting.take = take_second


@breaks("L6")
class SettlesAndThenPushes(Wrapped):
    def settle(self, worker, outcomes):
        accepted = self.inner.settle(worker, [replace(outcome, jobs=()) for outcome in outcomes])
        if follow_ups := [job for outcome in outcomes if outcome.id in accepted for job in outcome.jobs]:
            time.sleep(0.03)
            self.inner.push(follow_ups)
        return accepted


@breaks("L6")
class ReleasesOrphansBeforeItOwnsThem(Wrapped):
    """Its recovery is two steps: the orphan leaves one worker's hands before it comes into the other's."""

    def recover(self, worker, limit):
        claims = self.inner.recover(worker, limit)
        if claims:
            keys = [f"{self.inner._tag}:active:{worker}"]
            lost = self.inner._server.client.smembers(keys[0])
            self.inner._server.client.delete(*keys)
            time.sleep(0.01)
            self.inner._server.client.sadd(keys[0], *lost)
        return claims


@breaks("C4")
class NeedsItsWakeUpChannel(Wrapped):
    def __init__(self, url, namespace):
        super().__init__(url, namespace)
        self.cut = "wakeups=off" in url

    def claim(self, queue, worker, limit, timeout):
        if not self.cut:
            return self.inner.claim(queue, worker, limit, timeout)
        if not (claims := self.inner.claim(queue, worker, limit, 0)):
            time.sleep(min(timeout, 5))
        return claims


class AsTheyAre(Line):
    def __exit__(self, *_):
        pass


@breaks("F1")
class RaisesTheDriversErrors(Wrapped):
    def __init__(self, url, namespace):
        super().__init__(url, namespace)
        for line in (self.inner._server, self.inner._work, self.inner._pulse):
            line.__class__ = AsTheyAre


class Served(Wrapped):
    capabilities = frozenset({Capability.PROCESSES, Capability.DURABLE, Capability.POLLING})


serve("served", Served)
SCHEMES = {name_scheme(store) for store in Wrapped.__subclasses__()}
