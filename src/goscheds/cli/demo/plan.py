"""What the demonstration and its workers agree on."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from goscheds.cli.demo.files import Measure
from goscheds.record import State
from goscheds.scheduler import Scheduler

FILES, REPORTS = "files", "report"
"""The queues: the report has a slot of its own, so that it does not wait behind the files."""
COUNT, REPORT = "count", "report"
"""The handlers."""
SLOTS = 8
"""Files that a worker counts at a time."""
VARIABLE = "GOSCHEDS_DEMO"


class Settings(Struct, frozen=True):
    """What the workers are told, in an environment variable."""

    url: str
    namespace: str
    journal: str
    pause: float  # seconds that counting a file takes longer than it would, for there to be something to see


def counted(scheduler: Scheduler) -> dict[str, Measure]:
    """What the store says of each file that was counted."""
    done = scheduler.jobs(state=State.DONE, queue=FILES)
    return {info.job.args["path"]: msgspec.convert(info.result, Measure) for info in done}
