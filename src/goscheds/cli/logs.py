"""What the processes that run for long log, and how: to stderr, as lines for people or for programs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import click

LEVELS = ("debug", "info", "warning", "error")


def log_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--log-level`` and ``--log-json``."""
    level = click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True,
                         help="How much to log.")  # fmt: skip
    return level(click.option("--log-json", is_flag=True, help="Log one JSON object a line.")(command))


def log_to_stderr(level: str, *, as_json: bool) -> None:
    """Log to stderr, unless the application has set up logging already."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if as_json else _Lines("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])


class _Lines(logging.Formatter):
    """Moments in local time, with their offset, to the millisecond."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        return datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")


class _JsonLines(_Lines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
