"""The law as tests, for every store and every author of one.

Bind it in a test module; each part may also be bound alone::

    from goscheds.contract import Contract

    class TestMyStore(Contract):
        url = "myscheme://localhost/test"

The parts are imported when they are asked for, because pytest has to be told to explain their asserts first.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goscheds.contract.cancel import Cancel
    from goscheds.contract.claim import Claim
    from goscheds.contract.crash import Crash
    from goscheds.contract.fault import Fault
    from goscheds.contract.lease import Lease
    from goscheds.contract.look import Look
    from goscheds.contract.model import Model
    from goscheds.contract.outage import Outage
    from goscheds.contract.pipelining import Pipelining
    from goscheds.contract.push import Push
    from goscheds.contract.settle import Settle
    from goscheds.contract.time import Time
    from goscheds.contract.unique import Unique
    from goscheds.contract.whole import Contract

__all__ = [
    "Cancel",
    "Claim",
    "Contract",
    "Crash",
    "Fault",
    "Lease",
    "Look",
    "Model",
    "Outage",
    "Pipelining",
    "Push",
    "Settle",
    "Time",
    "Unique",
]

PARTS = {name: name.lower() for name in __all__ if name != "Contract"}
"""The contract's parts, each a class in a module of its own."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{PARTS.get(name, 'whole')}"), name)
