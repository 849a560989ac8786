"""The workers of a measurement, seen from where it is taken."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any, Protocol

from goscheds.bench.figures import BenchFailed
from goscheds.bench.hand import Notes, work
from goscheds.bench.plan import Style
from goscheds.bench.processes import resident
from goscheds.scheduler import Scheduler

PATIENCE = 30.0
"""Seconds without any progress until a measurement is given up."""
GONE = object()


class Hand(Protocol):
    """One worker."""

    heard: queue.SimpleQueue[Any]

    @property
    def pid(self) -> int:
        """The process it has of its own; 0 if it has none."""

    def tell(self) -> None:
        """Go on to the next step."""

    def close(self) -> None:
        """End it, whatever it does."""


class ProcessHand:
    """A worker in a process of its own. The URL goes through a pipe: others may read a command line."""

    def __init__(self, url: str, namespace: str, style: Style) -> None:
        self.heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "goscheds.bench.hand"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ear = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._ear.start()
        self._write(json.dumps({"url": url, "namespace": namespace, "style": style}))

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def _listen(self, out: IO[str]) -> None:
        for line in out:
            if line.endswith("\n"):  # the last one of a killed process may be cut off
                self.heard.put(json.loads(line))
        self.heard.put(GONE)

    def _write(self, line: str) -> None:
        assert self._process.stdin  # noqa: S101 - it was asked for
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise BenchFailed("A worker process ended by itself; its error output says why.") from error

    def tell(self) -> None:
        """Go on to the next step."""
        self._write("")

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._ear.join()
        self._process.communicate()  # closes the pipes


class ThreadHand:
    """A worker in this process, for a store that lives in one."""

    pid = 0

    def __init__(self, scheduler: Scheduler, notes: Notes) -> None:
        self.heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._told = threading.Semaphore(0)
        threading.Thread(target=work, args=(scheduler, notes, self._told.acquire, self.heard.put), daemon=True).start()

    def tell(self) -> None:
        """Go on to the next step."""
        self._told.release()

    def close(self) -> None:
        """End it; it stops by itself."""
        self._told.release(2)


class Hands:
    """Workers that begin together."""

    def __init__(self, hands: Sequence[Hand]) -> None:
        self._hands = hands
        self._ran = [0] * len(hands)
        for number in range(len(hands)):
            self._hear(number)  # "ready"

    def begin(self) -> None:
        """Let them claim."""
        for hand in self._hands:
            hand.tell()

    def wait(self, total: int) -> None:
        """Wait until they began as many jobs in all. Raises BenchFailed."""
        until = time.monotonic() + PATIENCE
        while sum(self._ran) < total:
            before = sum(self._ran)
            for number, hand in enumerate(self._hands):
                while not hand.heard.empty():
                    self._ran[number] = int(self._hear(number))
            if sum(self._ran) > before:
                until = time.monotonic() + PATIENCE
            elif time.monotonic() > until:
                raise BenchFailed(f"{sum(self._ran):,} of {total:,} jobs ran, and nothing more for {PATIENCE:.0f} s.")
            time.sleep(0.002)

    @property
    def pids(self) -> list[int]:
        """The processes that they have of their own."""
        return [hand.pid for hand in self._hands if hand.pid]

    def memory(self) -> int:
        """Resident bytes of the largest one; 0 where they have no processes of their own, or that can't be told."""
        return max(map(resident, self.pids), default=0)

    def end(self) -> list[Notes]:
        """Let them stop; what each noted."""
        for hand in self._hands:
            hand.tell()
        return [self._notes(number) for number in range(len(self._hands))]

    def _notes(self, number: int) -> Notes:
        while not isinstance(heard := self._hear(number), list):
            pass
        return [(n, at) for n, at in heard]

    def _hear(self, number: int) -> Any:
        try:
            heard = self._hands[number].heard.get(timeout=PATIENCE)
        except queue.Empty:
            raise BenchFailed(f"A worker said nothing for {PATIENCE:.0f} s.") from None
        if heard is GONE:
            raise BenchFailed("A worker process ended by itself; its error output says why.")
        return heard


@contextmanager
def gathered(hire: Callable[[], Hand], count: int) -> Iterator[Hands]:
    """Some workers, ready to begin."""
    with ExitStack() as hired:
        hands = []
        for _ in range(count):
            hands.append(hand := hire())
            hired.callback(hand.close)
        yield Hands(hands)
