"""What a handler may know of its own run."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

from goscheds.codec import UNWRITTEN
from goscheds.errors import JobCancelled
from goscheds.job import Job

TOLD = threading.Condition()
"""Rung when any handler is told to stop. One for all: an event for each run took 3 of the 8 µs that goscheds itself
spends on a job, and few handlers are ever told or wait to be."""


class Context(Struct, eq=False):
    """Handed to a handler that declares a parameter annotated ``Context``."""

    _load: Callable[[], Job]
    attempt: int
    """Which attempt this is: 1 for the first. Crashes of a worker don't count."""
    fence: int
    """One higher at each claim of the job and never reused. Pass it downstream, so that a stale run is refused."""
    worker: str
    """The id of the worker that runs it."""
    _id: str = ""
    _job: Job | None = None
    _stopped: bool = False
    _reason: str = ""
    _unwritten: object = UNWRITTEN

    def __repr__(self) -> str:
        """Logs are no place for a job's arguments."""
        return f"<Context of {f'job {self._id!r}' if self._id else 'a call'}, attempt {self.attempt}>"

    @property
    def job(self) -> Job:
        """The job, with its arguments as JSON values."""
        if self._job is None:
            self._job = self._load()
        return self._job

    @property
    def cancelled(self) -> bool:
        """Whether to stop: somebody cancelled the job, its time is over, or it was lost to another worker."""
        return self._stopped

    @property
    def reason(self) -> str:
        """Why to stop; empty if there is no reason to."""
        return self._reason

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than until there is a reason to stop; whether there is one. For sync handlers."""
        with TOLD:
            return TOLD.wait_for(lambda: self._stopped, seconds)

    def check(self) -> None:
        """Raise JobCancelled if there is a reason to stop."""
        if self._stopped:
            raise JobCancelled(self._reason)

    def stop(self, reason: str) -> None:
        """Tell the handler to stop; for the worker."""
        with TOLD:
            if not self._stopped:
                self._reason, self._stopped = reason, True
                TOLD.notify_all()
