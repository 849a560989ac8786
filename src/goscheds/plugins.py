"""Finding stores by URL scheme, and telling plugins what happens to jobs. One pluggy manager does both."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import cast

import pluggy

from goscheds.errors import ConfigError, PluginConflict, UnknownScheme
from goscheds.store import Store, StoreFactory
from goscheds.url import check_namespace, redact

log = logging.getLogger("goscheds")
hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker("goscheds")
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker("goscheds")
"""Marks a plugin's hooks: ``from goscheds.plugins import hookimpl``."""

ALIASES = {"postgres": "postgresql", "sqlite3": "sqlite", "mem": "memory"}


class Hooks:
    """What a plugin may implement. A life-cycle hook that raises is logged, and never hurts a job."""

    @hookspec
    def goscheds_stores(self) -> Mapping[str, StoreFactory]:  # type: ignore[empty-body]
        """The URL schemes that the plugin serves, each with a factory that takes a URL and a namespace.

        A factory imports its driver when it is called, not before.
        """

    @hookspec
    def goscheds_jobs_pushed(self, ids: list[str], namespace: str) -> None:
        """Jobs were pushed, in this process."""

    @hookspec
    def goscheds_job_started(self, id: str, name: str, queue: str, fence: int) -> None:
        """A worker of this process begins a job."""

    @hookspec
    def goscheds_job_settled(self, id: str, name: str, queue: str, fence: int, verb: str, error: str) -> None:
        """The store accepted a job's outcome: done, retry, dead, cancelled or released."""

    @hookspec
    def goscheds_job_lost(self, id: str, name: str, queue: str, fence: int) -> None:
        """The store refused an outcome: the job had been taken from this worker."""


class BuiltIn:
    """The stores that come with goscheds; they register like any other plugin."""

    @hookimpl
    def goscheds_stores(self) -> Mapping[str, StoreFactory]:
        """The built-in schemes; the drivers are imported when one is asked for."""
        return {
            "memory": _memory,
            "sqlite": _sqlite,
            "postgresql": _postgres,
            **dict.fromkeys(("redis", "rediss", "unix", "valkey"), _redis),
            **{
                f"{scheme}+{kind}": _redis_topology
                for scheme in ("redis", "rediss", "valkey")
                for kind in ("sentinel", "cluster")
            },
        }


def _memory(url: str, namespace: str) -> Store:
    from goscheds.backends.memory import connect  # noqa: PLC0415 - imported when its scheme is asked for

    return connect(url, namespace)


def _sqlite(url: str, namespace: str) -> Store:
    from goscheds.backends.sql.sqlite import connect  # noqa: PLC0415 - imported when its scheme is asked for

    return connect(url, namespace)


def _postgres(url: str, namespace: str) -> Store:
    from goscheds.backends.sql.postgres import connect  # noqa: PLC0415 - imported when its scheme is asked for

    return connect(url, namespace)


def _redis(url: str, namespace: str) -> Store:
    from goscheds.backends.redis import connect  # noqa: PLC0415 - imported when its scheme is asked for

    return connect(url, namespace)


def _redis_topology(url: str, namespace: str) -> Store:
    from goscheds.backends.redis.topology import connect  # noqa: PLC0415 - imported when its scheme is asked for

    return connect(url, namespace)


class Plugins:
    """The installed plugins: those that come along, and those of the entry point group ``goscheds``."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager("goscheds")
        self._manager.add_hookspecs(Hooks)
        self._manager.register(BuiltIn(), "goscheds")
        self._loaded = False
        self.broken: dict[str, str] = {}
        """The installed plugins that could not be imported, and why."""
        self._lock = threading.RLock()  # a plugin that is imported may register another
        self._listening: dict[str, bool] = {}  # by hook, until a plugin comes or goes

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add a plugin by hand; for tests, and for applications that bring their own."""
        with self._lock:
            self._manager.register(plugin, name)
            self._listening.clear()

    def unregister(self, name: str) -> None:
        """Take a plugin out again."""
        with self._lock:
            self._manager.unregister(name=name)
            self._listening.clear()

    def load(self) -> None:
        """Import the plugins that the environment's distributions name; once, as a scan takes about 20 ms."""
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            self._listening.clear()
            for entry in entry_points(group="goscheds"):
                try:
                    self._manager.register(entry.load(), entry.name)
                except Exception as error:  # noqa: BLE001 - one broken plugin must not take the others' stores away
                    self.broken[entry.name] = f"{type(error).__name__}: {error}"
                    log.warning("The plugin %r can't be used: %s", entry.name, self.broken[entry.name])

    def stores(self) -> dict[str, tuple[str, StoreFactory]]:
        """Every scheme, with the plugin that serves it and its factory. Raises PluginConflict."""
        self.load()
        found: dict[str, tuple[str, StoreFactory]] = {}
        for impl in self._manager.hook.goscheds_stores.get_hookimpls():
            schemes = cast("Callable[[], Mapping[str, StoreFactory]]", impl.function)()
            for scheme, factory in schemes.items():
                if scheme in found:
                    raise PluginConflict(
                        f"Two plugins serve {scheme}:// URLs: {found[scheme][0]!r} and {impl.plugin_name!r}. "
                        "Uninstall one of them."
                    )
                found[scheme] = (impl.plugin_name, factory)
        return found

    def notify(self, hook: str, **event: object) -> None:
        """Call a life-cycle hook; nothing where nobody listens, and a plugin's own error stays with it."""
        for impl in getattr(self._manager.hook, hook).get_hookimpls():
            try:
                impl.function(*(event[name] for name in impl.argnames))
            except (Exception, SystemExit):
                log.exception("The plugin %r failed in %s; the job is not affected.", impl.plugin_name, hook)

    def listens(self, hook: str) -> bool:
        """Whether anybody listens to a life-cycle hook; asked before an event is put together."""
        if (known := self._listening.get(hook)) is None:
            with self._lock:
                known = self._listening[hook] = bool(getattr(self._manager.hook, hook).get_hookimpls())
        return known


plugins: Plugins = Plugins()
"""The process's plugins."""


def open_store(url: str, namespace: str = "goscheds") -> Store:
    """The store that a URL names, not open yet.

    Raises UnknownScheme, PluginConflict or another ConfigError; the message names what is installed, what is not.
    """
    check_namespace(namespace)
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise ConfigError(
            f"{redact(url)!r} is not a store URL: it has no scheme. Examples: sqlite:///jobs.db, "
            "redis://localhost:6379/0, postgresql://user@host/database, memory://."
        )
    stores = plugins.stores()
    if scheme not in stores:
        raise UnknownScheme(_unknown(scheme, url, stores))
    return stores[scheme][1](url, namespace)


def _unknown(scheme: str, url: str, stores: Mapping[str, object]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - needed for an error alone

    close = [ALIASES[scheme]] if scheme in ALIASES else get_close_matches(scheme, stores, 1)
    hint = f" Did you mean {close[0]}://?" if close else ""
    broken = "".join(f" The plugin {name!r} can't be used: {why}." for name, why in plugins.broken.items())
    return (
        f"No installed store serves {scheme}:// (asked for by {redact(url)!r}).{hint} Installed: "
        f"{', '.join(f'{name}://' for name in sorted(stores))}. Another store comes with the package that brings it: "
        f"install that, in this environment.{broken}"
    )
