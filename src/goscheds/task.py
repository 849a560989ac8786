"""A decorated handler: an ordinary function that can also be pushed, with its own signature."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from goscheds.context import Context
from goscheds.handlers import Unpacking
from goscheds.job import Job, new_id
from goscheds.twins import awaitable

P = ParamSpec("P")
R = TypeVar("R")


class Producer(Protocol):
    """What a task pushes its jobs to: the scheduler."""

    def push(self, job: Job) -> str:
        """Run it as soon as possible."""

    def push_in(self, delay: timedelta, job: Job) -> str:
        """Run it after a delay."""

    def push_scheduled(self, job: Job) -> str:
        """Run it at its ``execute_at``."""


class Register(Protocol):
    """A decorator that makes a task of a function. A leading Context is the worker's to give, not the caller's."""

    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


class Task(Generic[P, R]):
    """What ``Scheduler.job`` makes of a function. Calling it calls the function; pushing it runs it in a worker."""

    def __init__(self, producer: Producer, function: Callable[..., R], template: Job) -> None:
        functools.update_wrapper(self, function)
        self._producer = producer
        self._template = template
        self.function: Callable[..., R] = function
        self.binding: Unpacking = Unpacking(template.name, function)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, here and now; one that wants a Context and is given none gets one of its own."""
        wanted = self.binding.context_parameter
        if not wanted or any(isinstance(value, Context) for value in (*args, *kwargs.values())):
            return self.function(*args, **kwargs)
        given = self.binding.pack(args, kwargs)
        return self.function(**{wanted: Context(lambda: self.job(*args, **kwargs), 1, 0, "")}, **given)

    def __get__(self, instance: object, owner: type | None = None) -> Task[P, R]:
        """A handler is a function, not a method: as a class attribute it stays unbound."""
        return self

    @property
    def name(self) -> str:
        """The name of its jobs."""
        return self._template.name

    def job(self, /, *args: P.args, **kwargs: P.kwargs) -> Job:
        """A job of this call, as a value: for ``push_many``, or with ``dataclasses.replace``. Raises BadArguments."""
        return self._template.like(args=self.binding.pack(args, kwargs), id=new_id())

    def push(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Run it as soon as possible, in a worker; the job's id. Raises InvalidJob and StoreUnavailable."""
        return self._producer.push(self.job(*args, **kwargs))

    def push_in(self, delay: timedelta, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Run it after a delay, counted by the store's clock; the job's id."""
        return self._producer.push_in(delay, self.job(*args, **kwargs))

    def push_at(self, moment: datetime, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Run it at a moment, an aware datetime, by the store's clock; the job's id."""
        return self._producer.push_scheduled(replace(self.job(*args, **kwargs), execute_at=moment))

    apush = awaitable(push)
    apush_in = awaitable(push_in)
    apush_at = awaitable(push_at)
