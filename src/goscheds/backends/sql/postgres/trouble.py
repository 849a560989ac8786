"""What the driver's errors mean, and what to do about them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import errors

from goscheds.errors import StoreError, StoreUnavailable
from goscheds.url import redact

GONE = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)
"""No answer; the last one comes from what was the primary before a failover."""

ADVICE = tomllib.loads(Path(__file__).with_name("advice.toml").read_text(encoding="utf-8"))


@contextmanager
def mapped(url: str) -> Iterator[None]:
    """The driver's errors as those of goscheds."""
    try:
        yield
    except GONE as error:
        if _advice("refused", error):
            raise StoreError(_told(url, "refused", error)) from error
        raise StoreUnavailable(_told(url, "did not answer", error)) from error
    except (psycopg.Error, OverflowError, UnicodeError) as error:
        raise StoreError(_told(url, "answered with an error", error)) from error


def _told(url: str, what: str, error: Exception) -> str:
    return f"{redact(url)} {what}: {error}. {_advice(what, error)}".rstrip()


def _advice(what: str, error: Exception) -> str:
    told = f"{type(error).__name__} {error}"
    return next((advice for pattern, advice in ADVICE[what].items() if re.search(pattern, told)), "")
