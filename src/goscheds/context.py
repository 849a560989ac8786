"""What a handler may know of its own run."""

from __future__ import annotations

import threading
from collections.abc import Callable

from goscheds.errors import JobCancelled
from goscheds.job import Job


class Context:
    """Handed to a handler that declares a parameter annotated ``Context``."""

    def __init__(self, load: Callable[[], Job], attempt: int, fence: int, worker: str) -> None:
        self._load = load
        self._job: Job | None = None
        self._stopped = threading.Event()
        self._reason = ""
        self.attempt = attempt
        """Which attempt this is: 1 for the first. Crashes of a worker don't count."""
        self.fence = fence
        """One higher at each claim of the job and never reused. Pass it downstream, so that a stale run is refused."""
        self.worker = worker
        """The id of the worker that runs it."""

    @property
    def job(self) -> Job:
        """The job, with its arguments as JSON values."""
        if self._job is None:
            self._job = self._load()
        return self._job

    @property
    def cancelled(self) -> bool:
        """Whether to stop: somebody cancelled the job, its time is over, or it was lost to another worker."""
        return self._stopped.is_set()

    @property
    def reason(self) -> str:
        """Why to stop; empty if there is no reason to."""
        return self._reason

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than until there is a reason to stop; whether there is one. For sync handlers."""
        return self._stopped.wait(seconds)

    def check(self) -> None:
        """Raise JobCancelled if there is a reason to stop."""
        if self._stopped.is_set():
            raise JobCancelled(self._reason)

    def stop(self, reason: str) -> None:
        """Tell the handler to stop; for the worker."""
        if not self._stopped.is_set():
            self._reason = reason
            self._stopped.set()
