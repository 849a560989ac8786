"""``goscheds backends`` and ``goscheds verify``: which stores there are, and whether one keeps the law."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from goscheds.cli.output import STYLES, Column, json_option, print_json, print_table
from goscheds.cli.progress import patiently
from goscheds.cli.views import BackendView
from goscheds.contract.laws import LAWS
from goscheds.contract.verify import verify as try_laws
from goscheds.extras import EXTRAS
from goscheds.plugins import plugins
from goscheds.url import redact

if TYPE_CHECKING:  # it imports pytest, which is not installed everywhere
    from goscheds.contract.report import Rule

BUILT_IN = "goscheds"
DRIVERS = {"redis": "redis", "postgres": "psycopg"}
"""The package that each extra of goscheds brings, by the name it is imported by."""


@click.command()
@json_option
def backends(*, as_json: bool) -> None:
    """List the schemes of store URLs, the plugin that serves each, and whether its driver is installed."""
    views = [_view(scheme, plugin) for scheme, (plugin, _) in sorted(plugins.stores().items())]
    if as_json:
        print_json(views)
        return
    columns = [
        Column[BackendView]("URL", lambda view: f"{view.scheme}://"),
        Column[BackendView]("PLUGIN", lambda view: view.plugin),
        Column[BackendView]("DRIVER", _driver),
        Column[BackendView]("INSTALLED", lambda view: "yes" if view.installed else f"no: {view.install}"),
    ]
    print_table(columns, views, "No store is installed.")


def _view(scheme: str, plugin: str) -> BackendView:
    """A scheme; a plugin of its own brings its driver along, as a dependency of its package."""
    extra = EXTRAS.get(scheme) if plugin == BUILT_IN else None
    driver = DRIVERS[extra] if extra else None
    installed = driver is None or find_spec(driver) is not None
    return BackendView(scheme, plugin, driver, installed, f"pip install 'goscheds[{extra}]'" if extra else None)


def _driver(view: BackendView) -> str:
    if view.plugin != BUILT_IN:
        return "the plugin's own"
    return view.driver or "none needed"


@click.command()
@click.argument("url")
@click.option("--law", "laws", multiple=True, metavar="NUMBER", help="Only this law, e.g. C1. May be repeated.")
@json_option
def verify(url: str, laws: Sequence[str], *, as_json: bool) -> None:
    """Hold the store at URL to the law that every store keeps, and print what became of each rule.

    The trial's jobs live in namespaces of their own. The exit status is 1 if a rule is broken. It needs the extra
    goscheds[contract].
    """
    wanted = [law.upper() for law in laws] or list(LAWS)
    tried: set[str] = set()
    rules = patiently(
        f"Trying {redact(url)}",
        lambda: try_laws(url, wanted, lambda finding: tried.add(finding.law)),
        lambda: (len(tried), len(wanted)),
    )
    if as_json:
        print_json(rules)
    else:
        for rule in rules:
            _tell(rule)
        click.echo(_summary(rules))
    sys.exit(any(rule.verdict == "broken" for rule in rules))


def _tell(rule: Rule) -> None:
    verdict = _styled(rule.verdict.value.ljust(7), rule.verdict.value)
    click.echo(f"{rule.law}  {verdict}  {rule.sentence}")
    for finding in rule.findings:
        if finding.verdict != "held":
            click.echo(f"    {_styled(finding.verdict.value, finding.verdict.value)}: {finding.test}")
            for line in finding.reason.splitlines():
                click.echo(f"        {line}")


def _summary(rules: Sequence[Rule]) -> str:
    """How many rules held, and so on."""
    counts = {verdict: sum(rule.verdict == verdict for rule in rules) for verdict in ("held", "broken", "skipped")}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) + "."


def _styled(text: str, verdict: str) -> str:
    return click.style(text, fg=STYLES[verdict].removeprefix("bold "))
