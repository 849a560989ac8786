from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from goscheds.errors import BadMoment, InvalidJob
from goscheds.job import Job, label, new_id
from goscheds.record import Record
from goscheds.retry import Retry


def test_ids_are_uuids_of_version_7_that_sort_by_time():
    first = uuid.UUID(new_id())
    assert (first.version, first.variant) == (7, uuid.RFC_4122)
    assert abs((first.int >> 80) - time.time() * 1000) < 10_000
    assert len({new_id() for _ in range(1000)}) == 1000


def test_a_forked_process_makes_ids_of_its_own():
    forked = """
import os
from goscheds.job import new_id
new_id()  # what is drawn for the next ones is there now
child = os.fork()
os.write(1, "".join(f"{new_id()[14:]}\\n" for _ in range(100)).encode())
child and os.waitpid(child, 0)
"""
    told = subprocess.run([sys.executable, "-c", forked], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert len(told) == len(set(told)) == 200


def test_a_job_is_a_frozen_dataclass_to_everybody():
    job = Job("greet", {"name": "Ada"}, queue="mail")
    assert dataclasses.is_dataclass(job)
    assert [field.name for field in dataclasses.fields(Job)] == list(dataclasses.asdict(job))
    assert Job(**dataclasses.asdict(replace(job, retry=Retry.never()))) == replace(job, retry=Retry.never()) != job
    assert copy.deepcopy(job) == pickle.loads(pickle.dumps(job)) == job  # noqa: S301 - our own
    assert repr(job).startswith("Job(name='greet', args={'name': 'Ada'}, id='")
    with pytest.raises(AttributeError):
        job.queue = "other"
    with pytest.raises(TypeError):
        Job("greet", {}, "mail")


def test_its_fields_tell_types_and_defaults_as_a_dataclass_does():
    fields = {field.name: field for field in dataclasses.fields(Job)}
    assert fields["name"].default is fields["name"].default_factory is dataclasses.MISSING
    assert (fields["queue"].type, fields["queue"].default, fields["retry"].default) == (str, "default", Retry())
    assert (fields["args"].default_factory, fields["id"].default_factory) == (dict, new_id)
    assert [name for name, field in fields.items() if not field.kw_only] == ["name", "args"]
    assert set(fields) >= set(Job.__annotations__)  # nothing else passes for a field


def test_a_job_that_can_not_be_read_may_go_to_another_process():
    job = Job.unread("no\nname", "some id", "mail")
    assert copy.deepcopy(job) == pickle.loads(pickle.dumps(job)) == job  # noqa: S301 - our own


def test_a_job_has_the_fields_own_defaults():
    job = Job("greet")
    assert (job.args, job.queue, job.execute_at, job.priority) == ({}, "default", None, 0)
    assert (job.timeout, job.retry, job.unique_key) == (None, Retry(), None)
    assert job.id != Job("greet").id


@pytest.mark.parametrize("field", ["name", "id", "queue", "unique_key"])
@pytest.mark.parametrize("text", ["a", "ä" * 255, "日本語", "a b", "a\N{NO-BREAK SPACE}b", "😀", "{}:*?"])
def test_texts_that_every_store_can_carry(field, text):
    assert getattr(replace(Job("greet"), **{field: text}), field) == text


@pytest.mark.parametrize("field", ["name", "id", "queue", "unique_key"])
@pytest.mark.parametrize("text", ["", "a" * 256, "a\0", "a\nb", "\x7f", "\x85", "\ud800", 7, b"a"])
def test_other_texts_are_refused(field, text):
    with pytest.raises(InvalidJob, match=field.replace("_", " ")):
        replace(Job("greet"), **{field: text})


@pytest.mark.parametrize("args", [[1], None, "a", {1: 2}, {None: 1}])
def test_arguments_are_a_dict_with_text_keys(args):
    with pytest.raises(InvalidJob, match="dict with text keys"):
        Job("greet", args)


def test_any_mapping_will_do():
    assert Job("greet", MappingProxyType({"a": 1})).args == {"a": 1}


@pytest.mark.parametrize("priority", [-100, 0, 100])
def test_priorities_go_from_minus_to_plus_a_hundred(priority):
    assert Job("greet", priority=priority).priority == priority


@pytest.mark.parametrize("priority", [-101, 101, 1.5, 1.0, True, "1", None])
def test_other_priorities_are_refused(priority):
    with pytest.raises(InvalidJob, match="priority"):
        Job("greet", priority=priority)


@pytest.mark.parametrize(
    ("timeout", "error"), [(timedelta(0), InvalidJob), (timedelta(seconds=-1), BadMoment), (timedelta.max, BadMoment)]
)
def test_a_timeout_lets_something_run(timeout, error):
    with pytest.raises(error, match="timeout"):
        Job("greet", timeout=timeout)


@pytest.mark.parametrize("moment", [datetime(2030, 1, 1), datetime(1969, 1, 1, tzinfo=UTC)])  # noqa: DTZ001 - naive
def test_a_moment_is_one_that_every_store_can_keep(moment):
    with pytest.raises(BadMoment):
        Job("greet", execute_at=moment)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("send", "id-1 (send)"), ("ä", "id-1 (ä)"), ("a\nJob", "id-1 '(a\\nJob)'"), ("\ud800", "id-1 '(\\ud800)'")],
)
def test_a_job_is_named_in_logs_without_what_would_forge_them(name, shown):
    assert label(Record("id-1", name, "default")) == shown
