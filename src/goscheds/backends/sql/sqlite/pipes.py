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
from contextlib import ExitStack, suppress
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
        self._listening = listening and hasattr(select, "EPOLLEXCLUSIVE") and hasattr(os, "eventfd")
        self._path, self._namespace, self._process, self._told = path, namespace, 0, False
        self._pipes: dict[str, int] = {}
        self._calls: set[int] = set()  # one for each thread that waits, to call it back

    def open(self) -> None:
        self._path = self._path.resolve()  # where SQLite has its own files as well
        super().open()

    def close(self) -> None:
        super().close()
        self._call_back()
        with self.changed:
            while self._pipes and self._process == os.getpid():
                topic, fd = self._pipes.popitem()
                with suppress(OSError):  # others wait there
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if os.fstat(fd).st_nlink:  # or it is another's that is there now
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
            except OSError as error:  # perhaps for the moment: too many open files, say
                tell, self._told = log.debug if self._told else log.warning, True
                tell("%s: no pipes (%s); jobs are looked for every %s seconds.", self._path, error, GLANCE)
        return super().wait(worker, topic, heard, until, pause)

    def _wait(self, worker: str, topic: str, until: float, pause: float) -> bool:
        with ExitStack() as mine:
            with self.changed:
                left = min(until - time.monotonic(), pause, HEARING)
                if left <= 0 or self._over(worker):
                    return False
                fd, known = self._pipe(topic)
                mine.callback(os.close, fd := os.dup(fd))  # since another thread may close it
                mine.callback(self._hang_up, call := os.eventfd(0))
                self._calls.add(call)
            rung = known and _rung(fd, call, left)  # if it is new, what came before is looked for once more
        if rung:
            (self.ring if self._over(worker) else super().ring)(topic)  # for another, if nobody here looks any more
        return not self._over(worker) and (rung or time.monotonic() < until)

    def _hang_up(self, call: int) -> None:
        with self.changed:
            self._calls.discard(call)
            os.close(call)

    def _pipe(self, topic: str) -> tuple[int, bool]:
        """A topic's pipe, and whether it was there before."""
        if self._process != os.getpid():
            self._process, self._pipes, self._calls = os.getpid(), {}, set()  # a fork leaves them to the parent
        fd = self._pipes.get(topic)
        if fd is not None and os.fstat(fd).st_nlink:
            return fd, True
        made = self._pipes[topic] = _made(Path(_beside(self._path, self._namespace, topic)), self._path.stat())
        if fd is not None:  # somebody cleared it away
            os.close(fd)
        return made, False

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
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    fd = _open(path)
    with suppress(OSError):
        # Not to wait, with the bell's lock, for who deletes it just now: the next wait will see.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if (about := os.fstat(fd)).st_uid == os.geteuid() and about.st_nlink == 1:  # new, or its maker was killed
            # By number: whoever may write in the directory could put a link to any file in the place of its name.
            os.fchmod(fd, like.st_mode & 0o666)
            os.fchown(fd, like.st_uid, like.st_gid)
    return fd
