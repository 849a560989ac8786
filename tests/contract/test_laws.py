"""The table of laws, the protocol that cites them and the tests that try them say the same."""

import importlib
import re
from pathlib import Path

import pytest

import goscheds.contract
import goscheds.store
from goscheds.contract import PARTS, Contract
from goscheds.contract.laws import LAWS, law_of

ROOMS = sorted(Path(goscheds.contract.__file__).parent.glob("*.py"))
TESTS = {name for name in dir(Contract) if name.startswith("test")}


def test_every_test_names_a_law():
    assert [name for name in TESTS if not law_of(name)] == []


def test_every_law_has_a_test():
    assert {law_of(name) for name in TESTS} == set(LAWS)


def test_the_laws_are_those_of_the_design():
    counts = {"P": 5, "T": 3, "C": 5, "S": 3, "L": 7, "U": 2, "X": 3, "K": 2, "F": 3}
    assert list(LAWS) == [f"{letter}{number + 1}" for letter, count in counts.items() for number in range(count)]


def test_the_protocol_cites_no_other_laws():
    cited = set(re.findall(r"\b([PTCSLUXKF]\d)\b", Path(goscheds.store.__file__).read_text()))
    assert cited <= set(LAWS)
    assert set(LAWS) - cited <= {"L5", "T2"}, "all but what binds the core and the values"


@pytest.mark.parametrize(("name", "law"), [("test_p2_x", "P2"), ("test_z1_x", ""), ("test_p2", ""), ("test_push", "")])
def test_a_name_is_read_as_it_begins(name, law):
    assert law_of(name) == law


@pytest.mark.parametrize("part", PARTS)
def test_each_part_may_be_bound_alone_and_is_part_of_the_whole(part):
    cls = getattr(importlib.import_module(f"goscheds.contract.{PARTS[part]}"), part)
    assert getattr(goscheds.contract, part) is cls
    assert issubclass(Contract, cls)
    assert any(name.startswith("test") for name in vars(cls))


def test_capabilities_decide_and_never_a_stores_name():
    named = re.compile(r"redis|valkey|postgres|sqlite|mysql", re.IGNORECASE)
    assert [room.name for room in ROOMS if named.search(room.read_text())] == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Contracts"):
        goscheds.contract.Contracts  # noqa: B018 - the attribute is the test
