"""A decorated handler: an ordinary function that can also be pushed, with its own signature."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Generic, ParamSpec, Protocol, TypeVar

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


class Task(Generic[P, R]):
    """What ``Scheduler.job`` makes of a function. Calling it calls the function; pushing it runs it in a worker."""

    def __init__(self, producer: Producer, function: Callable[P, R], template: Job) -> None:
        functools.update_wrapper(self, function)
        self._producer = producer
        self._template = template
        self.function = function
        self.binding: Unpacking = Unpacking(template.name, function)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, here and now."""
        return self.function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Task[P, R]:
        """A handler is a function, not a method: as a class attribute it stays unbound."""
        return self

    @property
    def name(self) -> str:
        """The name of its jobs."""
        return self._template.name

    def job(self, /, *args: P.args, **kwargs: P.kwargs) -> Job:
        """A job of this call, as a value: for ``push_many``, or with ``dataclasses.replace``. Raises BadArguments."""
        return replace(self._template, args=self.binding.pack(args, kwargs), id=new_id())

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
