"""The whole law in one class."""

from __future__ import annotations

from goscheds.contract.claim import Claim
from goscheds.contract.push import Push
from goscheds.contract.settle import Settle


class Contract(Push, Claim, Settle):
    """Every part of the contract."""
