"""The store that the faults are planted in."""

from __future__ import annotations

from broken import serve
from goscheds.backends.memory import MemoryStore


class Intact(MemoryStore):
    """A memory store made from a URL and a namespace, private as that of ``memory://``."""

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__()
        self.namespace = namespace


serve("intact", Intact)
