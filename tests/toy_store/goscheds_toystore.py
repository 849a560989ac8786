"""A store by a third party: ``toy://name``."""

from __future__ import annotations

from collections.abc import Mapping

from goscheds.backends.memory import MemoryStore
from goscheds.plugins import hookimpl
from goscheds.store import StoreFactory


class ToyStore(MemoryStore):
    """Jobs in memory, each store with the URL and the namespace that it was asked for by."""

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__()
        self.url = url
        self.namespace = namespace


@hookimpl
def goscheds_stores() -> Mapping[str, StoreFactory]:
    """The store's scheme."""
    return {"toy": ToyStore}
