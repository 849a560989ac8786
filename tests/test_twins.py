from __future__ import annotations

import asyncio
import inspect
import threading

from goscheds import Scheduler, Task
from goscheds.twins import awaitable


class Bell:
    def ring(self, times: int, *, loud: bool = False) -> str:
        """Ring it."""
        return f"{times} {loud} {threading.current_thread() is threading.main_thread()}"

    aring = awaitable(ring)


def test_a_twin_takes_and_gives_the_same_in_a_thread_of_its_own():
    assert asyncio.run(Bell().aring(3, loud=True)) == "3 True False"


def test_a_twin_is_told_like_its_original():
    assert Bell.aring.__doc__ == "Ring it."
    assert inspect.iscoroutinefunction(Bell.aring)


def test_everything_that_a_producer_calls_has_a_twin():
    alone = {"record", "store_jobs", "run", "close", "job", "store"}  # the core's own, the worker's, and what sets up
    for owner, own in ((Scheduler, alone), (Task, {"job", "name"})):
        verbs = {name for name in vars(owner) | vars(owner.__base__) if name[0] not in "_a" and name not in own}
        assert {f"a{name}" for name in verbs if callable(getattr(owner, name))} <= set(dir(owner))
