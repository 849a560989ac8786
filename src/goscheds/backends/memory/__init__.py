"""Jobs in this process's memory."""

import threading

from goscheds.backends.memory.store import MemoryStore
from goscheds.url import split

__all__ = ["MemoryStore", "connect"]

_named: dict[tuple[str, str], MemoryStore] = {}
_naming = threading.Lock()


def connect(url: str, namespace: str) -> MemoryStore:
    """A private store for ``memory://``, the process's one of that name and namespace for ``memory://name``."""
    name = split(url).netloc
    if not name:
        return MemoryStore()
    with _naming:
        return _named.setdefault((name, namespace), MemoryStore())
