"""Jobs in this process's memory."""

from goscheds.backends.memory.store import MemoryStore, connect

__all__ = ["MemoryStore", "connect"]
