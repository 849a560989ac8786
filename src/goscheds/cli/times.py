"""Durations and moments as people type and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from goscheds.clock import duration_micros, to_micros
from goscheds.errors import BadMoment

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
TEN = 10
"""Below it, one digit before the point leaves room for one behind it."""
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")


def duration(text: str) -> timedelta:
    """``90s``, ``10m``, ``1h30m``, ``1.5d``. Raises click.BadParameter."""
    parts = _PART.findall(text.lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.lower():
        unit = " It needs a unit." if text.replace(".", "", 1).isdigit() else ""
        raise click.BadParameter(f"{text!r} is not a duration.{unit} Write 500ms, 90s, 10m, 2h, 1d, 1w or 1h30m.")
    try:
        total = sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta())
        duration_micros(total, text)
    except (OverflowError, BadMoment) as error:
        raise click.BadParameter(f"{text!r} is longer than 200 years.") from error
    return total


def moment(text: str) -> datetime:
    """An aware moment in ISO 8601. Raises click.BadParameter, for a naive one as well."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a moment. Write it like 2027-01-01T09:30:00+00:00.") from error
    aware = told if told.utcoffset() is not None else told.replace(tzinfo=UTC)
    try:
        to_micros(aware)
    except BadMoment as error:
        raise click.BadParameter(f"{text!r} is outside the moments that every store can keep: 1970 to 2200.") from error
    if aware is not told:
        here = told.astimezone()
        local = "" if here.utcoffset() == aware.utcoffset() else f", or {here.isoformat()} for this machine's time zone"
        raise click.BadParameter(
            f"{text!r} has no time zone, so which moment it is depends on who reads it. "
            f"Write {aware.isoformat()} for UTC{local}."
        )
    return told


def spell(span: timedelta) -> str:
    """A span in one unit, rounded: ``3.2 s``, ``75 m``, ``2 d``."""
    seconds = abs(span.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.{1 if seconds * 1000 < TEN else 0}f} ms"
    for unit, size, limit in (("s", 1, 90), ("m", 60, 90), ("h", 3600, 36)):
        if seconds < limit * size:
            return f"{seconds / size:.{1 if seconds < TEN else 0}f} {unit}"
    return f"{seconds / 86400:,.0f} d"


def relative(moment: datetime, now: datetime) -> str:
    """A moment seen from another: ``in 5 m``, ``3.2 s ago``."""
    return f"in {spell(moment - now)}" if moment > now else f"{spell(now - moment)} ago"


def exact(moment: datetime) -> str:
    """A moment in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
