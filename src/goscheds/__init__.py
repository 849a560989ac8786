"""goscheds: a job scheduler with one law over every store.

The public names are imported when they are first asked for: `goscheds --help`, and whoever wants one name, need not
wait for asyncio and the worker (measured: 60 ms).
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goscheds.context import Context
    from goscheds.errors import GiveUp, GoschedsError, RunAgain
    from goscheds.job import Job, JobInfo
    from goscheds.record import State
    from goscheds.retry import Retry
    from goscheds.scheduler import Scheduler
    from goscheds.task import Task
    from goscheds.worker import Worker

__all__ = [
    "Context",
    "GiveUp",
    "GoschedsError",
    "Job",
    "JobInfo",
    "Retry",
    "RunAgain",
    "Scheduler",
    "State",
    "Task",
    "Worker",
]

_HOMES = {"GiveUp": "errors", "GoschedsError": "errors", "JobInfo": "job", "RunAgain": "errors", "State": "record"}
"""The modules of the names that are not in one of their own name."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, name.lower())}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
