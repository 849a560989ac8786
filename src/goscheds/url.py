"""Store URLs: their options, and how they are shown without their secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from goscheds.errors import ConfigError

SECRET_OPTIONS = re.compile(r"pass|secret|token|key", re.IGNORECASE)
NAMESPACE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def redact(url: str) -> str:
    """The URL as it may be shown: passwords, and options that sound like secrets, are replaced by ``***``."""
    try:
        parts = urlsplit(url)
    except ValueError:  # nothing of it can be trusted to be no secret
        return f"{url.partition(':')[0]}://***"
    credentials, at, hosts = parts.netloc.rpartition("@")
    if ":" in credentials:
        credentials = credentials.partition(":")[0] + ":***"
    options = [
        (key, "***" if SECRET_OPTIONS.search(key) else value)
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    shown = "?" + urlencode(options, safe="*/:,") if options else ""
    return f"{parts.scheme}://{credentials}{at}{hosts}{parts.path}{shown}" if parts.scheme else parts.path


def split(url: str) -> SplitResult:
    """A URL's parts. Raises ConfigError if it can't be taken apart."""
    try:
        return urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"The store URL {redact(url)!r} can't be read: {error}.") from error


def split_options(url: str, known: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The URL without the options that are the store's own, and those options over their defaults in ``known``.

    Options that are not in ``known`` stay in the URL, for the driver.
    """
    parts = split(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    own = {**known, **{key: value for key, value in pairs if key in known}}
    # libpq reads + as +
    rest = urlencode([(key, value) for key, value in pairs if key not in known], quote_via=quote)
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?' + rest if rest else ''}", own


def flag(options: Mapping[str, str], name: str) -> bool:
    """An option that is ``on`` or ``off``. Raises ConfigError for anything else."""
    value = options[name].lower()
    if value not in ("on", "off"):
        raise ConfigError(f"The URL option {name}={options[name]!r} is neither `on` nor `off`.")
    return value == "on"


def check_namespace(namespace: str) -> str:
    """The namespace, if every store can carry it. Raises ConfigError otherwise."""
    if not NAMESPACE.fullmatch(namespace):
        raise ConfigError(
            f"The namespace {namespace!r} is not 1 to 64 letters, digits, dots, dashes and underscores. Rename it."
        )
    return namespace
