"""The law on the memory store."""

from goscheds.contract import Contract


class TestMemory(Contract):
    url = "memory://"
