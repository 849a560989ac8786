"""Whatever somebody types: the command does it, or says in a line what is wrong, and stores nothing."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import click
import pytest
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from terminal import USAGE, run

from goscheds import Job, Scheduler, Worker
from goscheds.cli import COMMANDS, main
from goscheds.errors import ConfigError
from goscheds.record import Outcome

NAMES = [name for topic in COMMANDS.values() for name in topic]
STORED = ["ready", "scheduled", "done", "dead", "cancelled", "active"]
"""The jobs in the store: each has its state as its id."""
TYPED = [
    "", " ", "-", "--", "---", "=", ",", ":", "://", "0", "1", "-1", "+1", "1.5", "1e3", "1e999", "-1e999", "nan",
    "inf",
    "0x10", "1_000", "٣", "²", "9" * 30, "-" + "9" * 400, "9" * 5000, "x" * 256, "x" * 100_000, "☃", "é",
    "\u202eevil",
    "\udcff", "\ud800", "\x1b[31mred", "\x1b]0;title\x07", "a\nb", "a\r\nb", "\t", "\x7f", "\x9b1m", "\u2028", "%s",
    "%", "{}",
    "'", '"', "\\", "$(id)", "*", "~", "/", "..", "'; DROP TABLE goscheds_jobs; --",
    "0s", "1s", "-1s", "1h30m", "90", "1.5d", "1e5s", "9" * 30 + "s", "9" * 400 + "w", "10439w", "٣s", "1S", "1 s",
    "s", ".5s",
    "now", "tomorrow", "12:30", "2027-01-01", "2027-01-01T00:00:00", "2027-01-01T00:00:00Z",
    "2027-01-01T00:00:00+00:00",
    "2027-01-01T00:00:00+23:59:59", "2027-13-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59",
    "0001-01-01T00:00:00",
    "0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "20270101T000000+0000", "2027-W01-1T00:00:00Z",
    "2027-02-30T00:00:00Z",
    "k=1", "k=", "=1", "k=[1", 'k={"a":1e999}', "k=NaN", "k=nan", "k=" + "[" * 900, "k=" + "9" * 5000, "k=\udcff",
    "\x1b=1", "a=b=c",
    "{}", '{"k":1}', "[1]", "null", "1",
    '{"k":', '{"k":"\\ud800"}', '{"' + "k" * 300 + '":1}', '{"k":' + "[" * 900 + "]" * 900 + "}",
    "mail=8", "mail=0", "mail=-1", "mail=x", "mail=8,mail=9", "=8", ",", "mail=" + "9" * 400, "\x1b=8", "500M", "0M",
    "-1M", "1e9G",
    "9" * 400 + "G", "127.0.0.1:0", "127.0.0.1:99999", ":-1", "nowhere.invalid:1", "[::", "missing/health", "C1",
    "Z9", "steady",
]  # fmt: skip
TARGETS = [
    "", ":", "os", "os:path", "os:nothing", "os.path:join", "nothing_here", "nothing.here:x", ":x", "os:", "os::",
    "é:é", "a b:c",
    "\udcff", "\x1b[31m:x", "x.py", "./x.py:y", "..", "sys:modules", "sqlite:", "sqlite://", "sqlite:///",
    "sqlite:///.",
    "sqlite:///no/such/place/jobs.db", "sqlite:///jobs.db?wal=maybe", "sqlite:///\udcff", "sqlite:///jobs.db?",
    "sqlite://h/x",
    "memory://", "redis://", "redis://u:hunter2@127.0.0.1:1", "redis://127.0.0.1:x", "redis://[::",
    "redis+sentinel://127.0.0.1:1/",
    "postgresql://u:hunter2@127.0.0.1:1/d", "postgresql://u:hunter2@127.0.0.1:x/d",
    "rediss://127.0.0.1:1?ssl_cert_reqs=maybe",
    "mysql://h", "http://h", "nosuch://h", "://", "redis:/x", "\x1b[31m://x",
]  # fmt: skip
ONE = ("push", "reschedule", "jobs", "show", "stats", "purge")
"""Commands that do one thing, and so nothing at all when they fail."""
TEXT = st.sampled_from(TYPED) | st.sampled_from(STORED) | st.text(st.characters(exclude_characters="\0"), max_size=12)


@st.composite
def commands(draw: st.DrawFn) -> list[str]:
    """A command with options and arguments of its own, and what is typed there."""
    name = draw(st.sampled_from(NAMES))
    command = main.get_command(click.Context(main), name)
    assert command
    words = [name]
    options = [param for param in command.params if isinstance(param, click.Option) and "--watch" not in param.opts]
    for option in draw(st.lists(st.sampled_from(options), max_size=4) if options else st.just([])):
        words.append(draw(st.sampled_from(option.opts)))
        if not option.is_flag:
            fitting = list(option.type.choices) if isinstance(option.type, click.Choice) else []
            words.append(draw(st.sampled_from(TARGETS) if "--store" in option.opts else st.sampled_from(fitting) | TEXT
                              if fitting else TEXT))  # fmt: skip
    for param in command.params:
        if isinstance(param, click.Argument):
            most = 3 if param.nargs < 0 else 1
            words += draw(
                st.lists(st.sampled_from(TARGETS) if param.name in ("url", "target") else TEXT, max_size=most)
            )
    return [*words, *draw(st.lists(TEXT, max_size=1))]


def here(scheduler: Scheduler) -> dict[str, Any]:
    return {"jobs": {info.id: (info.state, info.job) for info in scheduler.jobs()}, "paused": scheduler.counts().paused}


@pytest.fixture
def scheduler(tmp_path, monkeypatch):
    """Jobs in every state, and nothing that runs for long."""

    def not_now(*_: Any, **__: Any) -> None:
        raise ConfigError("It would go on for long.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for long in ("bench.measure", "chaos.measure", "chaos.run", "demo._perform", "stores.try_laws"):
        monkeypatch.setattr(f"goscheds.cli.{long}", not_now)
    monkeypatch.setattr("goscheds.cli.worker._supervise", not_now)
    for runs in (Worker, Scheduler):
        monkeypatch.setattr(runs, "run", not_now)
    for logs in ("worker", "run"):
        monkeypatch.setattr(f"goscheds.cli.{logs}.log_to_stderr", lambda *_, **__: None)
    wait = Scheduler.result
    monkeypatch.setattr(Scheduler, "result", lambda self, job, timeout=None: wait(self, job, timedelta(0)))
    with Scheduler("sqlite:///jobs.db") as scheduler:
        scheduler.store.heartbeat("w", 3600, b"")
        scheduler.push_many([Job("greet", id=id) for id in ("done", "dead", "active")])
        done, dead, _ = scheduler.store.claim("default", "w", 3, 0)
        scheduler.store.settle("w", [Outcome.done(done), Outcome.dead(dead)])
        scheduler.push(Job("greet", id="cancelled"))
        scheduler.cancel("cancelled")
        scheduler.push_in(timedelta(1), Job("greet", id="scheduled"))
        scheduler.push(Job("greet", id="ready"))
        yield scheduler


@fuzzed(400)
@given(commands())
@example(["push", "a\nb"])
def test_whatever_is_typed_is_done_or_refused_in_a_line(scheduler, words):
    before = here(scheduler)
    result = run(*words, GOSCHEDS_STORE="sqlite:///jobs.db")
    said = f"{words!r:.300} gave {result.exit_code}, {result.exception!r:.300}: {result.output:.500}"
    assert isinstance(result.exception, SystemExit | None), said
    assert result.exit_code in (0, 1, USAGE), said
    assert all(character == "\n" or character.isprintable() for character in result.output), said
    assert "hunter2" not in result.output, said
    if result.exit_code:
        assert result.stderr.splitlines()[-1].startswith("Error: "), said
        assert len(result.stderr) < 2000, said
    if result.exit_code == USAGE or (result.exit_code and words[0] in ONE and "--wait" not in words):
        assert here(scheduler) == before, said
