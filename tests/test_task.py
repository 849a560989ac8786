from __future__ import annotations

import asyncio
import functools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kit import scheduled

from goscheds import Context, Job, Retry, Scheduler, Task
from goscheds.errors import BadArguments, BadMoment, ConfigError, InvalidJob
from goscheds.record import State

LATER = datetime(2199, 1, 1, tzinfo=UTC)


@pytest.fixture
def scheduler():
    with scheduled() as scheduler:
        yield scheduler


@pytest.fixture
def greet(scheduler) -> Task[Any, Any]:
    @scheduler.job(queue="mail", priority=3, timeout=timedelta(seconds=9), retry=Retry.never())
    def greet(name: str, times: int = 1, *, run: Context | None = None) -> str:
        """Greet somebody."""
        return f"Hello {name}" * times

    return greet


def test_it_is_still_an_ordinary_function(greet):
    assert greet("Ada", times=2) == "Hello AdaHello Ada"
    assert (greet.__name__, greet.__doc__) == ("greet", "Greet somebody.")
    assert greet.function("Ada") == greet.__wrapped__("Ada") == "Hello Ada"


def test_its_jobs_have_its_options(greet):
    job = greet.job("Ada", times=2)
    assert (job.name, job.args) == ("greet", {"name": "Ada", "times": 2})
    assert (job.queue, job.priority, job.timeout, job.retry) == ("mail", 3, timedelta(seconds=9), Retry.never())
    assert job.id != greet.job("Ada").id


def test_it_is_pushed_now_or_later(scheduler, greet):
    now, soon, later = greet.push("Ada"), greet.push_in(timedelta(hours=1), "Ada"), greet.push_at(LATER, name="Ada")
    assert [scheduler.get(id).state for id in (now, soon, later)] == [State.READY, State.SCHEDULED, State.SCHEDULED]
    assert scheduler.get(later).job.execute_at == LATER
    wait = scheduler.get(soon).job.execute_at - scheduler.now()
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)
    assert scheduler.get(now).job.args == {"name": "Ada"}


def test_its_awaitable_twins_do_the_same(scheduler, greet):
    async def push():
        return await asyncio.gather(
            greet.apush("Ada"), greet.apush_in(timedelta(hours=1), "Ada"), greet.apush_at(LATER, "Ada")
        )

    ids = asyncio.run(push())
    assert [scheduler.get(id).state for id in ids] == [State.READY, State.SCHEDULED, State.SCHEDULED]


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), (("Ada", 1, 2), {}), ((7,), {}), (("Ada",), {"tims": 2}), ((object(),), {})]
)
def test_a_call_that_does_not_fit_stores_nothing(scheduler, greet, args, kwargs):
    with pytest.raises(BadArguments):
        greet.push(*args, **kwargs)
    assert scheduler.counts().jobs == {}


@pytest.mark.parametrize("moment", [datetime(2030, 1, 1), datetime(2201, 1, 1, tzinfo=UTC)])  # noqa: DTZ001 - naive
def test_a_moment_that_no_store_can_keep_stores_nothing(scheduler, greet, moment):
    with pytest.raises(BadMoment):
        greet.push_at(moment, "Ada")
    assert scheduler.counts().jobs == {}


def test_a_delay_below_zero_stores_nothing(scheduler, greet):
    with pytest.raises(BadMoment, match="The delay"):
        greet.push_in(timedelta(seconds=-1), "Ada")
    assert scheduler.counts().jobs == {}


def test_a_call_of_a_function_that_no_job_can_fill_is_judged_by_its_signature(scheduler):
    @scheduler.job
    def odd(a, /): ...

    with pytest.raises(BadArguments, match="missing a required"):
        odd.job()
    with pytest.raises(ConfigError, match="positional-only"):
        odd.push(1)


def test_a_call_by_place_and_by_name_is_one_call(scheduler):
    @scheduler.job
    def mixed(a, b=2, *, c=3, d): ...

    calls = [((1,), {"d": 4}), ((1, 5), {"d": 4}), ((1,), {"b": 5, "c": 6, "d": 4}), ((), {"d": 4, "a": 1})]
    for args, kwargs in calls:
        assert mixed.job(*args, **kwargs).args == dict(mixed.binding.call.bind(*args, **kwargs).arguments)
    for args, kwargs in [
        ((), {}),
        ((1,), {}),
        ((1,), {"a": 1, "d": 4}),
        ((1, 2, 3), {"d": 4}),
        ((1,), {"d": 4, "e": 5}),
    ]:
        with pytest.raises(BadArguments, match=r"Job 'mixed': .*The handler takes \(a, b=2, \*, c=3, d\)"):
            mixed.job(*args, **kwargs)


def test_parameters_named_like_pushs_own_are_the_handlers(scheduler):
    @scheduler.job
    def odd(self, delay, moment): ...

    job = scheduler.get(odd.push_in(timedelta(0), self=1, delay=2, moment=3)).job
    assert job.args == {"self": 1, "delay": 2, "moment": 3}


def test_without_options_no_parentheses_are_needed(scheduler):
    @scheduler.job
    def plain(): ...

    @scheduler.job()
    def called(): ...

    assert (plain.name, called.name) == ("plain", "called")
    assert plain.job().queue == "default"


def test_a_name_of_its_own(scheduler):
    @scheduler.job(name="mail.greet")
    def greet(): ...

    assert greet.name == greet.job().name == "mail.greet"


def test_the_same_name_twice_is_refused(scheduler, greet):
    with pytest.raises(ConfigError, match="Two handlers are named 'greet'"):
        scheduler.job(name="greet")(lambda: None)


def test_a_function_without_a_name_needs_one(scheduler):
    function = functools.partial(print)
    with pytest.raises(InvalidJob, match="name"):
        scheduler.job(function)
    assert scheduler.job(name="print")(function).name == "print"


def test_options_that_no_job_has_are_refused(scheduler):
    with pytest.raises(TypeError, match="colour"):
        scheduler.job(colour="red")(lambda: None)


def test_as_a_class_attribute_it_stays_a_function(scheduler):
    class Shop:
        @scheduler.job
        def sell(item: str) -> str:  # noqa: N805 - there is no self: a job has no object
            return item

    assert Shop().sell("tea") == Shop.sell("tea") == "tea"
    assert scheduler.get(Shop().sell.push("tea")).job.args == {"item": "tea"}


def test_an_async_handler_stays_one(scheduler):
    @scheduler.job
    async def greet(name: str) -> str:
        return f"Hello {name}"

    assert asyncio.run(greet("Ada")) == "Hello Ada"


def test_a_task_belongs_to_its_scheduler_alone():
    one, other = Scheduler("memory://"), Scheduler("memory://")
    one.job(name="greet")(lambda name: name)
    other.job(name="greet")(lambda times: times)
    assert one.push(Job("greet", {"name": "Ada"}))
    with pytest.raises(BadArguments):
        other.push(Job("greet", {"name": "Ada"}))


def test_a_function_that_wants_a_context_can_still_be_called(scheduler):
    @scheduler.job
    def count(context: Context, things: int) -> tuple[int, int]:
        return context.attempt, things

    assert count(3) == (1, 3)
    assert count(Context(lambda: count.job(3), 2, 7, "worker"), 3) == (2, 3)
