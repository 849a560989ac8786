"""Servers that a test may start, stop, kill and start again, on one port and with one data directory."""

from __future__ import annotations

import atexit
import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from servers.ready import Unreachable, probe, wait_until_ready
from servers.routes import Route

GUARD = 'cat >/dev/null; kill -KILL "$1"; rm -rf "$2"'
"""Holds a pipe from the tests; it closes however they end, SIGKILL included, and the server goes with them."""

POSTGRES_SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200")
"""They lose data when the machine dies, not when the server does: commits still reach the kernel."""


class Server(Protocol):
    """A running server."""

    url: str
    version: str
    route: Route

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...
    def remove(self) -> None: ...


def launch(route: Route, *settings: str, aof: str = "") -> Server:
    """Start a server. ``settings`` are further options (Redis: ``--name value``; Postgres: ``name=value``).

    ``aof`` is Redis's ``appendfsync`` (always, everysec, no); "" keeps nothing over a restart.
    """
    if route.kind == "url":
        return Elsewhere(route)
    if route.kind == "docker":
        from servers.container import Container  # noqa: PLC0415 - testcontainers takes a second

        return Container(route, redis_options(settings, aof), settings)
    server = Postgres(route, settings) if route.server == "postgres" else Redis(route, redis_options(settings, aof))
    try:
        server.start()
    except BaseException:
        server.remove()
        raise
    return server


def free_port() -> int:
    """A free port below the kernel's own range for outgoing connections (32768 and up on Linux).

    Inside that range a client that keeps knocking at a dead server's port can be given the same port for its own end:
    it then talks to itself, and the restarted server can't bind.
    """
    while True:
        port = random.randrange(10_240, 32_768)  # noqa: S311 - no secret
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


class Elsewhere:
    """A server that the environment names. It is not ours to stop."""

    def __init__(self, route: Route) -> None:
        self.route, self.url, self.version = route, route.at, route.version

    def start(self) -> None:
        """Make sure that it answers."""
        probe(self.url)

    def stop(self) -> None:
        """Refuse."""
        raise RuntimeError(f"{self.url} is not ours to stop; ask for a private server.")

    kill = restart = stop

    def remove(self) -> None:
        """Leave it as it is."""


class Local(ABC):
    """A server process of our own."""

    url: str
    owner: dict[str, Any]  # whom it runs as, for Popen

    def __init__(self, route: Route) -> None:
        self.route = route
        self.version = route.version
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"goscheds-{route.server}-"))
        self.owner = {"cwd": self.folder, "env": {**os.environ, "LC_ALL": "C", "HOME": str(self.folder)}}
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What to run."""

    @property
    def running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """The running server's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it was started, and neither stopped nor killed."""
        return self._process is not None

    def start(self) -> None:
        """Start it, and return when it takes commands. A server that crashed goes through its recovery first."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests
                **self.owner,
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, "guard", str(self._process.pid), str(self.folder)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        process = self._process
        try:
            wait_until_ready(self.url, lambda: process.poll() is None)
        except Unreachable as error:
            log_tail = (self.folder / "log").read_text(errors="replace")[-2000:]
            self.kill()
            raise RuntimeError(f"{self.route} did not start: {error}\n{log_tail}") from error

    def stop(self) -> None:
        """Stop it in good order; its data stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it as a power cut would, with SIGKILL; what the kernel has of its data stays."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in good order, and start it again."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Kill it and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, by: signal.Signals) -> None:
        process, guard, self._process, self._guard = self._process, self._guard, None, None
        if guard is not None:
            guard.kill()
            guard.communicate()
        if process is not None:
            process.send_signal(by)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Redis(Local):
    """Redis or Valkey."""

    def __init__(self, route: Route, options: Sequence[str]) -> None:
        super().__init__(route)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.options = options

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        port = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        return (self.route.at, *port, *self.options)

    def call(self, *command: str | int) -> Any:
        """The answer to a command, as redis-py gives it."""
        import redis  # noqa: PLC0415 - takes 180 ms

        with redis.Redis.from_url(self.url, decode_responses=True, socket_timeout=5, protocol=2) as client:
            return client.execute_command(*command)


class Postgres(Local):
    """Postgres, its data directory made on the first start. It refuses uid 0, so that root starts it as another."""

    def __init__(self, route: Route, settings: Sequence[str]) -> None:
        super().__init__(route)
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._programs = Path(route.at)
        if os.geteuid() == 0:
            self._step_down()
        self.make_data()
        local = ("listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}")
        self._settings = (*local, *POSTGRES_SETTINGS, *settings)

    def make_data(self) -> None:
        """Make the data directory of a new server."""
        self.run_program("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync")

    def run_program(self, name: str, *arguments: str) -> None:
        """Run one of Postgres's programs on the data directory."""
        program = [self._programs / name, "-D", self._data, *arguments]
        ran = subprocess.run(program, capture_output=True, text=True, check=False, **self.owner)
        if ran.returncode:
            raise RuntimeError(f"{self.route}: {name} failed.\n{ran.stdout}{ran.stderr}")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        settings = [word for setting in self._settings for word in ("-c", setting)]
        return (self._programs / "postgres", "-D", self._data, "-p", str(self.port), *settings)

    def start(self) -> None:
        """A postmaster that was killed leaves its backends behind for a moment; none starts before they are gone."""
        until = time.monotonic() + 10
        while True:
            try:
                return super().start()
            except RuntimeError as error:
                if "still in use" not in str(error) or time.monotonic() > until:
                    raise

    def stop(self) -> None:
        """SIGINT is Postgres's fast shutdown; SIGTERM would wait for every client to leave."""
        self._end(signal.SIGINT)

    def _step_down(self) -> None:
        user = unprivileged()
        os.chown(self.folder, *user)
        self.owner |= {"user": user[0], "group": user[1], "extra_groups": []}
        try:
            subprocess.run([self._programs / "postgres", "--version"], capture_output=True, check=True, **self.owner)
        except (PermissionError, subprocess.CalledProcessError):
            self._programs = _readable_copy(self._programs)


def unprivileged() -> tuple[int, int]:
    """User and group of whom servers run as that refuse to run as root."""
    import pwd  # noqa: PLC0415 - POSIX only, as is the need for it

    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    raise RuntimeError("Postgres refuses to run as root, and there is no user `postgres` or `nobody` to run it as.")


@functools.cache
def _readable_copy(programs: Path) -> Path:
    """The wheel's installation where the unprivileged user can read it: the virtual environment may lie under /root.

    The package and its ``.libs`` stay side by side, as the programs look for their libraries by a relative path.
    """
    copied = Path(tempfile.mkdtemp(prefix="goscheds-postgres-programs-"))
    atexit.register(shutil.rmtree, copied, ignore_errors=True)
    package = programs.parent.parent
    shutil.copytree(programs.parent, copied / package.name / programs.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, copied / libraries.name)
    subprocess.run(["chmod", "-R", "a+rX", copied], check=True)
    return copied / package.name / programs.parent.name / programs.name


def redis_options(settings: Sequence[str], aof: str) -> Sequence[str]:
    """The options of a Redis server, as ``launch`` takes them."""
    log = ("--appendonly", "yes", "--appendfsync", aof) if aof else ("--appendonly", "no")
    return ("--save", "", *log, *settings)
