"""What is to be measured, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

JOB = "goscheds.bench"
"""The name of the jobs."""
BATCH = 1_000
"""Jobs in one ``push_many``."""


class Style(StrEnum):
    """The kind of handler."""

    SYNC = "sync"
    ASYNC = "async"


@dataclass(frozen=True, slots=True)
class Plan:
    """The sizes. The defaults take a minute or two, and less than that are noisy."""

    jobs: int = 10_000
    """Jobs that are pushed, drained, or due in one instant."""
    samples: int = 100
    """Jobs whose pickup is timed, one after the other."""
    spread: int = 100
    """Scheduled jobs, spread over ``seconds``."""
    seconds: float = 5.0
    """How long to watch an idle worker, and over how long scheduled jobs are spread."""
    processes: tuple[int, ...] = (1, 2)
    """Numbers of worker processes."""
    styles: tuple[Style, ...] = (Style.SYNC, Style.ASYNC)
    payload: int = 0
    """Bytes of text among each job's arguments."""
    rates: tuple[int, ...] = (200,)
    """Jobs a second that are pushed to busy workers, in the steady state."""
    history: int = 0
    """Jobs that are done already when a measurement begins."""
    backlog: int = 0
    """Jobs that are there and stay there: half of them ready in a queue that no worker serves, half scheduled."""
