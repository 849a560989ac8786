"""PgBouncer in front of a Postgres of the tests, in transaction mode."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from servers.routes import NoServer, Route
from servers.running import Local, unprivileged

DEBIAN = Path("/usr/sbin/pgbouncer")
UNPACKED = Path(sys.prefix) / "debian"
"""Where `scripts/test` unpacks Debian's package, and the libraries that the machine lacks."""


def find_pooler(environ: Mapping[str, str] = os.environ, unpacked: Path = UNPACKED) -> Route:
    """A PgBouncer that runs here. Raises NoServer."""
    for kind, program in _programs(environ, unpacked):
        try:
            told = subprocess.run(
                [program, "--version"], capture_output=True, text=True, timeout=10, check=True, env=_env(unpacked)
            ).stdout
        except (OSError, subprocess.SubprocessError):
            continue
        if version := re.search(r"PgBouncer ([\d.]+)", told):
            return Route("pgbouncer", kind, str(program), version[1])
    raise NoServer(
        "No PgBouncer for the tests. Install it; on Debian `scripts/test` unpacks its package without installing it. "
        "On a laptop GOSCHEDS_TEST_ALLOW_SKIP=1 skips these tests."
    )


def _programs(environ: Mapping[str, str], unpacked: Path) -> Sequence[tuple[str, Path]]:
    found = shutil.which("pgbouncer", path=environ.get("PATH", ""))
    programs = [("local", Path(found))] if found else []
    return [*programs, ("local", DEBIAN), ("debian", unpacked / "usr/sbin/pgbouncer")]


def _env(unpacked: Path) -> dict[str, str]:
    folders = sorted({str(path.parent) for path in (unpacked / "usr/lib").glob("**/*.so.*")})
    return {**os.environ, "LD_LIBRARY_PATH": ":".join([*folders, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])}


class PgBouncer(Local):
    """A pooler in transaction mode, with few sessions, so that neighbours do share them."""

    def __init__(self, route: Route, postgres: str, settings: Sequence[str] = ()) -> None:
        super().__init__(route)
        server = urlsplit(postgres)
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}{server.path}"
        password = f" password={server.password}" if server.password else ""
        # Where the environment may lie is not for everybody to read; and it refuses to run as root.
        self._program = Path(shutil.copy(route.at, self.folder))
        libraries = [Path(shutil.copy(path, self.folder)) for path in (UNPACKED / "usr/lib").glob("**/*.so.*")]
        self.owner["env"]["LD_LIBRARY_PATH"] = str(self.folder) if libraries else ""
        self._config = self.folder / "pgbouncer.ini"
        self._config.write_text(
            "\n".join(
                (
                    "[databases]",
                    f"* = host={server.hostname} port={server.port or 5432} user={server.username}{password}",
                    "[pgbouncer]",
                    "listen_addr = 127.0.0.1",
                    f"listen_port = {self.port}",
                    "unix_socket_dir =",
                    "auth_type = any",
                    "pool_mode = transaction",
                    "default_pool_size = 6",
                    "max_client_conn = 500",
                    "server_login_retry = 0.1",
                    "ignore_startup_parameters = extra_float_digits",
                    *settings,
                    "",
                )
            )
        )
        if os.geteuid() == 0:
            user = unprivileged()
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, *user)
            self.owner |= {"user": user[0], "group": user[1], "extra_groups": []}

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        return (self._program, self._config)


def launch_pooler(route: Route, postgres: str, *settings: str) -> PgBouncer:
    """Start one in front of the server at a URL; ``settings`` are lines of its ``[pgbouncer]`` section."""
    pooler = PgBouncer(route, postgres, settings)
    try:
        pooler.start()
    except BaseException:
        pooler.remove()
        raise
    return pooler
