"""An application with a handler that does nothing, for ``goscheds worker``. The environment says where its jobs are."""

from __future__ import annotations

import os

from goscheds import Scheduler
from goscheds.bench.plan import JOB

scheduler = Scheduler(os.environ["GOSCHEDS_BENCH_STORE"], os.environ["GOSCHEDS_BENCH_NAMESPACE"])


@scheduler.job(name=JOB)
def noop(n: int, text: str = "") -> None:
    """Do nothing."""
