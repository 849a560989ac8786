from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pytest
from kit import record

from goscheds.clock import from_micros, to_micros
from goscheds.codec import (
    MAX_PAYLOAD,
    NEW,
    TIMEOUT_MARGIN,
    VERSION,
    BrokenRecord,
    LaterRecord,
    Meta,
    decode_args,
    decode_job,
    decode_meta,
    decode_payload,
    describe,
    due,
    encode,
    encode_meta,
    to_json,
)
from goscheds.errors import BadArguments, PayloadTooLarge
from goscheds.job import Job
from goscheds.record import Row, State
from goscheds.retry import Retry

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - the point of it
NAN = float("nan")


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Address:
    street: str
    since: datetime | None = None
    share: float = 0.5


class Model:
    """As pydantic's models are."""

    def __init__(self, value):
        self.value = value

    def model_dump(self, *, mode):
        assert mode == "json"
        if isinstance(self.value, Exception):
            raise self.value
        return {"value": self.value}


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**63),
        2**64,
        10**100,
        0.1,
        -1e308,
        5e-324,
        "",
        "NUL \0, quotes \"', back\\slash, line\u2028end, 日本語, 😀, \x7f\x1f",
        [],
        [1, [2, [3, None]]],
        {"": {"a\0": [{}]}},
        "null",
        "2026-01-01T00:00:00",
    ],
)
def test_any_json_value_comes_back_as_it_went_in(value):
    job = decode_job(encode(Job("greet"), to_json({"value": value}, "it")))
    assert job.args == {"value": value}
    assert type(job.args["value"]) is type(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), b'"2026-01-01T00:00:00Z"'),
        (date(2026, 1, 1), b'"2026-01-01"'),
        (time(12, 30), b'"12:30:00"'),
        (timedelta(minutes=90), b'"PT5400S"'),
        (uuid.UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.10"), b'"1.10"'),
        (Colour.RED, b'"red"'),
        (Address("Main"), b'{"street":"Main","since":null,"share":0.5}'),
        (Address("A", datetime(2026, 1, 1, tzinfo=UTC)), b'{"street":"A","since":"2026-01-01T00:00:00Z","share":0.5}'),
        (Point(1, 2), b"[1,2]"),
        ({1}, b"[1]"),
        (b"\xff\0", b'"/wA="'),
        (Model(3), b'{"value":3}'),
        ([Model([Model(None)])], b'[{"value":[{"value":null}]}]'),
    ],
)
def test_types_with_a_json_form_are_written_in_it(value, written):
    assert to_json(value, "it") == written


@pytest.mark.parametrize(
    "value",
    [
        object(),
        lambda: None,
        3 + 4j,
        {"deep": [object()]},
        "half a surrogate \ud83d pair",
        Model(object()),
        Model(KeyError("anything")),
        Model(RuntimeError("at all")),
    ],
)
def test_what_has_no_json_form_is_refused_with_what_has(value):
    with pytest.raises(BadArguments, match=r"Its arguments can't be written as JSON: .*UUID"):
        to_json(value, "Its arguments")


def test_what_goes_round_in_circles_is_refused():
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(BadArguments):
        to_json(circle, "it")


@pytest.mark.parametrize("nan", [NAN, float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "within", [lambda x: x, lambda x: [1.0, x], lambda x: {"a": [{"b": x}]}, lambda x: Address("a", share=x), Model]
)
def test_nan_is_refused_wherever_it_stands(nan, within):
    with pytest.raises(BadArguments, match="NaN or an infinity"):
        to_json(within(nan), "it")


@pytest.mark.parametrize(
    "within", [lambda x: x, lambda x: [x], lambda x: {"a": ({"b": x},)}, lambda x: Address("a", x)]
)
def test_a_naive_datetime_is_refused_wherever_it_stands(within):
    with pytest.raises(BadArguments, match="naive datetime; give it a time zone"):
        to_json(within(NAIVE), "it")


@pytest.mark.parametrize("value", [None, [None, 1.5, {"a": None}], "null", ["2026-01-01T00:00:00", None]])
def test_what_only_looks_like_them_is_not(value):
    assert msgspec.json.decode(to_json(value, "it")) == value


EVERYTHING = Job(
    "greet",
    {"name": "Ada"},
    id="id-1",
    queue="mail",
    execute_at=datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC),
    priority=-7,
    timeout=timedelta(seconds=30),
    retry=Retry(max_attempts=3, base=timedelta(microseconds=1), cap=timedelta(days=9), max_crashes=0),
    unique_key="ada\N{SNOWMAN}",
)


def test_a_job_comes_back_as_it_was_pushed():
    assert decode_job(encode(EVERYTHING, b'{"name":"Ada"}', execute_at=due(EVERYTHING))) == EVERYTHING


def test_a_plain_job_comes_back_with_the_moment_it_became_due():
    job = Job("greet")
    assert decode_job(encode(job, b"{}")) == replace(job, execute_at=from_micros(0))


def test_what_a_job_does_not_say_takes_no_room():
    assert encode(Job("greet"), b"{}").payload == b'{"v":1,"args":{}}'


def test_a_store_gives_the_worker_time_to_end_an_attempt_itself():
    assert encode(EVERYTHING, b"{}").timeout == 30_000_000 + TIMEOUT_MARGIN
    assert encode(Job("greet"), b"{}").timeout == 0


def test_a_jobs_own_moment():
    assert due(Job("greet")) == 0
    assert due(EVERYTHING) == to_micros(EVERYTHING.execute_at)


def test_a_job_up_to_the_limit_is_taken_and_a_larger_one_refused():
    overhead = len(encode(Job("greet"), b'""').payload) - 2
    for limit in (1000, MAX_PAYLOAD):
        room = limit - overhead - 2
        assert encode(Job("greet"), b'"' + b"x" * room + b'"', limit)
        with pytest.raises(PayloadTooLarge, match=f"over the limit of {limit:,}.*max_payload"):
            encode(Job("greet"), b'"' + b"x" * (room + 1) + b'"', limit)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"{}", b'{"v":"1"}', b'{"v":1,"retry":{"max_attempts":-1}}'])
def test_a_payload_by_something_else_is_broken(payload):
    with pytest.raises(BrokenRecord, match=r"'id-1'.*not written by goscheds"):
        decode_payload(msgspec.structs.replace(record(id="id-1"), payload=payload))


def test_a_payload_that_is_not_even_text_is_broken():
    with pytest.raises(BrokenRecord):
        decode_payload(msgspec.structs.replace(record(), payload=b'{"v":1,"retry":"\xff"}'))


def test_arguments_that_are_not_even_text_are_broken():
    with pytest.raises(BrokenRecord):
        decode_job(msgspec.structs.replace(record(), payload=b'{"v":1,"args":{"a":"\xff"}}'))


@pytest.mark.parametrize("rest", [b'"args":[],"new":1', b'"retry":"as always","timeout":{}'])
def test_a_payload_by_a_later_goscheds_says_so_whatever_else_it_has(rest):
    later = msgspec.structs.replace(record(), payload=b'{"v":%d,%s}' % (VERSION + 1, rest))
    with pytest.raises(LaterRecord, match=f"format {VERSION + 1}"):
        decode_payload(later)


def test_what_a_later_goscheds_adds_in_the_same_format_is_passed_over():
    assert decode_args(decode_payload(msgspec.structs.replace(record(), payload=b'{"v":1,"new":1}'))) == {}


@pytest.mark.parametrize("meta", [NEW, Meta(1, 2, 3, "error \0 ä", "trace\n")])
def test_the_account_comes_back_as_it_was_kept(meta):
    assert decode_meta(encode_meta(meta)) == meta


def test_what_a_later_goscheds_has_in_an_account_is_kept():
    before = b'{"attempts":1,"error":"old","later":{"a":[1]}}'
    assert decode_meta(before) == Meta(1, error="old")
    after = encode_meta(Meta(2), before)
    assert decode_meta(after) == Meta(2)
    assert msgspec.json.decode(after) == {"attempts": 2, "later": {"a": [1]}}


@pytest.mark.parametrize("before", [b"", b"{", b"[]", b"\xff", b'{"error":"old"}'])
def test_nothing_else_of_an_account_outlasts_its_successor(before):
    assert encode_meta(Meta(2), before) == encode_meta(Meta(2))


def test_no_account_is_a_new_one():
    assert decode_meta(b"") == NEW


@pytest.mark.parametrize("meta", [b"{", b"[]", b'{"attempts":"1"}', b'{"error":"\xff"}', b"\xff"])
def test_an_unreadable_account_is_begun_anew_and_says_so(meta):
    begun = decode_meta(meta)
    assert (begun.attempts, begun.crashes) == (0, 0)
    assert "begun anew" in begun.error


def row(state: State = State.DONE, result: bytes = b"", **changes) -> Row:
    changed = msgspec.structs.replace(record("greet", b'{"a":1}', id="id-1", queue="mail"), **changes)
    return Row(changed, state, 3, "w", 1_000_000, 2_000_000, result, True)


def test_a_row_is_told_to_people():
    info = describe(row(result=b'{"sum":3}', meta=encode_meta(Meta(1, 2, error="e", trace="t"))))
    assert (info.id, info.job.args, info.job.queue) == ("id-1", {"a": 1}, "mail")
    assert (info.state, info.fence, info.worker, info.cancelling) == (State.DONE, 3, "w", True)
    assert (info.attempts, info.crashes, info.error, info.trace) == (1, 2, "e", "t")
    assert (info.pushed_at, info.changed_at) == (from_micros(1_000_000), from_micros(2_000_000))
    assert info.result == {"sum": 3}


def test_a_row_without_a_result_has_none():
    assert describe(row(State.READY)).result is None


def test_a_broken_row_can_still_be_looked_at():
    info = describe(row(payload=b"?"))
    assert (info.id, info.job.args) == ("id-1", {})
    assert "not written by goscheds" in info.error


def test_what_a_broken_rows_account_says_comes_first():
    assert describe(row(payload=b"?", meta=encode_meta(Meta(error="mine")))).error == "mine"
