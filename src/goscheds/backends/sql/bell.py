"""Waiting without asking: threads wait here for a topic to be rung, by this process or by word from others."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections import Counter, defaultdict

log = logging.getLogger("goscheds")

DUTIES = ""  # the topic of `promote`: an earlier job was scheduled, or the duties became free. The others are queues
STANDBY = "\t"  # that of `promote` while somebody else has the duties, and no name of a queue either
HEARING = 1.0  # seconds after which a waiting thread looks for itself: the most that a lost wake-up costs (C4)
DEAF = 0.2  # the same, while no word comes from other processes
BACKOFF = (0.1, 10.0)  # seconds between two attempts to listen, doubled from the first to the last


class Bell:
    """Counts the rings of each topic, so that one between a thread's look and its wait is not missed."""

    def __init__(self) -> None:
        self.closed = True
        self.patience = DEAF
        self.looked = 0.0  # when somebody looked last for all who were waiting
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)  # whether anybody waits, or it is closed
        # One for each topic, so that a ring wakes nobody else: each more thread takes its turn at the interpreter, and
        # perhaps before the one that has something to do.
        self._topics: defaultdict[str, threading.Condition] = defaultdict(lambda: threading.Condition(self._lock))
        self.waiting: list[str] = []  # a topic for each thread
        self._rings: Counter[str] = Counter()
        self._all = 0
        self._interrupted: set[str] = set()

    def open(self) -> None:
        """Let threads wait."""
        self.closed = False

    def close(self) -> None:
        """Wake whoever waits; nobody waits any more."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
            self._wake(*self._topics)

    def interrupt(self, worker: str) -> None:
        """Wake this worker's threads; they wait no more."""
        with self.changed:
            self._interrupted.add(worker)
            self._wake(*self._topics)

    def ring(self, *topics: str) -> None:
        """Wake whoever waits for one of the topics."""
        with self.changed:
            self._rings.update(topics)
            self._wake(*topics)

    def ring_all(self) -> None:
        """Wake whoever waits."""
        with self.changed:
            self._all += 1
            self._wake(*self._topics)

    def _wake(self, *topics: str) -> None:
        for topic in self._topics.keys() & topics:
            self._topics[topic].notify_all()

    def heard(self, topic: str) -> int:
        """How often it has rung for a topic; to be asked before looking whether there is anything to do."""
        return self._rings[topic] + self._all

    def wait(self, worker: str, topic: str, heard: int, until: float, pause: float = HEARING) -> bool:
        """Wait for another ring, or for ``pause`` seconds. False when there is no more waiting: do not look again."""
        left = until - time.monotonic()
        with self.changed:
            if left <= 0 or self._over(worker):
                return False
            self.waiting.append(topic)
            if len(self.waiting) == 1:
                self.changed.notify_all()  # nobody is there to hear it but a thread that listens on our behalf
            try:
                self._topics[topic].wait_for(
                    lambda: self.heard(topic) != heard or self._over(worker), min(left, pause, self.patience)
                )
            finally:
                self.waiting.remove(topic)
            return not self._over(worker) and (self.heard(topic) != heard or time.monotonic() < until)

    def _over(self, worker: str) -> bool:
        return self.closed or worker in self._interrupted


class ListeningBell(Bell):
    """A bell that other processes ring too, through a thread that starts when somebody first waits."""

    def __init__(self, errors: type[Exception]) -> None:
        super().__init__()
        self._errors = errors
        self._thread: threading.Thread | None = None

    @abstractmethod
    def listen(self) -> None:
        """Ring for whatever happens elsewhere, until closed; what happened before, ring for at the start."""

    @abstractmethod
    def hush(self) -> None:
        """Make `listen` notice that the bell is closed."""

    def wait(self, worker: str, topic: str, heard: int, until: float, pause: float = HEARING) -> bool:
        with self.changed:
            if not self.closed and not (self._thread and self._thread.is_alive()):  # a fork leaves it in the parent
                self.patience = DEAF  # until the new one hears
                self._thread = threading.Thread(target=self._run, name="goscheds-listener", daemon=True)
                self._thread.start()
        return super().wait(worker, topic, heard, until, pause)

    def close(self) -> None:
        super().close()
        if self._thread and self._thread.is_alive():
            self.hush()
            self._thread.join(HEARING)  # no longer, as it may be connecting to a server that does not answer

    def _run(self) -> None:
        pause = BACKOFF[0]
        while not self.closed:
            try:
                self.listen()
            except self._errors as error:
                if not self.closed:
                    log.warning("No word from other processes (%s); jobs are looked for every %s seconds.", error, DEAF)
            pause = BACKOFF[0] if self.patience == HEARING else min(2 * pause, BACKOFF[1])
            self.patience = DEAF
            with self.changed:
                self.changed.wait_for(lambda: self.closed, pause)
