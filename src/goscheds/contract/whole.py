"""The whole law in one class."""

from __future__ import annotations

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


class Contract(Model, Outage, Fault, Look, Cancel, Unique, Crash, Lease, Pipelining, Settle, Claim, Time, Push):
    """Every part of the contract; each of them may be bound alone as well.

    pytest runs the tests of the last base first: the simplest laws come first, and the random runs at the end.
    """
