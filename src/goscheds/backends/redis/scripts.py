"""The Lua scripts, each of which is one atomic step. What they do stands in ``lua/``, at the head of each."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from redis import Redis


class Scripts:
    """The scripts on one namespace. They are sent by digest, and whole when the server has forgotten them."""

    def __init__(self, client: Redis, tag: str) -> None:
        self._tag = tag
        texts = {file.name: file.read_text() for file in (files(__package__) / "lua").iterdir()}
        prelude = texts.pop("prelude.lua")
        self._scripts = {name: client.register_script(prelude + text) for name, text in texts.items()}

    def run(self, name: str, *args: str | bytes | float) -> Any:  # the answer's shape stands in the script's header
        """Run a script; its answer as the driver gives it."""
        return self._scripts[f"{name}.lua"](keys=[self._tag], args=args)
