"""Jobs in this process's memory."""

import threading
from urllib.parse import urlsplit

from goscheds.backends.memory.store import MemoryStore

__all__ = ["MemoryStore", "connect"]

_named: dict[tuple[str, str], MemoryStore] = {}
_naming = threading.Lock()


def connect(url: str, namespace: str) -> MemoryStore:
    """A private store for ``memory://``, the process's one of that name and namespace for ``memory://name``."""
    name = urlsplit(url).netloc
    if not name:
        return MemoryStore()
    with _naming:
        return _named.setdefault((name, namespace), MemoryStore())
