"""goscheds: a job scheduler with one law over every store."""

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
