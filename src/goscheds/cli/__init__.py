"""The command line: the scheduler's verbs, for people and scripts.

Each command stands in a module that is imported when the command is called, so that ``goscheds --help`` needs click
alone.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import click

from goscheds.errors import GoschedsError

COMMANDS = {
    "Run": {
        "worker": ("worker", "Run the jobs of a scheduler's queues, and do the duties."),
        "scheduler": ("run", "Do the duties alone: move due jobs, take lost ones back, purge."),
    },
    "Push": {
        "push": ("push", "Push a job, to run now or later."),
        "result": ("push", "Wait for a job to end, and print what its handler returned."),
    },
    "Look": {
        "jobs": ("look", "List jobs."),
        "show": ("look", "Show everything about a job."),
        "stats": ("stats", "Count the jobs of every queue."),
        "workers": ("stats", "List the workers and what they hold."),
    },
    "Steer": {
        "cancel": ("steer", "Cancel jobs."),
        "retry": ("steer", "Run ended or scheduled jobs now."),
        "reschedule": ("steer", "Run a waiting job at another moment."),
        "pause": ("queues", "Hand out nothing of a queue until it is resumed."),
        "resume": ("queues", "Hand out a paused queue's jobs again."),
        "purge": ("queues", "Delete ended jobs."),
    },
    "Stores": {
        "demo": ("demo", "Run real jobs in several workers, kill one, and check the sum."),
        "verify": ("stores", "Hold a store to the law, rule by rule."),
        "bench": ("bench", "Measure what a store and its workers reach on this machine."),
        "chaos": ("chaos", "Kill workers and break connections, and prove that nothing was lost."),
        "backends": ("stores", "List the stores that are installed."),
    },
}
"""The commands by topic: each with its module, and its line in the help, which does not import it."""

_MODULES = {name: module for topic in COMMANDS.values() for name, (module, _) in topic.items()}
PART = 500
"""Characters of an error's beginning, and of its end, that are shown where somebody typed something longer."""
_STRAY = re.compile(r"unexpected extra argument \((\S+:\S+)\)$")
_PASSWORD = re.compile(r"(://[^\s:/@]*):[^\s@]+@")


class Commands(click.Group):
    """Finds commands by name, and turns every error into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command's name, in the order of the help."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """A command, imported now."""
        if cmd_name not in _MODULES:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{_MODULES[cmd_name]}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A command for what was typed, or the error that names the closest."""
        if args[0] not in _MODULES and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - needed for an error alone

            close = get_close_matches(args[0], _MODULES, 1)
            ctx.fail(f"There is no command {args[0]!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """The commands by topic."""
        width = max(map(len, _MODULES))
        for topic, commands in COMMANDS.items():
            with formatter.section(topic):
                formatter.write_dl([(name.ljust(width), told) for name, (_, told) in commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An error ends in one line, without a password that it may quote."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            told = error.format_message()
            if given := _STRAY.search(told):
                told += f" If {given[1]} is the store, write it behind --store."
            raise click.UsageError(one_line(told), error.ctx) from error
        except GoschedsError as error:
            raise click.ClickException(one_line(str(error))) from error
        except KeyboardInterrupt as error:
            raise click.ClickException("Interrupted.") from error


def one_line(message: str) -> str:
    """An error as it may be shown: on one line, a URL's password hidden, and nothing that would steer the terminal."""
    shown = "".join(character if character.isprintable() else " " for character in message)
    hidden = _PASSWORD.sub(r"\1:***@", " ".join(shown.split()))
    return hidden if len(hidden) <= 2 * PART else f"{hidden[:PART]} … {hidden[-PART:]}"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="goscheds", message="%(prog)s %(version)s")
def main() -> None:
    """Push jobs, run them, look at them and steer them, in any store.

    Most commands take --store: a scheduler of yours as module:attribute, or a store's URL. Set GOSCHEDS_STORE once
    instead. `goscheds COMMAND --help` says more.
    """
