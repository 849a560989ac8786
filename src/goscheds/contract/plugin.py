"""What the contract needs of pytest; loaded into every session as an entry point, so it imports next to nothing."""

from __future__ import annotations

import pytest

from goscheds.contract import PARTS

# pytest explains the asserts of test files and plugins alone; without this, a foreign package's contract fails mutely.
pytest.register_assert_rewrite(
    *(f"goscheds.contract.{room}" for room in (*PARTS.values(), "bench", "case", "processes", "model"))
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the contract's markers known to sessions that are strict about them."""
    config.addinivalue_line("markers", "slow: takes seconds; leave it out with -m 'not slow'")
    config.addinivalue_line("markers", "timeout: kept by pytest-timeout, where that is installed")
