"""``goscheds scheduler``: the process that does the duties alone."""

from __future__ import annotations

import logging

import click

from goscheds.cli.logs import log_options, log_to_stderr
from goscheds.cli.target import EXAMPLES, find_scheduler, namespace_option

log = logging.getLogger("goscheds")


@click.command(name="scheduler")
@click.argument("target", envvar="GOSCHEDS_STORE", required=False)
@namespace_option
@log_options
def scheduler(target: str | None, namespace: str | None, log_level: str, *, log_json: bool) -> None:
    """Do the duties alone for TARGET, a scheduler as module:attribute or a store's URL.

    Due jobs become ready, jobs of dead workers are taken back, old ones are purged. Every worker does this as well; a
    process of its own is for deployments whose workers come and go.
    """
    log_to_stderr(log_level, as_json=log_json)
    if not target:
        raise click.UsageError(f"Which store? Give {EXAMPLES}, or set GOSCHEDS_STORE.")
    with find_scheduler(target, namespace) as found:
        log.info("Doing the duties alone for namespace %r at %s.", found.namespace, found.url)
        found.run()
