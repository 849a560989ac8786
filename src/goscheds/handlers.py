"""Functions registered for job names: their arguments checked at push, converted at run.

A handler is written in one of two styles. Decorated, it takes the job's arguments as its own parameters. Registered by
name, it takes the ``Job``. In both, a parameter annotated ``Context`` is given the run's context.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property, partial
from typing import Annotated, Any, Union, get_type_hints

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import asdict

from goscheds.codec import to_json
from goscheds.context import Context
from goscheds.errors import BadArguments, ConfigError
from goscheds.job import Job


class Binding(ABC):
    """A function bound to a job name."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise ConfigError(f"The handler for {name!r} is {function!r}, which can't be called.")
        self.name = name
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__, not a test for one
        )

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's parameters. Raises ConfigError if there is no telling."""
        try:
            return inspect.signature(self.function)
        except ValueError as error:
            raise ConfigError(f"The handler for {self.name!r} has no signature to read: wrap it in a def.") from error

    @cached_property
    def hints(self) -> Mapping[str, Any]:
        """The parameters' type hints. Raises ConfigError if one can't be resolved."""
        target = inspect.unwrap(self.function)
        while isinstance(target, partial):
            target = target.func
        if not inspect.isroutine(target):
            target = type(target).__call__
        try:
            return get_type_hints(target, include_extras=True)
        except (NameError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"The type hints of the handler for {self.name!r} can't be resolved: {error}. Import what they name at "
                "run time, not under TYPE_CHECKING alone."
            ) from error

    @cached_property
    def context_parameter(self) -> str:
        """The parameter that wants the Context; empty if none does."""
        return next((name for name, hint in self.hints.items() if hint is Context and name != "return"), "")

    @abstractmethod
    def prepare(self, arguments: Raw, context: Context) -> Callable[[], Any]:
        """The call, ready to be made. Raises BadArguments if the arguments don't fit."""


class Unpacking(Binding):
    """A handler in the decorated style: arguments become parameters, converted to their hints."""

    @cached_property
    def model(self) -> type[Struct]:
        """The parameters as a msgspec struct. Raises ConfigError for parameters that a job can't fill."""
        fields: list[tuple[str, Any, Any] | tuple[str, Any]] = []
        for name, parameter in self.signature.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY, parameter.VAR_KEYWORD):
                raise ConfigError(
                    f"The handler {self.name!r} takes {parameter} ({parameter.kind.description}), but a job's "
                    "arguments are stored by name: "
                    "give it ordinary parameters, or one dict."
                )
            if name == self.context_parameter:
                continue
            hint = _aware(self.hints.get(name, Any))
            optional = parameter.default is not parameter.empty
            fields.append((name, Union[hint, UnsetType], UNSET) if optional else (name, hint))  # noqa: UP007 - a value
        return msgspec.defstruct(_identifier(self.name), fields, kw_only=True, forbid_unknown_fields=True)

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """From JSON to the model. Raises ConfigError for a hint that can't be converted to."""
        try:
            return msgspec.json.Decoder(self.model, dec_hook=_convert)
        except TypeError as error:
            raise ConfigError(
                f"The handler {self.name!r} has a type hint that arguments can't have: {error}"
            ) from error

    @cached_property
    def optional(self) -> list[str]:
        """The parameters that may be left out."""
        return [field.name for field in msgspec.structs.fields(self.model) if not field.required]

    @cached_property
    def call(self) -> inspect.Signature:
        """The signature of a push: the function's, without its context."""
        context = self.context_parameter
        return inspect.Signature([kept for name, kept in self.signature.parameters.items() if name != context])

    @cached_property
    def ordinary(self) -> tuple[list[str], frozenset[str | None], frozenset[str | None]]:
        """The parameters of a push: those that may be given by place, that must be given, all. None fits odd ones."""
        kept = self.call.parameters.values()
        if any(one.kind not in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) for one in kept):
            return [], frozenset({None}), frozenset({None})
        return (
            [one.name for one in kept if one.kind is one.POSITIONAL_OR_KEYWORD],
            frozenset(one.name for one in kept if one.default is one.empty),
            frozenset(one.name for one in kept),
        )

    def pack(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """A call's arguments by parameter name. Raises BadArguments if the signature doesn't take them."""
        places, required, names = self.ordinary
        given = {**dict(zip(places, args, strict=False)), **kwargs} if args else dict(kwargs)
        fits = len(given) == len(args) + len(kwargs) and names.issuperset(given)
        if fits and (len(given) == len(names) or required <= given.keys()):
            return given  # what `bind` says as well, in a tenth of its time
        try:
            return dict(self.call.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise BadArguments(f"Job {self.name!r}: {error}. The handler takes {self.signature}.") from error

    def check(self, encoded: bytes | Raw) -> Struct:
        """Arguments converted as at run. Raises BadArguments, with the place of the misfit, and ConfigError."""
        decoder = self.decoder
        try:
            model: Struct = decoder.decode(encoded)
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
            raise BadArguments(
                f"Job {self.name!r}: the arguments don't fit the handler: {error}. It takes {self.signature}."
            ) from error
        return model

    def prepare(self, arguments: Raw, context: Context) -> Callable[[], Any]:
        """The call, ready to be made. Raises BadArguments if they don't fit."""
        function, given = self.function, asdict(self.check(arguments))
        for name in self.optional:
            if given[name] is UNSET:
                del given[name]
        if self.context_parameter:
            given[self.context_parameter] = context
        return lambda: function(**given)


class Explicit(Binding):
    """A handler in the explicit style: it takes the Job."""

    def prepare(self, arguments: Raw, context: Context) -> Callable[[], Any]:  # noqa: ARG002 - the job has them
        """The call, ready to be made."""
        job, function = context.job, self.function
        if name := self.context_parameter:
            return lambda: function(job, **{name: context})
        return lambda: function(job)


def _aware(hint: Any) -> Any:
    """A datetime parameter takes aware ones only: what a naive one means depends on who reads it."""
    return Annotated[datetime, msgspec.Meta(tz=True)] if hint is datetime else hint


def _identifier(name: str) -> str:
    return name if name.isidentifier() else "Arguments"


def _convert(hint: type, value: Any) -> Any:
    """What msgspec can't convert to by itself: models that validate, as pydantic's do."""
    if hasattr(hint, "model_validate"):
        return hint.model_validate(value)
    raise TypeError(f"{hint!r} is not a type that JSON can be converted to")


def _home(binding: Binding) -> tuple[object, ...]:
    """Where a handler was defined; nowhere but itself, for one without a name of its own there."""
    name = getattr(binding.function, "__qualname__", "<")
    return (binding.function,) if "<" in name else (getattr(binding.function, "__module__", None), name)


class Registry:
    """The handlers by job name, and the queue that each names."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[Binding, str]] = {}

    def add(self, binding: Binding, queue: str) -> None:
        """Register a handler. Raises ConfigError if the name is taken by another function.

        A function that was defined again, as by reloading its module or running a notebook's cell twice, is the same.
        """
        known = self.get(binding.name)
        if known and known.function is not binding.function and _home(known) != _home(binding):
            raise ConfigError(
                f"Two handlers are named {binding.name!r}: {known.function!r} and {binding.function!r}. "
                "Give one of them another name."
            )
        self.entries[binding.name] = binding, queue

    def get(self, name: str) -> Binding | None:
        """The handler of a name."""
        binding, _ = self.entries.get(name, (None, ""))
        return binding

    def merged(self, other: Registry) -> Registry:
        """Both registries' handlers. Raises ConfigError where they disagree."""
        both = Registry()
        for binding, queue in (*self.entries.values(), *other.entries.values()):
            both.add(binding, queue)
        return both

    def queues(self) -> list[str]:
        """The queues that handlers name."""
        return sorted({queue for _, queue in self.entries.values()})

    def asynchronous(self, queue: str) -> bool:
        """Whether every handler of a queue is async."""
        kinds = [binding.is_async for binding, its in self.entries.values() if its == queue]
        return bool(kinds) and all(kinds)

    def encode(self, job: Job) -> bytes:
        """A job's arguments as JSON, checked against its handler where that is known. Raises BadArguments."""
        args = job.args if type(job.args) is dict else dict(job.args)
        encoded = to_json(args, f"Job {job.name!r}: its arguments")
        binding = self.get(job.name)
        if isinstance(binding, Unpacking):
            binding.check(encoded)
        return encoded
