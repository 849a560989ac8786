"""Bad input through the public face, and bytes in the store that no goscheds wrote."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from kit import Tampered, scheduled, until, working

from goscheds import Job, Retry, Scheduler, Worker
from goscheds.codec import (
    MAX_DEPTH,
    BrokenRecord,
    LaterRecord,
    decode_args,
    decode_meta,
    decode_payload,
    describe,
    encode_meta,
    to_json,
)
from goscheds.errors import BadArguments, ConfigError, GoschedsError, InvalidJob, JobNotFound, ResultNotKept
from goscheds.plugins import open_store
from goscheds.record import Outcome, Query, Record, Row, State

SECRET = "hunter2"  # noqa: S105 - the point of it
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - the point of it
SCHEMES = ("sqlite", "redis", "rediss", "unix", "valkey", "postgresql", "memory")
PIECES = st.one_of(
    st.text(max_size=8),
    st.sampled_from([*":/@?#[]&=%+,*", "%00", "%ff", "\ud800", "localhost", "6379", "//"]),
    st.sampled_from(["db=", "ssl_cert_reqs=", "socket_timeout=", "encoding=", "retry=", "wakeups=", "synchronous="]),
)
AUTHORITIES = (
    "",
    f"u:{SECRET}@h/",
    "u:hunt/er2@h/",
    "u:hunt#er2@h/",
    "u:hunt?er2@h/",
    f"h/?password={SECRET}&",
    f"u:{SECRET}",
)


@fuzzed(300)
@example("redis", f"u:{SECRET}", ":")
@given(st.sampled_from(SCHEMES), st.sampled_from(AUTHORITIES), st.lists(PIECES, max_size=6).map("".join))
def test_any_url_makes_a_store_or_a_config_error_without_its_secret(scheme, authority, rest):
    try:
        store = open_store(f"{scheme}://{authority}{rest}", "hostile")
    except ConfigError as error:
        told: BaseException | None = error
        while told:
            assert not {SECRET, "er2"} & {part for part in (SECRET, "er2") if part in str(told).replace(rest, "")}
            told = told.__cause__
    else:
        assert "er2" not in repr(store).replace(rest, "")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("text", ["", "://", "\0", "x", "sqlite", "sqlite:", "sqlite:/x"])
def test_what_is_no_url_is_a_config_error(scheme, text):
    with pytest.raises(ConfigError):
        Scheduler(f"{scheme}{text}" if text == "\0" else text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@fuzzed(100)
@given(JSON)
def test_what_is_accepted_comes_back_and_all_else_is_refused(value):
    try:
        encoded = to_json({"value": value}, "it")
    except BadArguments:
        assert "\\ud" in ascii(value), "only half surrogate pairs have no JSON"
    else:
        record = Record("id", "name", "queue", b'{"v":1,"args":' + encoded + b"}")
        assert decode_args(decode_payload(record)) == {"value": value}


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_nested_too_deep_for_a_worker_to_read_is_refused():
    assert to_json(nested(MAX_DEPTH), "it")
    assert to_json([[]] * (2 * MAX_DEPTH), "it")
    assert to_json("[{" * MAX_DEPTH, "it")
    for depth in (MAX_DEPTH + 1, 900, 100_000):
        with pytest.raises(BadArguments, match=r"nested more than 500 deep|recursion"):
            to_json(nested(depth), "it")


MANGLED = [
    b"", b"\xff\xfe", b"null", b"[]", b'"text"', b"{", b'{"v":1', b'{"v":"1"}', b'{"v":0}', b'{"v":-1}', b'{"v":1e400}',
    b'{"v":1,"args":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"v":1,"args":01}', b'{"v":1,"timeout":-1}',
    b'{"v":1,"timeout":' + b"9" * 300 + b"}", b'{"v":1,"retry":5}', b'{"v":1,"retry":{"max_attempts":-1}}',
    b'{"v":1,"retry":{"base":"P9999999999D"}}', b'{"v":1}' * 2, b"\x80\x04K\x01.",
]  # fmt: skip
ARGUMENTS = [b'"\xff"', b"[1,2]", b"null", b"1e999", b"[" * 900 + b"]" * 900, b"9" * 5000]


@pytest.mark.parametrize("payload", MANGLED)
def test_a_payload_that_is_none_is_a_broken_record(payload):
    with pytest.raises(BrokenRecord, match="was not written by goscheds"):
        decode_payload(Record("id", "name", "queue", payload))


@fuzzed(300)
@given(st.binary() | st.text().map(str.encode), st.binary())
@example(b"[" * 100_000, b"[" * 100_000)
def test_any_bytes_are_read_or_refused(payload, meta):
    for wrapped in (payload, b'{"v":1,"args":' + payload + b"}"):
        with contextlib.suppress(BrokenRecord, LaterRecord):
            decode_args(decode_payload(Record("id", "name", "queue", wrapped)))
    account = decode_meta(meta)
    assert account.attempts >= 0
    assert decode_meta(encode_meta(account, meta)) == account
    describe(
        Row(Record("\0", "\ud800", "", payload, meta, execute_at=2**80), State.DONE, 1, "", -(2**80), 2**80, payload)
    )


@pytest.mark.parametrize("meta", [b'{"attempts":-1}', b'{"crashes":' + b"9" * 30 + b"}", b'{"misses":1.5}', b"[[[["])
def test_an_account_with_absurd_counts_is_begun_anew(meta):
    account = decode_meta(meta)
    assert (account.attempts, account.crashes, account.misses) == (0, 0, 0)
    assert "could not be read" in account.error


@pytest.mark.parametrize("run", ["decorated", "explicit", "async"])
def test_what_cant_be_read_is_dead_at_once_and_its_neighbours_run(run):
    with scheduled(Tampered()) as scheduler:
        ran = []
        worker = Worker(scheduler)
        if run == "decorated":
            scheduler.job(lambda: ran.append(1), name="greet")
        elif run == "explicit":
            worker.register_handler("greet", lambda job: ran.append(job.id))
        else:

            @scheduler.job(name="greet")
            async def greet() -> None:
                ran.append(1)

        payloads = [*MANGLED, *(b'{"v":1,"args":' + args + b"}" for args in ARGUMENTS)]
        broken = [Record(f"broken-{n}", "greet", "default", payload) for n, payload in enumerate(payloads)]
        names = [Record(f"name-{n}", name, "default", b'{"v":1}') for n, name in enumerate(("\0", "\ud800", ""))]
        scheduler.push(Job("greet", id="before"))
        scheduler.store.push([*broken, *names])
        scheduler.push(Job("greet", id="after"))
        with working(scheduler, worker):
            until(lambda: scheduler.get("after").state is State.DONE)
            until(lambda: all(info.state in (State.DEAD, State.DONE) for info in scheduler.jobs()))
        assert len(ran) == 2
        for info, record in zip(scheduler.jobs(state="dead"), [*broken, *names], strict=True):
            assert (info.id, info.attempts) == (record.id, 0)
            assert info.error
            assert scheduler.store.find(Query(ids=(info.id,))).rows[0].record.payload == record.payload


@pytest.mark.parametrize("result", [b"\xff", b"{", b"[" * 100_000, b"1e999"])
def test_a_result_that_is_none_is_told_and_in_nobodys_way(result):
    with scheduled() as scheduler:
        scheduler.store.heartbeat("worker", 60, b"")
        scheduler.push(Job("greet", id="done"))
        (claim,) = scheduler.store.claim("default", "worker", 1, 0)
        scheduler.store.settle("worker", [Outcome.done(claim, result=result)])
        assert scheduler.get("done").result is None
        assert [info.id for info in scheduler.jobs()] == ["done"]
        with pytest.raises(ResultNotKept, match="its result can't be read"):
            scheduler.result("done")


ANYTHING = (
    st.none()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.timedeltas()
    | st.datetimes(timezones=st.just(UTC))
)


@fuzzed(200)
@given(st.dictionaries(
    st.sampled_from(["id", "queue", "execute_at", "priority", "timeout", "retry", "unique_key", "args"]), ANYTHING
), ANYTHING)  # fmt: skip
def test_a_job_of_anything_is_a_job_or_refused(fields, name):
    try:
        job = Job(name, **fields)
    except InvalidJob:
        return
    with scheduled() as scheduler:
        assert scheduler.push_many([job]) == [job.id]
        assert scheduler.get(job.id).job.args == job.args


TAKING = {
    "push": lambda scheduler, value: scheduler.push(value),
    "push_many": lambda scheduler, value: scheduler.push_many(value),
    "push_many of": lambda scheduler, value: scheduler.push_many([Job("greet"), value]),
    "push_scheduled": lambda scheduler, value: scheduler.push_scheduled(value),
    "push_in": lambda scheduler, value: scheduler.push_in(value, Job("greet")),
    "push_in what": lambda scheduler, value: scheduler.push_in(timedelta(1), value),
    "task.push_in": lambda scheduler, value: scheduler.tasks["greet"].push_in(value),
    "task.push_at": lambda scheduler, value: scheduler.tasks["greet"].push_at(value),
    "get": lambda scheduler, value: scheduler.get(value),
    "cancel": lambda scheduler, value: scheduler.cancel(value),
    "retry": lambda scheduler, value: scheduler.retry(value),
    "reschedule": lambda scheduler, value: scheduler.reschedule("ready", value),
    "result": lambda scheduler, value: scheduler.result("done", value),
    "jobs": lambda scheduler, value: list(scheduler.jobs(state=value)),
    "jobs of queue": lambda scheduler, value: list(scheduler.jobs(queue=value)),
    "jobs of name": lambda scheduler, value: list(scheduler.jobs(name=value)),
    "pause": lambda scheduler, value: scheduler.pause(value),
    "resume": lambda scheduler, value: scheduler.resume(value),
    "purge": lambda scheduler, value: scheduler.purge(value),
    "purge older": lambda scheduler, value: scheduler.purge("dead", older_than=value),
    "purge of queue": lambda scheduler, value: scheduler.purge("dead", queue=value),
    "job": lambda scheduler, value: scheduler.job(value),
    "job name": lambda scheduler, value: scheduler.job(name=value)(lambda: None),
    "job queue": lambda scheduler, value: scheduler.job(name="other", queue=value)(lambda: None),
    "job timeout": lambda scheduler, value: scheduler.job(name="other", timeout=value)(lambda: None),
    "job priority": lambda scheduler, value: scheduler.job(name="other", priority=value)(lambda: None),
    "url": lambda _, value: Scheduler(value),
    "namespace": lambda _, value: Scheduler("memory://", value),
    "keep_done": lambda _, value: Scheduler("memory://", keep_done=value),
    "keep_dead": lambda _, value: Scheduler("memory://", keep_dead=value),
    "max_payload": lambda _, value: Scheduler("memory://", max_payload=value),
    "queues": Worker,
    "slots": lambda scheduler, value: Worker(scheduler, {"default": value}),
    "queue": lambda scheduler, value: Worker(scheduler, {value: 1} if isinstance(value, str | bytes | int) else {}),
    "lease": lambda scheduler, value: Worker(scheduler, lease=value),
    "grace": lambda scheduler, value: Worker(scheduler, grace=value),
    "register": lambda scheduler, value: Worker(scheduler).register_handler(value, print),
    "handler": lambda scheduler, value: Worker(scheduler).register_handler("other", value),
}
"""Everything that takes something from its caller."""
ODDITIES = [NAIVE, timedelta.min, timedelta.max, timedelta(0), float("nan"), float("inf"), -1, 0, 2**64, True, "",
            "\0", "\ud800", b"", [], {}, [None], object(),
            datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)]  # fmt: skip


@pytest.mark.parametrize("verb", TAKING)
def test_every_verb_takes_anything_or_refuses_it_and_then_nothing_is_stored(verb):
    with scheduled() as scheduler:
        scheduler.job(lambda: None, name="greet")
        scheduler.push(Job("greet", id="done"))
        Worker(scheduler).drain()
        scheduler.push(Job("greet", id="ready"))

        @fuzzed(30)
        @given(st.sampled_from(ODDITIES) | ANYTHING | st.lists(ANYTHING, max_size=2))
        def try_it(value):
            before = scheduler.counts()
            with contextlib.suppress(
                GoschedsError, TypeError, AttributeError
            ):  # Python's own, for what is of no use at all
                TAKING[verb](scheduler, value)
                return
            assert scheduler.counts() == before

        for value in ODDITIES:
            try_it.hypothesis.inner_test(value)
        try_it()


@fuzzed(200)
@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_a_retry_policy_of_anything_is_one_or_refused(max_attempts, base, cap, max_crashes):
    try:
        retry = Retry(max_attempts, base, cap, max_crashes)
    except GoschedsError:
        return
    with scheduled() as scheduler:
        scheduler.push(Job("greet", id="id", retry=retry))
        assert scheduler.get("id").job.retry == retry


@pytest.mark.parametrize("id", ["", "\0", "\ud800", "x" * 256, None, 7])
def test_an_id_that_no_store_can_carry_is_not_found(id):
    with scheduled() as scheduler:
        for verb in (scheduler.get, scheduler.cancel, scheduler.retry, scheduler.result):
            with pytest.raises(JobNotFound):
                verb(id)
        with pytest.raises(JobNotFound):
            scheduler.reschedule(id, timedelta(1))


@pytest.mark.parametrize("text", ["\0", "\ud800", "x" * 256])
def test_a_name_that_no_store_can_carry_is_refused_where_it_is_looked_for(text):
    with scheduled() as scheduler:
        for look in (lambda: list(scheduler.jobs(queue=text)), lambda: list(scheduler.jobs(name=text)),
                     lambda: scheduler.purge("done", queue=text), lambda: scheduler.pause(text)):  # fmt: skip
            with pytest.raises(InvalidJob, match="must"):
                look()


@pytest.mark.parametrize("moment", [NAIVE, "now", 7, datetime(9999, 1, 1, tzinfo=UTC)])
def test_a_moment_that_is_none_is_refused(moment):
    with pytest.raises(InvalidJob):
        Job("greet", execute_at=moment)


@pytest.mark.parametrize("delay", [timedelta.min, timedelta.max, timedelta(microseconds=-1), 7, None])
def test_a_delay_that_is_none_is_refused(delay):
    with scheduled() as scheduler, pytest.raises(InvalidJob):
        scheduler.push_in(delay, Job("greet"))


def test_the_longest_delay_leaves_a_job_that_can_be_read():
    with scheduled() as scheduler:
        scheduler.push_in(timedelta(days=200 * 365), Job("greet", {"a": 1}, id="late"))
        assert scheduler.get("late").job.args == {"a": 1}
