"""Which extra of goscheds brings a store's driver."""

from __future__ import annotations

from goscheds.errors import ConfigError

REDIS = ("redis", "rediss", "valkey")
EXTRAS = {
    **dict.fromkeys((*REDIS, "unix"), "redis"),
    **{f"{scheme}+{kind}": "redis" for scheme in REDIS for kind in ("sentinel", "cluster")},
    "postgresql": "postgres",
}


def missing_driver(scheme: str, error: ImportError) -> ConfigError:
    """The error for a store whose driver is not installed."""
    extra = EXTRAS[scheme]
    return ConfigError(
        f"{scheme}:// needs the package {error.name!r}, which is not installed. "
        f"Install it with: pip install 'goscheds[{extra}]'"
    )
