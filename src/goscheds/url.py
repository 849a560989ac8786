"""Store URLs: their options, and how they are shown without their secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from goscheds.errors import ConfigError

SECRET_OPTIONS = re.compile(r"pass|secret|token|key", re.IGNORECASE)
OTHER_PORT = re.compile(r":(?!\d*$)[^\]]*$")
"""What stands where a port should: a password, perhaps, whose host was forgotten."""
REDIS = "client_name db health_check_interval max_connections password socket_connect_timeout socket_timeout username"
"""Options of redis-py that are text, and don't change what its answers mean."""
NAMESPACE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def redact(url: str) -> str:
    """The URL as it may be shown: passwords, and options that sound like secrets, are replaced by ``***``."""
    try:
        parts = urlsplit(url)
    except ValueError:  # nothing of it can be trusted to be no secret
        return _nothing_of(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    beyond = f"{parts.path}{parts.query.replace('%40', '@')}{parts.fragment}"
    if parts.netloc and "@" in beyond:  # a password with / ? or # in it, unquoted
        return _nothing_of(url)
    if ":" in credentials:
        credentials = credentials.partition(":")[0] + ":***"
    hosts = ",".join(OTHER_PORT.sub(":***", host) for host in hosts.split(","))
    options = [
        (key, "***" if SECRET_OPTIONS.search(key) else value)
        for key, value in parse_qsl(parts.query, keep_blank_values=True, errors="replace")
    ]
    shown = "?" + urlencode(options, safe="*/:,", errors="replace") if options else ""
    return f"{parts.scheme}://{credentials}{at}{hosts}{parts.path}{shown}" if parts.scheme else parts.path


def _nothing_of(url: str) -> str:
    return f"{url.partition(':')[0]}://***"


def split(url: str) -> SplitResult:
    """A URL's parts. Raises ConfigError if it can't be taken apart."""
    try:
        url.encode()
        parts = urlsplit(url)
    except ValueError:  # not the cause of the new error: it may quote the password
        raise ConfigError(
            f"The store URL {redact(url)!r} can't be read. In its user, password and host, other characters than "
            "letters, digits, dots, dashes and underscores are written with a percent sign, as urllib.parse.quote does."
        ) from None
    if "\0" in unquote(url):
        raise ConfigError(f"The store URL {redact(url)!r} has a NUL character in it.")
    return parts


def check_driver_url(url: str, options: str) -> str:
    """The URL, if a driver can take it: its host and port, and of its options these and those of TLS.

    Raises ConfigError. Drivers find out later, or quote what may be a password; an option may be meant for their code.
    """
    parts = split(url)
    try:
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError:
        raise ConfigError(
            f"{redact(url)!r}: the host or the port can't be one. In a password, write / as %2F and so on."
        ) from None
    for option, _ in parse_qsl(parts.query, keep_blank_values=True):
        if option not in options.split() and not option.startswith("ssl_"):
            raise ConfigError(f"{redact(url)!r}: {option} is not an option of this URL. These are: {options}, ssl_….")
    return url


def check_ports(url: str, ports: str) -> None:
    """Raises ConfigError for one that is no number: libpq would quote it, when it connects."""
    if not all(port.isdecimal() for port in ports.split(",") if port):
        raise ConfigError(f"{redact(url)!r}: the port is no number. In a password, write / as %2F and so on.")


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
