"""The Lua scripts, each of which is one atomic step. What they do stands in ``lua/``, at the head of each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from redis import Redis

from goscheds.backends.redis.client import driver_errors

TEXTS = {file.name: file.read_text() for file in (files(__package__) / "lua").iterdir()}
PRELUDE = TEXTS.pop("prelude.lua")


class Line:
    """A client with the scripts on one namespace; they are sent by digest, and whole when the server forgot them."""

    def __init__(self, client: Redis, shown: str, tag: str) -> None:
        self.client = client
        self.closed = False
        self._shown = shown
        self._tag = tag
        self._scripts = {name: self.client.register_script(PRELUDE + text) for name, text in TEXTS.items()}

    def close(self) -> None:
        """Let go of the idle connections now, and of those in use when they are idle."""
        self.closed = True
        self.client.connection_pool.disconnect(inuse_connections=False)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """The driver's errors as those of goscheds."""
        try:
            with driver_errors(self.client, self._shown):
                yield
        finally:
            if self.closed:  # while this call was still waiting
                self.close()

    def run(self, name: str, *args: str | bytes | float) -> Any:  # the answer's shape stands in the script's header
        """Run a script; its answer as the driver gives it."""
        with self.errors():
            return self._scripts[f"{name}.lua"](keys=[self._tag], args=args)
