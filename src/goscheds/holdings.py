"""What this worker holds: every claim from the store's answer to the store's acceptance of its outcome."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from goscheds.codec import decode_meta
from goscheds.errors import StoreUnavailable
from goscheds.execution import Execution, Run
from goscheds.job import label
from goscheds.loop import LoopThread
from goscheds.outage import Outage
from goscheds.plugins import plugins
from goscheds.record import Claim, Outcome
from goscheds.store import Pipelined, Store

log = logging.getLogger("goscheds")
ATTEMPTS = 5
"""How often a settle that the store answers with an error (not: does not answer) is tried."""


class Holdings:
    """Claims and settles for one worker, so that it never runs a claim it does not hold, nor holds one it does not run.

    The store may think that the worker holds more than it knows of, after a claim whose answer was lost (L7), or less,
    after a lapse of its lease (L3). ``reconcile`` makes the two agree.
    """

    def __init__(self, store: Store, worker: str, execution: Execution, loop: LoopThread) -> None:
        self.store = store
        self.worker = worker
        self.doubt = threading.Event()
        self.stir: Callable[[], None] = lambda: None  # the watch has something to look at
        self.timed: dict[tuple[str, int], Run] = {}  # those with a timeout
        self.closing = threading.Event()  # settling no longer waits for the store
        self.leased_until = float("inf")  # monotonic seconds; the heart says
        self.settled = 0  # claims, since the worker began
        self._pipelined = store if isinstance(store, Pipelined) else None
        self._execution = execution
        self._loop = loop
        self._runs: dict[tuple[str, int], Run] = {}
        self._unfinished: dict[Run, None] = {}  # those without an outcome yet
        self._disowned: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._outage = Outage(f"Worker {worker}, settling", self.closing)

    def __len__(self) -> int:
        return len(self._runs)

    def claim(self, queue: str, limit: int, timeout: float) -> list[Run]:
        """Claim jobs, ready to be run. Raises StoreError; whether something was claimed is then looked up later."""
        return self._admit(lambda: self.store.claim(queue, self.worker, limit, timeout))

    def recover(self, limit: int) -> list[Run]:
        """Claim orphans, to be judged. Raises StoreError; whether something was claimed is then looked up later."""
        return self._admit(lambda: self.store.recover(self.worker, limit))

    def _admit(self, call: Callable[[], Sequence[Claim]]) -> list[Run]:
        try:
            claims = call()
        except BaseException:
            self.suspect()
            raise
        return self._enter(claims)

    def _enter(self, claims: Sequence[Claim]) -> list[Run]:
        """Hold claims, but for those that were given back while their answer was on its way."""
        try:
            runs = [self._execution.prepare(claim) for claim in claims]
        except BaseException:  # out of memory, say: the store thinks that we hold them
            self.suspect()
            raise
        with self._lock:
            if self._disowned:
                runs = [run for run in runs if run.key not in self._disowned]
            timed = False
            for run in runs:
                self._runs[run.key] = run
                self._unfinished[run] = None
                if run.claim.record.timeout:
                    self.timed[run.key] = run
                    timed = True
        if timed:
            self.stir()
        return runs

    def finish(self, run: Run) -> bool:
        """Whether the caller is the one who says how a run ended; nobody is the second time."""
        run.finished = True
        return self._unfinished.pop(run, False) is None  # one step; a lock here held up all slots with one

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Report outcomes until the store has taken them or refused them."""
        if not outcomes:
            return
        accepted = self._insist(outcomes)
        if accepted is not None or len(outcomes) == 1 or self.closing.is_set():
            self._end(outcomes, accepted)
            return
        for outcome in outcomes:  # what the store can't take of one is no reason to run the others again
            self._end([outcome], self._insist([outcome], 1))

    def settle_and_claim(self, outcomes: Sequence[Outcome], queue: str, limit: int) -> list[Run]:
        """Report outcomes and claim what there is, in one round trip where the store can.

        Raises StoreError; the outcomes are reported all the same, as ``settle`` does it.
        """
        if not outcomes or not self._pipelined:
            self.settle(outcomes)
            return self.claim(queue, limit, 0)
        try:
            accepted, claims = self._pipelined.settle_and_claim(self.worker, outcomes, queue, limit)
        except BaseException as error:
            self.suspect()  # it may have claimed; and it may have settled, which a repetition does not change (S3)
            self.settle(outcomes)
            if isinstance(error, StoreUnavailable):  # no news by now: to settle was to wait until it is back
                return []
            raise
        self._end(outcomes, set(accepted))
        return self._enter(claims)

    def _end(self, outcomes: Sequence[Outcome], accepted: set[str] | None) -> None:
        """Hold these claims no more."""
        with self._lock:
            self.settled += len(outcomes)
            ended = [(outcome, self._runs.pop((outcome.id, outcome.fence), None)) for outcome in outcomes]
            if self.timed:
                for outcome in outcomes:
                    self.timed.pop((outcome.id, outcome.fence), None)
        if accepted is None:
            self.suspect()  # the store may still think we hold them; they are strays now
        else:
            self._tell(ended, accepted)

    def _insist(self, outcomes: Sequence[Outcome], attempts: int = ATTEMPTS) -> set[str] | None:
        """The accepted ids, or None when it could not be done. Repeating is harmless (S3)."""
        errors = 0
        while True:
            try:
                accepted = set(self.store.settle(self.worker, outcomes))
            except Exception as error:
                errors += not isinstance(error, StoreUnavailable)
                if errors >= attempts or self.closing.is_set():
                    log.exception(
                        "Worker %s could not settle %d job(s); what stays unsettled runs again.",
                        self.worker,
                        len(outcomes),
                    )
                    return None
                self._outage.endure(error)
            else:
                self._outage.over()
                return accepted

    def _tell(self, ended: Sequence[tuple[Outcome, Run | None]], accepted: set[str]) -> None:
        settled, lost = plugins.listens("goscheds_job_settled"), plugins.listens("goscheds_job_lost")
        if not settled and all(outcome.id in accepted for outcome, _ in ended):
            return
        for outcome, run in ended:
            if run is None:
                continue
            record = run.claim.record
            event = {"id": record.id, "name": record.name, "queue": record.queue, "fence": outcome.fence}
            if outcome.id not in accepted:
                log.warning("Job %s had been taken from this worker; its outcome is dropped.", label(record))
                if lost:
                    plugins.notify("goscheds_job_lost", **event)
            elif settled:
                error = decode_meta(outcome.meta).error
                plugins.notify("goscheds_job_settled", verb=outcome.verb.value, error=error, **event)

    def release(self, runs: Sequence[Run]) -> None:
        """Give claims back that were not begun, or whose worker stops."""
        self.settle([Outcome.released(run.claim) for run in runs if self.finish(run)])

    def unfinished(self) -> list[Run]:
        """The runs without an outcome yet."""
        with self._lock:
            return list(self._unfinished)

    def overdue(self, now: float) -> list[Run]:
        """The runs past their timeout, by a monotonic moment."""
        with self._lock:
            return [run for run in self.timed.values() if run.deadline < now and not run.finished]

    def stop(self, run: Run, reason: str) -> None:
        """Tell a run's handler to stop; once, as a second cancellation would break off its clearing up."""
        if run.context.cancelled:
            return
        run.context.stop(reason)
        if run.task:
            self._loop.call(run.task.cancel)

    def stop_cancelled(self, ids: Iterable[str]) -> None:
        """Tell the handlers of cancelled jobs to stop (X2)."""
        wanted = set(ids)
        for run in self.unfinished():
            if run.claim.record.id in wanted:
                self.stop(run, "the job was cancelled")

    def suspect(self) -> None:
        """The store and this worker may disagree on what it holds."""
        self.doubt.set()
        self.stir()

    def reconcile(self) -> None:
        """Make the store and this worker agree. Raises StoreError."""
        self.doubt.clear()
        with self._lock:
            before = dict(self._runs)
        try:
            held = {(claim.record.id, claim.fence): claim for claim in self.store.held(self.worker)}
        except BaseException:
            self.doubt.set()
            raise
        with self._lock:
            strays = [claim for key, claim in held.items() if key not in self._runs and key not in before]
            self._disowned.update((claim.record.id, claim.fence) for claim in strays)
        if strays:
            log.warning("Worker %s: %d claim(s) whose answer was lost are given back.", self.worker, len(strays))
            self.settle([Outcome.released(claim) for claim in strays])
        for key, run in before.items():
            if key not in held and not run.finished:
                self.stop(run, "the job was lost to another worker")
