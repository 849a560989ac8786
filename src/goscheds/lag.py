"""How long the event loop keeps others waiting, and who does: a handler that computes, or waits without ``await``."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

import goscheds
from goscheds.loop import LoopThread

NOT_THEIRS = (*(f"{Path(module.__file__ or '').parent}{os.sep}" for module in (asyncio, goscheds)), threading.__file__)
"""Where the frames are that a handler's stand upon."""
log = logging.getLogger("goscheds")
BETWEEN = 0.25
"""Seconds between two questions to the loop."""
BLOCKED = 0.5
"""Seconds without an answer after which whoever runs there is named."""
FORGET = 60.0
"""Seconds for which the longest lag is remembered."""


class Lag:
    """Asks the loop now and then whether it is there, and notes how long it takes to answer."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._asked = 0.0  # monotonic seconds; 0 = answered
        self._next = 0.0
        self._blamed = ""
        self._longest = 0.0
        self._at = 0.0

    @property
    def longest(self) -> float:
        """The longest of the last minute, seconds: also of a question that is not answered yet."""
        now = time.monotonic()
        asked = self._asked
        past = self._longest if now - self._at < FORGET else 0.0
        return max(past, now - asked if asked else 0.0)

    @property
    def matters(self) -> bool:
        """Whether there is a loop yet."""
        return self._loop.thread is not None

    def look(self, now: float) -> None:
        """Ask, or see whether an answer is overdue; to be called often, and never by the loop's own thread."""
        asked = self._asked
        if not self.matters:
            return
        if not asked:
            if now >= self._next:
                self._asked, self._next = now, now + BETWEEN
                self._loop.call(self._answer)
        elif now - asked > BLOCKED and not self._blamed:
            self._blamed = self._culprit()
            log.warning(
                "The event loop has been blocked for %.1f s by %s: nothing else runs there meanwhile. An async handler "
                "must await what takes long; as a plain function it would run in a thread.",
                now - asked,
                self._blamed,
            )

    def _answer(self) -> None:
        now = time.monotonic()
        took, self._asked = now - self._asked, 0.0
        if took >= self.longest:
            self._longest, self._at = took, now
        if self._blamed:
            log.warning("The event loop goes on after %.1f s; it was blocked by %s.", took, self._blamed)
            self._blamed = ""

    def _culprit(self) -> str:
        """The task that runs, and where it is."""
        frame = sys._current_frames().get(self._loop.thread or 0)  # noqa: SLF001 - documented, for exactly this
        task = asyncio.current_task(self._loop.loop)
        whose = f"job {task.get_name()}" if task else "a callback"
        return f"{whose}, {_place(frame)}" if frame else whose


def _place(frame: FrameType) -> str:
    """The outermost line that is neither asyncio's nor ours: the handler's own, whatever it called."""
    stack = traceback.extract_stack(frame)
    own = [place for place in stack if not place.filename.startswith(NOT_THEIRS)] or stack
    return f"in {own[0].name} at {own[0].filename}:{own[0].lineno} ({own[0].line})"
