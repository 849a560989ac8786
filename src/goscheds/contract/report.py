"""What came of the law: test by test while it is tried, then rule by rule."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from enum import StrEnum

import pytest
from msgspec import Struct

from goscheds.contract.laws import LAWS, law_of


class Verdict(StrEnum):
    """What is known of a law, or came of a test."""

    HELD = "held"
    BROKEN = "broken"
    SKIPPED = "skipped"  # the store lacks a capability, or the binding a fixture


class Finding(Struct, frozen=True):
    """What came of one test."""

    law: str
    test: str
    verdict: Verdict
    reason: str = ""  # why it was skipped, or what was not so, in a few lines
    trace: str = ""  # where it was not so, as pytest shows it
    seconds: float = 0.0


class Rule(Struct, frozen=True):
    """What came of one law."""

    law: str
    sentence: str
    verdict: Verdict
    findings: tuple[Finding, ...]


def rules(findings: Iterable[Finding], laws: Collection[str] = tuple(LAWS)) -> list[Rule]:
    """The findings by law, in the order of the law. A law is held if any test of it held and none is broken."""
    by_law: dict[str, list[Finding]] = {law: [] for law in LAWS if law in laws}
    for finding in findings:
        by_law[finding.law].append(finding)
    return [Rule(law, LAWS[law], _verdict(found), tuple(found)) for law, found in by_law.items()]


def _verdict(findings: list[Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in findings}
    return next((one for one in (Verdict.BROKEN, Verdict.HELD) if one in verdicts), Verdict.SKIPPED)


def examine(url: str, laws: Collection[str], found: Callable[[Finding], None], *options: str) -> int:
    """Try laws on a store in this process, and report each test as it ends; pytest's exit code.

    pytest runs by itself, without a configuration, a conftest, a cache, and the plugins that happen to be installed;
    ``options`` are its own.
    """
    alone = ("-c", os.devnull, "--rootdir", os.curdir, "--noconftest", "-p", "no:cacheprovider", "--tb=short", "-q")
    with_plugins = ("-p", "pytest_timeout", "-p", "goscheds.contract.plugin")
    before = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        args = [*alone, *with_plugins, *options, "--pyargs", "goscheds.contract.bound"]
        return int(pytest.main(args, plugins=[Reporter(url, laws, found)]))
    finally:
        del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        if before is not None:
            os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = before


class Reporter:
    """The pytest plugin that chooses the tests and hears of their ends."""

    def __init__(self, url: str, laws: Collection[str], found: Callable[[Finding], None]) -> None:
        self._url = url
        self._laws = laws
        self._found = found

    @pytest.fixture
    def contract_url(self) -> str:
        """The URL for ``goscheds.contract.bound``."""
        return self._url

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out the laws that were not asked for."""
        chosen = [item for item in items if law_of(item.name) in self._laws]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test was set up, called or torn down; its end is the call's, unless another part of it went wrong."""
        if report.when != "call" and report.passed:
            return
        verdict = Verdict.HELD if report.passed else Verdict.SKIPPED if report.skipped else Verdict.BROKEN
        test = report.nodeid.rpartition("::")[2]
        trace = report.longreprtext if report.failed else ""
        self._found(Finding(law_of(test), test, verdict, _reason(report), trace, report.duration))


def _reason(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash else report.longreprtext
