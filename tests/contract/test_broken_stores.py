"""The law is law: each broken store turns it red, at the rule that it breaks, and the intact stores don't."""

import importlib
import re
from collections.abc import Collection

import broken
import pytest
from broken import BROKEN, served

from goscheds.contract import PARTS
from goscheds.contract.laws import LAWS
from goscheds.contract.report import Finding, Verdict, examine
from goscheds.plugins import plugins

ON_A_SERVER = {scheme: law for scheme, law in BROKEN.items() if scheme in served.SCHEMES}
IN_MEMORY = {scheme: law for scheme, law in BROKEN.items() if scheme not in served.SCHEMES}
LEAN = ("-p", "no:unraisableexception")  # its ten garbage collections are half of a short run
QUICKLY = ("-m", "not slow")
MISTAKE = re.compile("(Attribute|Type|Name|Key|Import)Error")
HASTE = 1.3  # seconds instead of LATE; most of these runs end in one of its waits
LETTERS = sorted({law[0] for law in LAWS})


@pytest.fixture(autouse=True)
def broken_stores(monkeypatch):
    monkeypatch.setenv("GOSCHEDS_CONTRACT_PLUGINS", "broken")
    for module in [importlib.import_module(f"goscheds.contract.{room}") for room in ("bench", *PARTS.values())]:
        if hasattr(module, "LATE"):
            monkeypatch.setattr(module, "LATE", HASTE)
    plugins.register(broken, "broken")
    yield
    plugins.unregister("broken")


def like(letter: str) -> list[str]:
    return [law for law in LAWS if law[0] == letter]


def first_red(url: str, laws: Collection[str], *options: str) -> Finding | None:
    """The first test of these laws that fails."""
    findings: list[Finding] = []
    examine(url, laws, findings.append, *LEAN, "--exitfirst", *options)
    assert {finding.law for finding in findings} <= set(laws)
    assert options or any(finding.verdict is not Verdict.SKIPPED for finding in findings), "nothing was tried"
    return next((finding for finding in findings if finding.verdict is Verdict.BROKEN), None)


def test_there_are_enough_of_them():
    assert len(BROKEN) >= 25
    assert set(BROKEN.values()) == set(LAWS)


@pytest.mark.slow
@pytest.mark.parametrize("letter", LETTERS)
def test_the_intact_memory_store_is_green(letter):
    assert first_red("intact://", like(letter)) is None


@pytest.mark.slow
@pytest.mark.parametrize("law", sorted(set(ON_A_SERVER.values())))
def test_the_intact_served_store_is_green(redis_url, law):
    assert first_red(redis_url.replace("redis://", "served://"), [law]) is None


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "law"), IN_MEMORY.items())
def test_a_broken_store_is_red_at_the_law_that_it_breaks(scheme, law):
    check(first_red(f"{scheme}://", like(law[0]), *QUICKLY) or first_red(f"{scheme}://", like(law[0])), law)


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "law"), ON_A_SERVER.items())
def test_a_broken_store_on_a_server_is_red_at_the_law_that_it_breaks(redis_url, scheme, law):
    check(first_red(redis_url.replace("redis://", f"{scheme}://"), [law]), law)


def check(red: Finding | None, law: str) -> None:
    assert red, "it passes"
    assert red.law == law, red.reason
    assert not MISTAKE.match(red.reason), "the fault itself is broken"
