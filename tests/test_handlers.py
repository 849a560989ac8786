from __future__ import annotations

import asyncio
import enum
import functools
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Optional, TypedDict

import msgspec
import pytest
from kit import record

from goscheds.codec import decode_job, to_json
from goscheds.context import Context
from goscheds.errors import BadArguments, ConfigError
from goscheds.handlers import Binding, Explicit, Registry, Unpacking
from goscheds.job import Job

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def named(value: object) -> str:
    """A value as the name of its test, the same in every process: without where it stands in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Address:
    street: str
    number: int = 1


class Options(TypedDict, total=False):
    loud: bool


class Model:
    """As pydantic's models are."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Model) and other.value == self.value

    __hash__ = None

    def model_dump(self, *, mode):
        return {"value": self.value}

    @classmethod
    def model_validate(cls, plain):
        if plain["value"] == "explosive":
            raise RuntimeError("boom")
        return cls(int(plain["value"]))


def context(name: str = "greet", args: bytes = b"{}") -> Context:
    return Context(lambda: decode_job(record(name, args)), 1, 1, "w")


def called(binding: Binding, **arguments: Any) -> Any:
    """What a handler makes of arguments that went through the store."""
    encoded = to_json(arguments, "it")
    return binding.prepare(msgspec.Raw(encoded), context(binding.name, encoded))()


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Any, {"a": [1]}),
        (int, 10**50),
        (float, 0.5),
        (str, "a\0b"),
        (bool, True),
        (bytes, b"\xff\0"),
        (list[int], [1, 2]),
        (tuple[int, str], (1, "a")),
        (set[int], {1}),
        (dict[str, int], {"a": 1}),
        (Optional[int], None),  # noqa: UP045 - the old way of writing it works as well
        (int | str, "a"),
        (Literal["a", "b"], "b"),
        (Annotated[int, msgspec.Meta(gt=0)], 1),
        (datetime, NOON),
        (datetime | None, NOON),
        (list[datetime], [NOON]),
        (date, date(2026, 1, 1)),
        (timedelta, timedelta(minutes=1)),
        (uuid.UUID, uuid.UUID(int=7)),
        (Decimal, Decimal("1.10")),
        (Colour, Colour.RED),
        (Address, Address("Main", 7)),
        (list[Address], [Address("Main")]),
        (Options, {"loud": True}),
        (Model, Model(7)),
    ],
    ids=named,
)
def test_arguments_come_back_as_their_hints_say(hint, value):
    def handler(value):
        return value

    handler.__annotations__["value"] = hint
    back = called(Unpacking("greet", handler), value=value)
    assert back == value
    assert type(back) is type(value)


def test_without_a_hint_an_argument_is_plain_json():
    def handler(address):
        return address

    assert called(Unpacking("greet", handler), address=Address("Main")) == {"street": "Main", "number": 1}


def test_defaults_are_the_handlers_own_at_the_time_of_the_run():
    def handler(a, b=[1], *, c: datetime = NOON):  # noqa: B006 - it must be this very list
        return a, b, c

    a, b, c = called(Unpacking("greet", handler), a=1)
    assert (a, c) == (1, NOON)
    assert b is handler.__defaults__[0]
    assert called(Unpacking("greet", handler), a=1, c=NOON + timedelta(1)) == (1, [1], NOON + timedelta(1))


@pytest.mark.parametrize(
    ("arguments", "misfit"),
    [
        ({}, "missing required field `a`"),
        ({"a": "x"}, "Expected `int`, got `str` - at `$.a`"),
        ({"a": 1, "b": 2}, "unknown field `b`"),
        ({"a": None}, "Expected `int`, got `null`"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_the_place(arguments, misfit):
    def handler(a: int) -> None: ...

    with pytest.raises(BadArguments) as refused:
        Unpacking("greet", handler).check(to_json(arguments, "it"))
    for said in ("Job 'greet'", misfit, "It takes (a: 'int')"):
        assert said in str(refused.value)


def test_a_naive_datetime_that_comes_as_text_is_refused_where_a_datetime_is_wanted():
    def handler(at: datetime) -> None: ...

    with pytest.raises(BadArguments, match="timezone"):
        Unpacking("greet", handler).check(b'{"at":"2026-01-01T00:00:00"}')


def test_a_models_own_refusal_is_one_of_arguments():
    def handler(model: Model) -> None: ...

    with pytest.raises(BadArguments, match="invalid literal"):
        Unpacking("greet", handler).check(b'{"model":{"value":"x"}}')


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda *args: args, "*args (variadic positional)"),
        (lambda **kwargs: kwargs, "**kwargs (variadic keyword)"),
        (lambda a, /: a, "a (positional-only)"),
    ],
)
def test_parameters_that_a_job_can_not_fill_are_refused_with_what_to_do(function, named):
    with pytest.raises(ConfigError) as refused:
        Unpacking("greet", function).check(b"{}")
    assert f"'greet' takes {named}, but a job's arguments are stored by name" in str(refused.value)
    assert "ordinary parameters" in str(refused.value)


def test_a_hint_that_can_not_be_resolved_says_where_to_import_it():
    def handler(a: Missing) -> None: ...  # noqa: F821 - the point of it

    with pytest.raises(ConfigError, match=r"'greet' can't be resolved.*Import what they name"):
        Unpacking("greet", handler).check(b"{}")


def test_a_hint_that_arguments_can_not_have_is_refused():
    def handler(a: dict[Address, int] | list[int] | set[int]) -> None: ...

    with pytest.raises(ConfigError, match="type hint that arguments can't have"):
        Unpacking("greet", handler).check(b"{}")


def test_a_type_that_json_can_not_become_is_refused():
    class Socket: ...

    def handler(a) -> None: ...

    handler.__annotations__["a"] = Socket
    with pytest.raises(BadArguments, match=r"Socket.*not a type that JSON can be converted to"):
        Unpacking("greet", handler).check(b'{"a":1}')


@pytest.mark.parametrize("call", [7, None, "greet"])
def test_what_can_not_be_called_is_no_handler(call):
    with pytest.raises(ConfigError, match="can't be called"):
        Explicit("greet", call)


def test_a_handler_without_a_signature_is_refused_with_what_to_do():
    with pytest.raises(ConfigError, match="wrap it in a def"):
        Unpacking("greet", dict).check(b"{}")


def test_the_context_goes_to_the_parameter_annotated_so_in_both_styles():
    def unpacking(a: int, run: Context):
        return a, run.job.name

    def explicit(job: Job, *, run: Context):
        return job.args["a"], run.job.name

    assert called(Unpacking("greet", unpacking), a=1) == (1, "greet")
    assert called(Explicit("greet", explicit), a=1) == (1, "greet")


def test_the_context_is_no_argument_of_the_job():
    def handler(run: Context, a: int = 1) -> None: ...

    binding = Unpacking("greet", handler)
    assert binding.pack((5,), {}) == {"a": 5}
    with pytest.raises(BadArguments):
        binding.check(b'{"run":1}')


def test_a_handler_that_returns_a_context_does_not_ask_for_one():
    def handler(a: int) -> Context: ...

    assert Unpacking("greet", handler).context_parameter == ""


def test_a_call_is_packed_by_name():
    def handler(a, b=2, *, c=3) -> None: ...

    pack = Unpacking("greet", handler).pack
    assert pack((1,), {}) == {"a": 1}
    assert pack((1, 5), {"c": 6}) == {"a": 1, "b": 5, "c": 6}
    for args, kwargs in (((), {}), ((1,), {"d": 1}), ((1, 2, 3), {}), ((1,), {"a": 1})):
        with pytest.raises(BadArguments, match=r"Job 'greet'.*The handler takes \(a, b=2, \*, c=3\)"):
            pack(args, kwargs)


class Shop:
    def method(self, a: int):
        return a + 1

    @staticmethod
    def static(a: int):
        return a + 1

    @classmethod
    def of_class(cls, a: int):
        return a + 1

    def __call__(self, a: int):
        return a + 1


def with_more(more: list[int], a: int, factor: int = 1):
    return a * factor + more[0]


def wrapped(function):
    @functools.wraps(function)
    def wrapper(**kwargs):
        return function(**kwargs)

    return wrapper


@wrapped
def decorated(a: int):
    return a + 1


@pytest.mark.parametrize(
    "function",
    [
        Shop().method,
        Shop.static,
        Shop.of_class,
        Shop(),
        decorated,
        lambda a: a + 1,
        functools.partial(with_more, [1]),
        functools.partial(with_more, [1], factor=1),
        functools.partial(functools.partial(with_more, [1]), factor=1),
    ],
    ids=named,
)
def test_anything_that_can_be_called_will_do(function):
    binding = Unpacking("greet", function)
    assert called(binding, **binding.pack((), {"a": 2})) == 3


@pytest.mark.parametrize("function", [functools.partial(with_more, [1]), Shop().method, Shop(), decorated], ids=named)
def test_their_hints_count_as_any_others(function):
    with pytest.raises(BadArguments, match="Expected `int`"):
        Unpacking("greet", function).check(b'{"a":"2"}')


async def waits(a: int):
    return a


class AsyncShop:
    async def method(self, a: int):
        return a

    async def __call__(self, a: int):
        return a


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (waits, True),
        (functools.partial(waits, a=1), True),
        (AsyncShop().method, True),
        (AsyncShop(), True),
        (with_more, False),
        (Shop(), False),
        (lambda a: waits(a=a), False),  # found out when it is called
    ],
)
def test_async_handlers_are_known_where_they_can_be(function, is_async):
    assert Unpacking("greet", function).is_async is is_async


@pytest.mark.parametrize("function", [waits, AsyncShop().method, AsyncShop(), lambda a: waits(a=a)])
def test_async_handlers_are_called_like_any_others(function):
    assert asyncio.run(called(Unpacking("greet", function), a=1)) == 1


def test_an_explicit_handler_takes_the_job():
    job = called(Explicit("greet", lambda job: job), a=1)
    assert (job.name, job.args) == ("greet", {"a": 1})


def test_a_registry_knows_its_handlers_and_their_queues():
    registry = Registry()
    registry.add(Explicit("a", print), "mail")
    registry.add(Explicit("b", waits), "reports")
    assert registry.get("a").function is print
    assert registry.get("c") is None
    assert registry.queues() == ["mail", "reports"]


def test_a_queue_is_async_if_all_its_handlers_are():
    registry = Registry()
    registry.add(Explicit("a", waits), "mail")
    assert registry.asynchronous("mail")
    assert not registry.asynchronous("reports")
    registry.add(Explicit("b", print), "mail")
    assert not registry.asynchronous("mail")


def test_a_name_is_one_function():
    registry = Registry()
    registry.add(Explicit("a", print), "mail")
    registry.add(Explicit("a", print), "mail")
    with pytest.raises(ConfigError, match=r"Two handlers are named 'a': .*print.* and .*len.*another name"):
        registry.add(Explicit("a", len), "mail")


def test_registries_merge_unless_they_disagree():
    one, other, third = Registry(), Registry(), Registry()
    one.add(Explicit("a", print), "mail")
    other.add(Explicit("b", len), "reports")
    third.add(Explicit("a", len), "mail")
    assert one.merged(other).queues() == ["mail", "reports"]
    assert one.queues() == ["mail"]
    with pytest.raises(ConfigError):
        one.merged(third)


def test_arguments_are_checked_at_push_where_the_handler_is_known():
    def handler(a: int) -> None: ...

    registry = Registry()
    registry.add(Unpacking("known", handler), "default")
    registry.add(Explicit("explicit", print), "default")
    assert registry.encode(Job("known", {"a": 1})) == b'{"a":1}'
    assert registry.encode(Job("explicit", {"b": 1})) == b'{"b":1}'
    assert registry.encode(Job("foreign", {"b": 1})) == b'{"b":1}'
    with pytest.raises(BadArguments):
        registry.encode(Job("known", {"a": "x"}))
    with pytest.raises(BadArguments, match="Job 'foreign'"):
        registry.encode(Job("foreign", {"a": object()}))


def test_a_function_that_was_defined_again_takes_the_name_over():
    registry = Registry()
    for version in (1, 2):
        defined: dict[str, Any] = {"__name__": "notebook"}
        exec(f"def refresh(): return {version}", defined)  # noqa: S102 - what a notebook does
        registry.add(Unpacking("refresh", defined["refresh"]), "default")
    assert registry.entries["refresh"][0].function() == 2


def test_a_lambda_is_no_one_but_itself():
    registry = Registry()
    registry.add(Explicit("refresh", lambda _: 1), "default")
    with pytest.raises(ConfigError, match="Two handlers"):
        registry.add(Explicit("refresh", lambda _: 2), "default")
