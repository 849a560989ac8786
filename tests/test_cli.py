"""The command line as a whole: help, errors in one line, which store is meant, and how time is typed and told."""

from __future__ import annotations

import os
import resource
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from terminal import USAGE, application, printed, refused, run

from goscheds.cli import COMMANDS, main, one_line
from goscheds.cli.target import find_scheduler
from goscheds.cli.times import duration, exact, moment, relative, spell
from goscheds.cli.worker import queue_slots
from goscheds.errors import ConfigError

HELP_MS = 150
ROOT = Path(__file__).parent.parent
NAMES = [name for topic in COMMANDS.values() for name in topic]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A directory to work in, put on ``sys.path`` by the command and taken off it again here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


class TestHelp:
    def test_names_every_command(self):
        told = printed("--help")
        assert all(f"\n  {name} " in told for name in NAMES)
        assert all(f"{topic}:" in told for topic in COMMANDS)

    @pytest.mark.parametrize("name", NAMES)
    def test_every_command_explains_itself(self, name):
        told = printed(name, "--help")
        assert told.startswith(f"Usage: goscheds {name} ")
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.help
        assert all(option.help for option in command.params if isinstance(option, click.Option))

    def test_takes_no_longer_than_a_blink(self):
        program = Path(sys.executable).with_name("goscheds")
        assert any(_cpu_ms(program, "--help") < HELP_MS for _ in range(8))

    def test_the_version(self):
        assert printed("--version").startswith("goscheds 0.")

    def test_python_m_is_the_same_program(self):
        told = subprocess.run([sys.executable, "-m", "goscheds", "--help"], capture_output=True, text=True, check=True)
        assert told.stdout == printed("--help")


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
TOLD = [
    (page.name, line.partition(" |")[0])
    for page in PAGES
    for line in page.read_text().splitlines()
    if line.startswith("goscheds ")
]


@pytest.mark.parametrize(("page", "line"), TOLD)
def test_what_the_pages_tell_to_type_can_be_typed(page, line):
    _, name, *words = shlex.split(line, comments=True)
    command = main.get_command(click.Context(main), name)
    assert command is not None, name
    command.make_context(name, words)


def test_the_pages_name_every_command():
    told = (ROOT / "docs" / "command-line.md").read_text()
    assert all(f"`{name}`" in told for name in NAMES)


def _cpu_ms(*command: object) -> float:
    """What a program costs. On a busy machine the wall clock says nothing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, env=unmeasured)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


class TestErrors:
    def test_a_mistyped_command_is_told_the_closest(self):
        assert refused("jbos", status=USAGE) == "There is no command 'jbos'. Did you mean 'jobs'?"
        assert refused("xyz", status=USAGE) == "There is no command 'xyz'."

    def test_a_mistyped_option_is_told_the_closest(self):
        assert "--state" in refused("jobs", "--sate", "dead", status=USAGE)

    def test_a_store_without_its_option_is_told_of_it(self):
        assert refused("stats", "sqlite:///jobs.db", status=USAGE).endswith("write it behind --store.")
        assert refused("jobs", "dead", status=USAGE) == "Got unexpected extra argument (dead)"
        said = refused("jobs", "redis://me:geheim@127.0.0.1:1/0", status=USAGE)
        assert "behind --store" in said
        assert "geheim" not in said

    def test_no_store_says_how_to_name_one(self):
        assert "--store" in (said := refused("jobs", status=USAGE))
        assert "GOSCHEDS_STORE" in said

    def test_a_store_that_can_not_be_reached_is_one_line_without_its_password(self):
        said = refused("jobs", "-s", "redis://me:geheim@127.0.0.1:1/0")
        assert "redis://me:***@127.0.0.1:1/0" in said
        assert "geheim" not in said

    def test_no_password_in_a_usage_error(self):
        assert "geheim" not in refused("jobs", "redis://me:geheim@127.0.0.1:1/0", status=USAGE)

    def test_several_lines_of_a_driver_become_one(self):
        assert (
            one_line("It failed:\n\tpostgres://a:b@h/ is not there\n") == "It failed: postgres://a:***@h/ is not there"
        )

    def test_a_store_of_one_process_is_of_no_use_from_another(self):
        assert "lives inside one process" in refused("stats", "-s", "memory://")

    def test_ctrl_c_is_one_line(self, monkeypatch):
        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("goscheds.cli.target.find_scheduler", interrupted)
        assert refused("stats", "-s", "sqlite:///jobs.db") == "Interrupted."


class TestTarget:
    def test_a_url_with_its_namespace(self):
        scheduler = find_scheduler("sqlite:///jobs.db", "shop")
        assert (scheduler.url, scheduler.namespace) == ("sqlite:///jobs.db", "shop")

    def test_from_the_environment(self):
        result = run("jobs", "--json", GOSCHEDS_STORE="sqlite:///jobs.db", GOSCHEDS_NAMESPACE="shop")
        assert (result.exit_code, result.stdout) == (0, "[]\n")

    def test_an_attribute_of_a_module_in_the_current_directory(self, here):
        name = application(TWO, here)
        assert find_scheduler(f"{name}:second", None).url == "sqlite:///2.db"
        assert find_scheduler(f"{name}:Shop.scheduler", None).url == "sqlite:///1.db"

    def test_the_only_scheduler_of_a_module(self, here):
        name = application("from goscheds import Scheduler\nit = Scheduler('sqlite:///1.db')\nalso = it", here)
        assert find_scheduler(name, None).url == "sqlite:///1.db"

    def test_a_namespace_that_is_not_the_applications_own(self, here):
        name = application(TWO, here)
        assert find_scheduler(f"{name}:first", "goscheds").namespace == "goscheds"
        with pytest.raises(ConfigError, match="has the namespace 'goscheds' of its own"):
            find_scheduler(f"{name}:first", "shop")

    @pytest.mark.parametrize(
        ("target", "said"),
        [
            ("{app}", "has 2 schedulers. Say which: {app}:first or {app}:second."),
            ("{app}:frist", "{app} has no attribute 'frist'. Did you mean {app}:first or {app}:second?"),
            ("{app}:number", "{app}:number is an int, not a Scheduler. Did you mean {app}:first or {app}:second?"),
            ("{app}:Shop", "{app}:Shop is the class Shop, not a Scheduler."),
            ("./{app}.py", "A module is given by its dotted name, from the current directory: {app}:scheduler."),
            ("{app}.py:first", "from the current directory: {app}:scheduler."),
            ("{app}x:first", "nor installed. Did you mean '{app}'?"),
            ("nowhere_at_all", "There is no module 'nowhere_at_all' in "),
            (":first", "neither module:attribute nor a store's URL. Give app:scheduler"),
            (
                "sqlite:/jobs.db",
                "nor a store's URL. Give app:scheduler (the attribute `scheduler` of app.py)",
            ),
            ("sqllite:///jobs.db", "Did you mean sqlite://?"),
        ],
    )
    def test_what_is_not_a_scheduler_is_told_what_it_is(self, here, target, said):
        name = application(TWO, here)
        with pytest.raises(ConfigError) as caught:
            find_scheduler(target.format(app=name), None)
        assert said.format(app=name) in str(caught.value)

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ("\nimport not_here_at_all", "ModuleNotFoundError: No module named 'not_here_at_all' ({file}, line 2)"),
            ("def f(:", "SyntaxError: invalid syntax ({file}, line 1)"),
            ("\n\n1 / 0", "ZeroDivisionError: division by zero ({file}, line 3)"),
            ("raise SystemExit(3)", "SystemExit: 3 ({file}, line 1)"),
            (
                "from goscheds import Scheduler\nScheduler('nope://')",
                "UnknownScheme: No installed store serves nope://",
            ),
        ],
    )
    def test_an_application_that_breaks_says_where(self, here, source, said):
        name = application(source, here)
        assert f"Importing '{name}' failed: " in (told := refused("stats", "-s", name))
        assert said.format(file=here / f"{name}.py") in told

    def test_a_module_without_a_scheduler_is_told_how_to_make_one(self, here):
        name = application("number = 1", here)
        assert "has no Scheduler. Make one there" in refused("stats", "-s", name)
        assert "It has no Scheduler at module level." in refused("stats", "-s", f"{name}:nmuber")


TWO = """
    from goscheds import Scheduler

    first, second, number = Scheduler("sqlite:///1.db"), Scheduler("sqlite:///2.db"), 3

    class Shop:
        scheduler = first
"""


class TestTime:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400), ("1w", 604800), ("500ms", 0.5), ("1h30m", 5400),
         ("1.5H", 5400), ("0s", 0)],
    )  # fmt: skip
    def test_a_duration(self, text, seconds):
        assert duration(text) == timedelta(seconds=seconds)

    @pytest.mark.parametrize("text", ["10", "1.5", "ten minutes", "10 m", "-5s", "5x", "m", "", "1h-2m", "300000d"])
    def test_what_is_not_a_duration_is_told_what_is(self, text):
        with pytest.raises(click.BadParameter, match=r"is not a duration.*90s|longer than 200 years"):
            duration(text)

    def test_a_number_alone_needs_a_unit(self):
        with pytest.raises(click.BadParameter, match="It needs a unit"):
            duration("10")

    def test_a_moment(self):
        assert (
            moment("2027-01-01T09:30:00Z")
            == moment("2027-01-01T10:30+01:00")
            == datetime(2027, 1, 1, 9, 30, tzinfo=UTC)
        )

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("2027-01-01T09:30", "has no time zone.*2027-01-01T09:30:00.00:00"),
            ("2027-01-01", "has no time zone"),
            ("tomorrow", "is not a moment. Write it like 2027-01-01T"),
            ("1969-12-31T00:00Z", "1970 to 2200"),
            ("0001-01-01", "1970 to 2200"),
        ],
    )
    def test_what_is_not_a_moment_is_told_what_is(self, text, said):
        with pytest.raises(click.BadParameter, match=said):
            moment(text)

    @pytest.mark.parametrize(
        ("seconds", "told"),
        [
            (0.0023, "2.3 ms"),
            (0.5, "500 ms"),
            (3.21, "3.2 s"),
            (59, "59 s"),
            (600, "10 m"),
            (7200, "2 h"),
            (1e6, "12 d"),
        ],
    )
    def test_a_span_as_it_is_told(self, seconds, told):
        assert spell(timedelta(seconds=seconds)) == told

    def test_a_moment_as_it_is_told(self):
        now = datetime(2027, 1, 1, tzinfo=UTC)
        assert relative(now + timedelta(minutes=5), now) == "in 5 m"
        assert relative(now - timedelta(seconds=3), now) == "3.0 s ago"
        assert exact(now) == "2027-01-01 00:00:00.000Z"


class TestSlots:
    def test_by_queue_and_eight_where_no_number_is_given(self):
        assert queue_slots("mail=2, reports") == {"mail": 2, "reports": 8}

    @pytest.mark.parametrize("text", ["mail=x", "mail=0", "=3", "mail=-1", ",", "mail=1,mail=2"])
    def test_what_makes_no_sense_is_refused(self, text):
        with pytest.raises(click.BadParameter):
            queue_slots(text)
