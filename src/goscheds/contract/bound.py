"""The contract bound to the URL that ``report.examine`` is given."""

from __future__ import annotations

import pytest

from goscheds.contract import Contract


class TestStore(Contract):
    """Every law, on that store."""

    @pytest.fixture
    def store_url(self, contract_url: str) -> str:
        """The store to test."""
        return contract_url
