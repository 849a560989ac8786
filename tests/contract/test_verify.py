"""``verify``: the law on a URL, rule by rule."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import broken
import pytest

from goscheds.contract.laws import LAWS
from goscheds.contract.report import Finding, Rule, Verdict, rules
from goscheds.contract.verify import verify
from goscheds.errors import ConfigError, GoschedsError, StoreUnavailable, UnknownScheme
from goscheds.plugins import plugins


@pytest.fixture
def broken_stores(monkeypatch):
    monkeypatch.setenv("GOSCHEDS_CONTRACT_PLUGINS", "broken")
    plugins.register(broken, "broken")
    yield
    plugins.unregister("broken")


@pytest.mark.slow
def test_what_held_and_what_could_not_be_tried_is_told_rule_by_rule(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heard: list[Finding] = []
    found = verify("memory://", ["F1", "U2", "X1"], heard.append)
    assert [(rule.law, rule.sentence, rule.verdict) for rule in found] == [
        ("U2", LAWS["U2"], Verdict.HELD),
        ("X1", LAWS["X1"], Verdict.HELD),
        ("F1", LAWS["F1"], Verdict.SKIPPED),
    ]
    assert sorted(heard, key=str) == sorted((finding for rule in found for finding in rule.findings), key=str)
    assert {finding.law for finding in heard} == {"F1", "U2", "X1"}
    assert all(finding.test.startswith(f"test_{finding.law.lower()}_") for finding in heard)
    assert "the binding has no fixture `restart`" in " ".join(finding.reason for finding in found[2].findings)
    assert list(tmp_path.iterdir()) == [], "it leaves something behind"


@pytest.mark.slow
def test_a_broken_law_is_told_with_its_reason(broken_stores):
    heard: list[Finding] = []
    verify("forgets-the-fence://", ["S1", "U2"], heard.append)
    red = [finding for finding in heard if finding.verdict is Verdict.BROKEN]
    assert {finding.law for finding in red} == {"S1"}
    assert "Left contains one more item" in red[0].reason, "pytest has not explained the assert"
    assert "settle.py" in red[0].trace


def test_an_unknown_law_is_an_error_that_lists_the_laws():
    with pytest.raises(ConfigError, match=r"There is no law Z1\. The laws are P1, .*, F3"):
        verify("memory://", ["P1", "Z1"])


def test_an_unknown_scheme_is_an_error_before_anything_is_run():
    with pytest.raises(UnknownScheme, match="nowhere://"):
        verify("nowhere://")


def test_a_store_that_does_not_answer_is_an_error_and_not_33_broken_laws():
    with pytest.raises(StoreUnavailable):
        verify("redis://127.0.0.1:1/0")


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "goscheds.contract.verify.find_spec", lambda name: None if name == "hypothesis" else find_spec(name)
    )
    with pytest.raises(ConfigError, match=r"needs hypothesis\. .* pip install 'goscheds\[contract\]'"):
        verify("memory://")


@pytest.mark.slow
def test_a_run_that_breaks_down_is_an_error_with_what_it_said(monkeypatch):
    monkeypatch.setenv("GOSCHEDS_CONTRACT_PLUGINS", "no_such_module")
    with pytest.raises(GoschedsError, match="no_such_module"):
        verify("memory://", ["U2"])


@pytest.mark.slow
def test_an_interrupted_run_ends_what_it_started(redis_url, monkeypatch):
    started = []
    popen = subprocess.Popen

    def remember(*args, **options):
        started.append(popen(*args, **options))
        return started[-1]

    monkeypatch.setattr("goscheds.contract.verify.subprocess.Popen", remember)

    def interrupt(finding: Finding) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(redis_url, ["P1", "L2"], interrupt)
    assert started[0].wait(10) in (2, -signal.SIGINT, -signal.SIGPIPE, 1)


def test_a_law_is_broken_by_one_test_and_held_by_one_if_none_breaks_it():
    held, skipped, red = (Finding("P1", f"test_p1_{verdict}", verdict) for verdict in ("held", "skipped", "broken"))
    verdicts = [rules(found, ["P1"])[0].verdict for found in ([held, red], [skipped, held], [skipped], [])]
    assert verdicts == ["broken", "held", "skipped", "skipped"]
    assert rules([held], ["P1"]) == [Rule("P1", LAWS["P1"], Verdict.HELD, (held,))]


@pytest.mark.slow
def test_a_foreign_package_binds_it_in_five_lines_and_sees_its_asserts_explained(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import broken\nfrom goscheds.plugins import plugins\n\nplugins.register(broken)\n"
    )
    (tmp_path / "test_mine.py").write_text(
        "from goscheds.contract import Settle\n\n\n"
        "class TestMine(Settle):\n    url = 'memory://'\n\n\n"
        "class TestBroken(Settle):\n    url = 'forgets-the-fence://'\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error", "-k", "s1", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(broken.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "Left contains one more item" in ran.stdout, "the assert is not explained"
    assert "FAILED test_mine.py::TestBroken::test_s1_another_fence_is_refused_and_changes_nothing" in ran.stdout
    assert "FAILED test_mine.py::TestMine" not in ran.stdout
