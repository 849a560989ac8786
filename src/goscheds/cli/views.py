"""What ``--json`` prints: the keys are stable. Moments are ISO 8601 in UTC, durations are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

from goscheds.clock import from_micros
from goscheds.job import JobInfo
from goscheds.operations import queue_counts
from goscheds.record import Counts, State, WorkerInfo


class RetryView(Struct, frozen=True):
    """A job's retry policy."""

    max_attempts: int
    base: float
    cap: float
    max_crashes: int


class JobView(Struct, frozen=True):
    """A job as it stands."""

    id: str
    name: str
    queue: str
    state: State
    priority: int
    unique_key: str | None
    execute_at: datetime | None
    timeout: float | None
    retry: RetryView
    args: Mapping[str, Any]
    pushed_at: datetime
    changed_at: datetime
    attempts: int
    crashes: int
    fence: int
    worker: str | None
    cancelling: bool
    error: str | None
    trace: str | None
    result: Any

    @classmethod
    def of(cls, info: JobInfo) -> JobView:
        """The view of a job."""
        job, retry = info.job, info.job.retry
        policy = RetryView(retry.max_attempts, _seconds(retry.base), _seconds(retry.cap), retry.max_crashes)
        return cls(
            info.id,
            job.name,
            job.queue,
            info.state,
            job.priority,
            job.unique_key,
            job.execute_at,
            _seconds(job.timeout) if job.timeout else None,
            policy,
            job.args,
            info.pushed_at,
            info.changed_at,
            info.attempts,
            info.crashes,
            info.fence,
            info.worker or None,
            info.cancelling,
            info.error or None,
            info.trace or None,
            info.result,
        )


class QueueView(Struct, frozen=True):
    """How many jobs of a queue stand where."""

    queue: str
    paused: bool
    scheduled: int
    ready: int
    active: int
    done: int
    dead: int
    cancelled: int

    @classmethod
    def of(cls, counts: Counts) -> list[QueueView]:
        """The views of every queue that has jobs or is paused, by name."""
        queues = queue_counts(counts)
        return [
            cls(queue, queue in counts.paused, **{state.value: queues[queue].get(state, 0) for state in State})
            for queue in sorted(queues)
        ]


class WorkerView(Struct, frozen=True):
    """A worker as the store sees it."""

    id: str
    host: str | None
    pid: int | None
    queues: Mapping[str, int]
    held: int
    started_at: datetime | None
    expires_at: datetime
    lost: bool

    @classmethod
    def of(cls, worker: WorkerInfo, now: datetime) -> WorkerView:
        """The view of a worker at a moment of the store's clock."""
        said = _said(worker.info)
        expires_at = from_micros(worker.expires_at)
        return cls(
            worker.id, said.host, said.pid, said.queues, worker.held, said.started_at, expires_at, expires_at <= now
        )


class StatsView(Struct, frozen=True):
    """The queues, and the workers in one number."""

    now: datetime
    queues: list[QueueView]
    workers: int
    lost_workers: int


class BackendView(Struct, frozen=True):
    """A scheme of store URLs."""

    scheme: str
    plugin: str
    driver: str | None
    installed: bool
    install: str | None


class _Said(Struct, frozen=True):
    """What a worker says of itself at its heartbeat."""

    host: str | None = None
    pid: int | None = None
    queues: Mapping[str, int] = {}
    started: float | None = None

    @property
    def started_at(self) -> datetime | None:
        return from_micros(int(self.started * 1_000_000)) if self.started else None


def _said(info: bytes) -> _Said:
    try:
        return msgspec.json.decode(info, type=_Said)
    except msgspec.MsgspecError:
        return _Said()  # another program's worker, or a later version's


def _seconds(span: timedelta) -> float:
    return span.total_seconds()
