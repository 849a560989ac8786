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
from goscheds.contract.push import Push
from goscheds.contract.settle import Settle
from goscheds.contract.time import Time
from goscheds.contract.unique import Unique


class Contract(Push, Time, Claim, Settle, Lease, Crash, Unique, Cancel, Look, Fault, Outage, Model):
    """Every part of the contract. Each of them may be bound alone as well."""
