"""Broken stores, each a real one with one planted fault, and the law that it breaks.

They register under URL schemes of their own, as any plugin's stores do, so that the contract meets them as it meets a
third party's.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from goscheds.plugins import hookimpl
from goscheds.store import Store, StoreFactory

BROKEN: dict[str, str] = {}
"""The law that each scheme's store breaks."""

_factories: dict[str, StoreFactory] = {}


def breaks(law: str) -> Callable[[type], type]:
    """Register a broken store: ``ForgetsTheFence`` is ``forgets-the-fence://``."""

    def register(store: type) -> type:
        scheme = name_scheme(store)
        BROKEN[scheme] = law
        serve(scheme, store)
        return store

    return register


def serve(scheme: str, store: Callable[[str, str], Store]) -> None:
    """Register a store that is not broken."""
    _factories[scheme] = store


def name_scheme(store: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", store.__name__).lower()


@hookimpl
def goscheds_stores() -> dict[str, StoreFactory]:
    return dict(_factories)


from broken import claiming, leasing, looking, pushing, served, settling, timing  # noqa: E402,F401 - they register
