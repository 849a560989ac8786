"""The scheduler: what producers push to, what handlers register with, and what runs the duties alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, overload

from goscheds.clock import duration_micros
from goscheds.codec import MAX_PAYLOAD, due, encode
from goscheds.context import Context
from goscheds.errors import ConfigError, InvalidJob
from goscheds.handlers import Registry
from goscheds.job import Job, check_text
from goscheds.operations import Operations
from goscheds.outage import insist
from goscheds.plugins import open_store, plugins
from goscheds.record import Record
from goscheds.retry import Retry
from goscheds.store import Store
from goscheds.task import Register, Task
from goscheds.twins import awaitable
from goscheds.url import redact
from goscheds.verdict import Keep

P = ParamSpec("P")
R = TypeVar("R")

HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)


class Scheduler(Operations):
    """A namespace of jobs in the store that ``url`` names.

    Nothing is connected before the first call that needs the store, so that a module may make one at import.

    Args:
        url: ``sqlite:///file``, ``redis://…``, ``postgresql://…``, ``memory://``, or what a plugin serves.
        namespace: schedulers with different ones share a store and never see each other.
        keep_done: how long done and cancelled jobs are kept to look at; zero deletes them as they end.
        keep_dead: the same for dead ones.
        max_payload: bytes; a larger encoded job is refused.

    Raises ConfigError if the URL or the namespace can't work.
    """

    def __init__(
        self,
        url: str,
        namespace: str = "goscheds",
        *,
        keep_done: timedelta = HOUR,
        keep_dead: timedelta = MONTH,
        max_payload: int = MAX_PAYLOAD,
    ) -> None:
        self.url: str = redact(url)
        self.namespace = namespace
        self.keep: Keep = Keep(duration_micros(keep_done, "keep_done"), duration_micros(keep_dead, "keep_dead"))
        self.max_payload = max_payload
        self.handlers: Registry = Registry()
        self.tasks: dict[str, Task[..., Any]] = {}
        """The decorated handlers by name; a job made by one has the handler's own queue, priority and so on."""
        self._connect: Callable[[], Store] = lambda: open_store(url, namespace)
        self._store: Store = self._connect()
        self._opened_in = 0  # the process that opened it
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        return f"Scheduler({self.url!r}, namespace={self.namespace!r})"

    @property
    def store(self) -> Store:
        """The store, opened at the first use, and again in each forked process: drivers can't share a socket."""
        if self._opened_in != os.getpid():
            with self._opening:
                if self._opened_in != os.getpid():
                    if self._opened_in:
                        self._store = self._connect()
                    self._store.open()
                    self._opened_in = os.getpid()
        return self._store

    def close(self) -> None:
        """Let go of the store's connections; the next call opens it again."""
        with self._opening:
            if self._opened_in == os.getpid():
                self._store.close()
                self._opened_in = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @overload
    def job(self, function: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
    @overload
    def job(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def job(
        self,
        function: None = None,
        /,
        *,
        name: str = "",
        queue: str = "default",
        priority: int = 0,
        timeout: timedelta | None = None,
        retry: Retry | None = None,
    ) -> Register: ...
    def job(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function as the handler of jobs of its name, and give it ``push``, ``push_in`` and ``push_at``.

        It stays an ordinary function. ``queue``, ``priority``, ``timeout`` and ``retry`` are its jobs' own, and
        ``name`` is the function's unless told. Raises ConfigError if another function has the name already.
        """
        return self._register(function, **options) if function else partial(self._register, **options)

    def _register(
        self, function: Callable[..., Any], *, name: str = "", retry: Retry | None = None, **options: Any
    ) -> Task[..., Any]:
        template = Job(name or getattr(function, "__name__", ""), retry=retry or Retry(), **options)
        task: Task[..., Any] = Task(self, function, template)
        self.handlers.add(task.binding, template.queue)
        self.tasks[task.name] = task
        return task

    def push(self, job: Job) -> str:
        """Run a job as soon as possible, whatever its ``execute_at``; its id, or that of its unique key's holder.

        Once it returns, the job survives the death of every process. Raises InvalidJob, with nothing stored, and
        StoreUnavailable, after a few tries: the job may be stored then; push the same one again to be sure.
        """
        return self.store_jobs([self.record(job)])[0]

    def push_scheduled(self, job: Job) -> str:
        """Run a job at its ``execute_at``, by the store's clock. Otherwise like ``push``."""
        if job.execute_at is None:
            raise InvalidJob(f"Job {job.name!r} has no execute_at: push_scheduled needs one; push runs it now.")
        return self.store_jobs([self.record(job, execute_at=due(job))])[0]

    def push_in(self, delay: timedelta, job: Job) -> str:
        """Run a job after a delay, counted by the store's clock, not its ``execute_at``. Otherwise like ``push``."""
        return self.store_jobs([self.record(job, delay=duration_micros(delay, "The delay"))])[0]

    def push_many(self, jobs: Iterable[Job]) -> list[str]:
        """Push a batch, each at its own ``execute_at`` or now; all of them land, or none. The ids in order."""
        return self.store_jobs([self.record(job, execute_at=due(job)) for job in jobs])

    def record(self, job: Job, *, execute_at: int = 0, delay: int = 0) -> Record:
        """A job as it is stored, its arguments checked. Raises InvalidJob."""
        return encode(job, self.handlers.encode(job), self.max_payload, execute_at=execute_at, delay=delay)

    def store_jobs(self, records: list[Record]) -> list[str]:
        """Push records, insisting a little while the store is away: the ids are fixed, so a repeat is harmless."""
        if not records:
            return []
        ids = insist(lambda: self.store.push(records), f"push {len(records)} job(s) to {self.url}")
        if plugins.listens("goscheds_jobs_pushed"):
            plugins.notify("goscheds_jobs_pushed", ids=ids, namespace=self.namespace)
        return ids

    apush = awaitable(push)
    apush_scheduled = awaitable(push_scheduled)
    apush_in = awaitable(push_in)
    apush_many = awaitable(push_many)

    def run(self) -> None:
        """Do the duties alone, and block: move due jobs to their queues, take lost ones back, purge. SIGTERM ends."""
        from goscheds.crew import Crew, Shift  # noqa: PLC0415 - a producer needs no worker's rooms

        Shift(lambda: Crew(self.store, self.handlers, {}, self.keep)).work(grace=0)


def check_queue(queue: str) -> str:
    """A queue's name. Raises ConfigError if no store could carry it."""
    try:
        check_text(queue, "A queue's name")
    except InvalidJob as error:
        raise ConfigError(str(error)) from error
    return queue
