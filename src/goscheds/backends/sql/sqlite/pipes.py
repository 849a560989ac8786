"""Word of other processes: SQLite has no channel for it, so there are named pipes beside the file.

There is one for each topic that anybody has waited for, and a byte in it says that there is something to do. Whoever
waits has the kernel wake one thread for it, in whichever process (EPOLLEXCLUSIVE, of Linux), and never one that is not
waiting at the moment, or that is dead. Nobody keeps account of who waits, so no account can be wrong.
"""

from __future__ import annotations

import os
import select
import stat
import time
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from io import FileIO
from pathlib import Path

from goscheds.backends.sql.bell import DEAF, HEARING, Bell, log

with suppress(ImportError):  # on Windows, where there are no such pipes
    import fcntl

GLANCE, TICK = 0.05, 0.001
"""Seconds after which a waiting thread looks for itself where there are no pipes; seconds that epoll counts in."""
OPENING = os.O_RDWR | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
"""To read and write, even for who only writes: so there is no error, and no signal, when nobody reads."""


class Pipes(Bell):
    """A bell that rings for one of those who wait, in all processes that have the file open."""

    def __init__(self, path: Path, namespace: str, *, listening: bool) -> None:
        super().__init__()
        self.patience = GLANCE if listening else DEAF
        self._listening = listening and hasattr(select, "EPOLLEXCLUSIVE")
        self._path, self._namespace = path, namespace
        self._process = 0
        self._pipes: dict[str, int] = {}
        self._calls: set[int] = set()  # one for each thread that waits, to call it back

    def open(self) -> None:
        self._path = self._path.resolve()  # where SQLite has its own files as well
        super().open()

    def close(self) -> None:
        super().close()
        self._call_back()
        with self.changed:
            self.changed.wait_for(lambda: not self._calls, HEARING)
            while self._pipes and self._process == os.getpid():
                topic, fd = self._pipes.popitem()
                with suppress(OSError):  # others wait there, or have deleted it
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    Path(_beside(self._path, self._namespace, topic)).unlink()
                os.close(fd)

    def interrupt(self, worker: str) -> None:
        super().interrupt(worker)
        self._call_back()

    def ring(self, *topics: str) -> None:
        super().ring(*topics)
        paths = [_beside(self._path, self._namespace, topic) for topic in topics]
        for path in [path for path in paths if os.access(path, os.F_OK)]:  # there, if anybody has ever waited
            with suppress(OSError), FileIO(path, "r+", opener=_open) as pipe:
                pipe.write(b"\n")

    def wait(self, worker: str, topic: str, heard: int, until: float, pause: float = HEARING) -> bool:
        if self._listening:
            try:
                return self._wait(worker, topic, until, pause)
            except OSError as error:
                log.warning("%s: no pipes (%s); jobs are looked for every %s seconds.", self._path, error, GLANCE)
                self._listening = False
        return super().wait(worker, topic, heard, until, pause)

    def _wait(self, worker: str, topic: str, until: float, pause: float) -> bool:
        with self.changed:
            left = min(until - time.monotonic(), pause, HEARING)
            if left <= 0 or self._over(worker):
                return False
            fd, known = self._pipe(topic)
            self._calls.add(call := os.eventfd(0))
        try:
            rung = known and _rung(fd, call, left)  # if it is new, what came before is looked for once more
        finally:
            with self.changed:
                self._calls.remove(call)
                os.close(call)
                self.changed.notify_all()
        if rung:
            (self.ring if self._over(worker) else super().ring)(topic)  # for another, if nobody here looks any more
        return not self._over(worker)

    def _pipe(self, topic: str) -> tuple[int, bool]:
        """A topic's pipe, and whether it was there before."""
        if self._process != os.getpid():
            self._process, self._pipes, self._calls = os.getpid(), {}, set()  # a fork leaves them to the parent
        fd = self._pipes.get(topic)
        if fd is not None and os.fstat(fd).st_nlink:  # if somebody cleared it away, another thread may have it still
            return fd, True
        self._pipes[topic] = fd = _made(Path(_beside(self._path, self._namespace, topic)), self._path.stat())
        return fd, False

    def _call_back(self) -> None:
        with self.changed:
            for call in self._calls if self._process == os.getpid() else ():
                os.eventfd_write(call, 1)


@lru_cache(1000)  # as a push needs it each time, and it takes a tenth of that
def _beside(path: Path, namespace: str, topic: str) -> str:
    name = f"{namespace}\0{topic}".encode("utf-8", "surrogatepass")
    return f"{path}-bell-{blake2b(name, digest_size=8).hexdigest()}"


def _rung(pipe: int, call: int, seconds: float) -> bool:
    """Wait until the kernel says that the pipe was rung, or until called back."""
    until = time.monotonic() + seconds
    with select.epoll() as epoll:
        epoll.register(pipe, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        epoll.register(call, select.EPOLLIN)
        if not epoll.poll(max(0.0, seconds - TICK)) and seconds < HEARING:
            time.sleep(max(0.0, until - time.monotonic()))
        with suppress(BlockingIOError):  # or somebody else was there first
            return bool(os.read(pipe, 65536))
    return False


def _open(path: str | Path, _: int = 0) -> int:
    fd = os.open(path, OPENING)
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(f"{path} is no pipe")


def _made(path: Path, like: os.stat_result) -> int:
    """Open a pipe that whoever may use the file may use, or make one. Locked, so that nobody deletes it."""
    while True:
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
            if os.geteuid() == 0:
                os.chown(path, like.st_uid, like.st_gid)
            path.chmod(like.st_mode & 0o666)
        with suppress(FileNotFoundError):  # who waited there last deletes it just now
            fd = _open(path)
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.fstat(fd).st_nlink:
                return fd
            os.close(fd)
