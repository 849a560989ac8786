"""A server in a container."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from servers.ready import wait_until_ready
from servers.routes import Route
from servers.running import POSTGRES_SETTINGS, free_port

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # testcontainers' own
    from testcontainers.core.container import DockerContainer


class Container:
    """A server that Docker runs; its data lives as long as the container, over stops and kills."""

    def __init__(self, route: Route, redis_options: Sequence[str], settings: Sequence[str]) -> None:
        self.route = route
        self.version = route.version
        postgres = route.server == "postgres"
        inside = 5432 if postgres else 6379
        self._container = DockerContainer(route.at)
        # A fixed port, as Docker would choose another one at every start.
        self._container.ports[f"{inside}/tcp"] = ("127.0.0.1", free_port())
        if postgres:
            settings = [word for setting in (*POSTGRES_SETTINGS, *settings) for word in ("-c", setting)]
            self._container.with_env("POSTGRES_HOST_AUTH_METHOD", "trust").with_command(["postgres", *settings])
        else:
            self._container.with_command([f"{route.server}-server", *redis_options])
        self._container.start()
        at = f"{self._container.get_container_host_ip()}:{self._container.get_exposed_port(inside)}"
        self.url = f"postgresql://postgres@{at}/postgres" if postgres else f"redis://{at}/0"
        self._wait()

    def start(self) -> None:
        """Start it again."""
        self._container.get_wrapped_container().start()
        self._wait()

    def stop(self) -> None:
        """Stop it in good order; its data stays."""
        self._container.get_wrapped_container().stop()

    def kill(self) -> None:
        """Kill it with SIGKILL; its data stays."""
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        """Stop it in good order, and start it again."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Kill it and delete its data."""
        self._container.stop()

    def _wait(self) -> None:
        try:
            wait_until_ready(self.url, lambda: True)
        except ConnectionError:
            self.remove()
            raise
