"""The Lua scripts, each of which is one atomic step. What they do stands in ``lua/``, at the head of each."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from redis import Redis

NAMES = (
    "claim", "counts", "heartbeat", "held", "move", "page", "pause", "promote", "purge", "push", "recover", "rows",
    "settle", "structures", "workers",
)  # fmt: skip


class Scripts:
    """The scripts on one namespace. They are sent by digest, and whole when the server has forgotten them."""

    def __init__(self, client: Redis, tag: str) -> None:
        self._tag = tag
        texts = {name: (files(__package__) / "lua" / f"{name}.lua").read_text() for name in ("prelude", *NAMES)}
        self._scripts = {name: client.register_script(texts["prelude"] + texts[name]) for name in NAMES}

    def run(self, name: str, *args: str | bytes | float) -> Any:  # the answer's shape stands in the script's header
        """Run a script; its answer as the driver gives it."""
        return self._scripts[name](keys=[self._tag], args=args)
