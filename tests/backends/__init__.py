"""Tests of what only one store has. A package, as its modules are called like those of the contract."""
