"""``goscheds backends`` and ``goscheds verify``: which stores there are, and whether one keeps the law."""

from __future__ import annotations

from importlib.util import find_spec

import click

from goscheds.cli.output import Column, json_option, print_json, print_table
from goscheds.cli.views import BackendView
from goscheds.plugins import EXTRAS, plugins

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
