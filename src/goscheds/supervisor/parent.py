"""The supervisor: one parent process that runs no user code, and its workers."""

from __future__ import annotations

import logging
import selectors
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from goscheds.supervisor.child import Child, ending
from goscheds.supervisor.health import Condition, Health
from goscheds.supervisor.seat import Seat
from goscheds.supervisor.signals import Signals

log = logging.getLogger("goscheds")
TICK = 1.0
"""Seconds, at most, between looks at the children."""
MARGIN = 10.0
"""Seconds after the grace period until a child that should have ended is killed."""
HURRY = 5.0
"""Seconds for a child that was told to leave at once: it still gives its jobs back."""
ASK_AGAIN = 5.0
"""Seconds for an answer to an order to free a dead worker's jobs."""
MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """When a worker is replaced though nothing is wrong with it; 0 = never. Looked at once a second."""

    jobs: int = 0
    memory: int = 0  # bytes

    def passed(self, child: Child) -> str:
        """Which of them a child has passed, or what it complains of itself, in words."""
        if child.vitals and 0 < self.jobs <= child.vitals.settled:
            return f"it has settled {child.vitals.settled} jobs"
        if child.vitals and 0 < self.memory < child.vitals.memory:
            return f"it takes {child.vitals.memory / MEGABYTE:.0f}M of memory"
        return child.vitals.worn if child.vitals else ""


@dataclass(slots=True)
class Dead:
    """A dead worker whose jobs a live one is to free."""

    child: str
    asked_at: float = 0.0


class Supervisor:
    """Keeps a number of workers at work until it is told to stop.

    Args:
        command: what starts one worker, whose stdin is its line (``goscheds.supervisor.line``).
        processes: how many.
        grace: seconds that running jobs may go on once a worker is to end.
        limits: when to replace one.
        health: whom to tell how it goes.
    """

    def __init__(
        self, command: Sequence[str], processes: int, grace: float, limits: Limits, health: Health | None = None
    ) -> None:
        self._seats = [Seat(number, command) for number in range(1, processes + 1)]
        self._grace = grace
        self._limits = limits
        self._health = health
        self._selector = selectors.DefaultSelector()
        self._dead: dict[str, Dead] = {}
        self._served = False  # one of them came to work: it is not the command that is wrong
        self._stopping = False
        self._status = 0
        self._tell_at = 0.0

    def run(self) -> int:
        """Work, and block, until the last child has ended after SIGTERM or SIGINT; the exit status."""
        numbers = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD
        with Signals(numbers) as signals, self._selector:
            self._selector.register(signals, selectors.EVENT_READ)
            log.info("Supervisor of %d worker process(es).", len(self._seats))
            while self._turn(time.monotonic()):
                self._selector.select(self._pause(time.monotonic()))
                for number in signals.read():
                    self._hear(number)
        log.info("Supervisor: all have ended.")
        return self._status

    def _children(self) -> Iterator[Child]:
        for seat in self._seats:
            yield from seat

    def _pause(self, now: float) -> float:
        due = [seat.free_at - now for seat in self._seats if not seat.child and seat.free_at > now]
        return min([TICK, *due])

    def _turn(self, now: float) -> bool:
        """Do what there is to do; whether more is to come.

        It listens before it judges: what lay unread while this process itself was stopped is no silence.
        """
        for seat in self._seats:
            for child in seat:
                self._listen(child, now)
                self._see(seat, child, now)
        self._free_jobs(now)
        if not self._stopping:
            self._fill(now)
            self._renew(now)
        self._tell(now)
        return not self._stopping or any(True for _ in self._children())

    def _listen(self, child: Child, now: float) -> None:
        began = child.vitals is None
        for freed in child.read(now):
            if dead := self._dead.pop(freed.worker, None):
                log.warning("%s: the %d job(s) it held were taken back by %s.", dead.child, freed.held, child)
        if child.hung_up and child in self._selector.get_map():
            self._selector.unregister(child)  # an end of file is readable for ever
        if began and child.vitals:
            self._served = True
            log.info("%s serves as worker %s.", child, child.vitals.worker)

    def _see(self, seat: Seat, child: Child, now: float) -> None:
        """Whether it is still there, and should be."""
        status = child.poll()
        if status is not None:
            self._bury(seat, child, status, now)
        elif why := child.overdue(now):
            if not child.killed:
                log.error("%s is killed: %s.", child, why)
            child.kill(why)
        elif child is seat.child and child.serving and not seat.worn and (why := self._limits.passed(child)):
            log.info("%s is replaced: %s.", child, why)
            seat.worn = why

    def _bury(self, seat: Seat, child: Child, status: int, now: float) -> None:
        self._listen(child, now)
        if not child.hung_up:
            self._selector.unregister(child)
        child.close()
        expected = child.leaves_by < float("inf")
        heir = child is seat.heir
        seat.vacate(child, now)
        level = logging.INFO if status == 0 and expected else logging.WARNING
        log.log(level, "%s %s after %.1f s%s.%s", child, ending(status), now - child.started,
                f", as {child.killed}" if child.killed else "", self._sequel(seat, now))  # fmt: skip
        if child.vitals and status:
            self._dead[child.vitals.worker] = Dead(str(child))
        if heir and not self._stopping:
            self._call_off(child)
        if status > 0 and not self._served and not self._stopping:
            log.error("No worker could begin: see its error above.")
            self._status = status
            self._stop()

    def _sequel(self, seat: Seat, now: float) -> str:
        if self._stopping or seat.child:
            return ""
        wait = seat.free_at - now
        return f" The next one starts in {wait:.1f} s." if wait > 0 else " The next one starts now."

    def _call_off(self, heir: Child) -> None:
        """Those at work are better than those that can't begin."""
        log.error("%s did not come to serve: those at work go on, and are not replaced now.", heir)
        for seat in self._seats:
            seat.worn = ""

    def _free_jobs(self, now: float) -> None:
        """Let a live worker end the dead ones' leases; without one, their leases end by themselves."""
        due = [worker for worker, dead in self._dead.items() if now - dead.asked_at > ASK_AGAIN]
        able = sorted((child for child in self._children() if child.vitals), key=lambda child: not child.ready(now))
        if able:
            for worker in due:
                able[0].say(f"free {worker}")
                self._dead[worker].asked_at = now

    def _fill(self, now: float) -> None:
        """The first worker goes ahead: what is wrong with all of them is said once."""
        for seat in self._seats if self._served else self._seats[:1]:
            self._welcome(seat.fill(now))

    def _renew(self, now: float) -> None:
        """One at a time."""
        for seat in self._seats:
            if leaving := seat.hand_over(now + self._grace + MARGIN):
                log.info("%s is replaced by %s, and drains.", leaving, seat.child)
        if any(seat.heir or seat.leaving for seat in self._seats):
            return
        for seat in self._seats:
            if heir := seat.renew(now):
                self._welcome(heir)
                return

    def _welcome(self, child: Child | None) -> None:
        if child:
            self._selector.register(child, selectors.EVENT_READ)
            log.info("%s starts.", child)

    def _hear(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP and not self._stopping:
            log.info("SIGHUP: all workers are replaced, one by one.")
            for seat in self._seats:
                seat.worn = "SIGHUP"
        elif number in (signal.SIGTERM, signal.SIGINT) and self._stopping:
            log.warning("A second signal, %s: leaving at once.", number.name)
            for child in self._children():
                child.leave(time.monotonic() + HURRY)
        elif number in (signal.SIGTERM, signal.SIGINT):
            log.info("%s: up to %g s for what runs.", number.name, self._grace)
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        for child in self._children():
            child.drain(time.monotonic() + self._grace + MARGIN)

    def _tell(self, now: float) -> None:
        if self._health is None or now < self._tell_at:
            return
        self._tell_at = now + TICK / 2
        ready = not self._stopping and all(seat.child and seat.child.ready(now) for seat in self._seats)
        self._health.tell(Condition(ready, [child.vitals for child in self._children() if child.vitals]))
