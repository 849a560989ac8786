"""Which scheduler a command works on: one of the user's own, as ``module:attribute``, or a store by its URL.

Every command takes the same two options, ``--store`` and ``--namespace``; the commands that run handlers take the
former as their argument. Both have an environment variable.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from goscheds.errors import ConfigError
from goscheds.scheduler import Scheduler
from goscheds.store import Capability

EXAMPLES = "app:scheduler (the attribute `scheduler` of app.py) or a URL such as sqlite:///jobs.db"
Command = Callable[..., None]


def store_options(command: Command) -> Command:
    """Give a command ``--store`` and ``--namespace``, and call it with the scheduler that they mean, then close it."""

    @click.option("-s", "--store", "target", envvar="GOSCHEDS_STORE", show_envvar=True, metavar="TARGET",
                  help="A scheduler as module:attribute, or a store's URL.")  # fmt: skip
    @namespace_option
    @wraps(command)
    def wrapped(target: str | None, namespace: str | None, **options: Any) -> None:
        if not target:
            raise click.UsageError(f"Which store? Give --store {EXAMPLES}, or set GOSCHEDS_STORE.")
        with find_scheduler(target, namespace) as scheduler:
            if Capability.PROCESSES not in scheduler.store.capabilities:
                raise ConfigError(
                    f"{scheduler.url} lives inside one process, and this is another: there is nothing to see or to "
                    "change from here. Use a store that processes share, such as sqlite:///jobs.db."
                )
            command(scheduler, **options)

    return wrapped


def namespace_option(command: Command) -> Command:
    """Give a command ``--namespace``."""
    return click.option("-n", "--namespace", envvar="GOSCHEDS_NAMESPACE", show_envvar=True, metavar="NAME",
                        help="The namespace in a store given by URL.  [default: goscheds]")(command)  # fmt: skip


def find_scheduler(target: str, namespace: str | None) -> Scheduler:
    """The scheduler that ``target`` means. Raises ConfigError, saying what was found there instead."""
    if "://" in target:
        return Scheduler(target, namespace or "goscheds")
    scheduler = _from_module(target)
    if namespace and namespace != scheduler.namespace:
        raise ConfigError(
            f"{target} has the namespace {scheduler.namespace!r} of its own, and {namespace!r} was asked for. Leave "
            "--namespace and GOSCHEDS_NAMESPACE out, or give the store's URL."
        )
    return scheduler


def _from_module(target: str) -> Scheduler:
    name, _, path = target.partition(":")
    if name.endswith(".py") or not all(part.isidentifier() for part in f"{name}.{path}".rstrip(".").split(".")):
        raise ConfigError(f"{target!r} is neither module:attribute nor a store's URL.{_as_module(name)}")
    module = _import(name)
    if not path:
        return _only_one(module)
    found: object = module
    for step in path.split("."):
        if not hasattr(found, step):
            raise ConfigError(f"{name} has no attribute {path!r}.{_offer(module, path)}")
        found = getattr(found, step)
    if not isinstance(found, Scheduler):
        raise ConfigError(f"{target} is {_described(found)}, not a Scheduler.{_offer(module, path)}")
    return found


def _as_module(name: str) -> str:
    """What a file's path would be as a module."""
    if not name.endswith(".py"):
        return f" Give {EXAMPLES}."
    dotted = ".".join(Path(name).with_suffix("").parts).lstrip("./")
    return f" A module is given by its dotted name, from the current directory: {dotted}:scheduler."


def _import(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:  # noqa: PTH109 - sys.path holds text
        sys.path.insert(0, os.getcwd())  # noqa: PTH109 - the same
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(_missing(name, error.name)) from error
        raise ConfigError(_broken(name, error)) from error
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise ConfigError(_broken(name, error)) from error


def _missing(name: str, missing: str) -> str:
    here = [path.relative_to(Path.cwd()) for pattern in ("*.py", "*/*.py") for path in Path.cwd().glob(pattern)]
    close = get_close_matches(name, [".".join(path.with_suffix("").parts) for path in here], 1)
    hint = f" Did you mean {close[0]!r}?" if close else " Run this in the directory that holds it, or install it."
    return f"There is no module {missing!r} in {Path.cwd()}, nor installed.{hint}"


def _broken(name: str, error: BaseException) -> str:
    """An import that failed, with its last place in the user's own code."""
    what = error.msg if isinstance(error, SyntaxError) else error
    places = [(error.filename, error.lineno)] if isinstance(error, SyntaxError) else _places(error)
    place = f" ({places[-1][0]}, line {places[-1][1]})" if places else ""
    return f"Importing {name!r} failed: {type(error).__name__}: {what}{place}"


def _places(error: BaseException) -> list[tuple[str | None, int | None]]:
    frames = traceback.extract_tb(error.__traceback__)
    here = str(Path.cwd())
    return [
        (frame.filename, frame.lineno)
        for frame in frames
        if frame.filename.startswith(here) and "site-packages" not in frame.filename
    ]


def _only_one(module: ModuleType) -> Scheduler:
    schedulers = _schedulers(module)
    if len({id(scheduler) for scheduler in schedulers.values()}) == 1:
        return next(iter(schedulers.values()))
    name = module.__name__
    if not schedulers:
        raise ConfigError(
            f"{name} ({module.__file__}) has no Scheduler. Make one there, at module level: "
            'scheduler = Scheduler("sqlite:///jobs.db")'
        )
    raise ConfigError(
        f"{name} has {len(schedulers)} schedulers. Say which: {' or '.join(f'{name}:{key}' for key in schedulers)}."
    )


def _schedulers(module: ModuleType) -> dict[str, Scheduler]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Scheduler)}


def _offer(module: ModuleType, path: str) -> str:
    """The module's schedulers, or else the names closest to what was asked for."""
    if schedulers := _schedulers(module):
        return f" Did you mean {' or '.join(f'{module.__name__}:{name}' for name in schedulers)}?"
    close = get_close_matches(path, vars(module), 1)
    return (f" Did you mean {module.__name__}:{close[0]}?" if close else "") + " It has no Scheduler at module level."


def _described(found: object) -> str:
    if isinstance(found, type):
        return f"the class {found.__name__}"
    kind = type(found).__name__
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"
