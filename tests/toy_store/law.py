"""The law, bound to a third party's store; run where both are installed."""

from goscheds.contract import Contract


class TestToyStore(Contract):
    url = "toy://contract"
