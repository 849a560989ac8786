"""Names that would be commands if they were not parameters, on every store, beside a neighbour that must not notice."""

from __future__ import annotations

from itertools import count

import pytest
from kit import REDIS_KINDS, SECOND

from goscheds import Job, Scheduler, Worker
from goscheds.backends.memory import MemoryStore
from goscheds.errors import ConfigError
from goscheds.record import State

NAMES = [
    "'; DROP TABLE goscheds_jobs; --", '"; DELETE FROM goscheds_jobs', "') OR ('1'='1", "%s %(ns)b %b {0} {ns} %%",
    ":ns :id", "{", "}", "*", "?", "[a-z]", "]]", "\\", "\\'", "$1", "${ns}", "$$", "`", "%", "_", "--", "/*",
    "]=]..redis.call('FLUSHALL')", "a:b", "0:default", ":", " ", "null", "NULL", "☃ 🦀 é", "\u202eevil", "x" * 255,
]  # fmt: skip
NAMESPACES = ["*", "{a}", "a:b", "'", "\\", "a b", "", "x" * 65, "\n", "a\n", "?", "[a]", "é", "\0"]
numbers = count()


@pytest.fixture(params=["memory", "sqlite", *REDIS_KINDS, "postgres"])
def url(request, tmp_path) -> str:
    if request.param == "memory":
        return f"memory://injection-{next(numbers)}"
    return (
        f"sqlite:///{tmp_path}/jobs.db"
        if request.param == "sqlite"
        else request.getfixturevalue(f"{request.param}_url")
    )


def picture(scheduler: Scheduler) -> object:
    return scheduler.counts(), sorted((info.id, info.state, info.job.args["n"]) for info in scheduler.jobs())


def test_names_are_parameters_everywhere_and_a_neighbour_notices_nothing(url):
    space = f"injection-{next(numbers)}"
    with Scheduler(url, space) as scheduler, Scheduler(url, space + ".b") as neighbour:
        for each in (scheduler, neighbour):
            each.push_many([Job(n, {"n": i}, id=n, queue=n, unique_key=n) for i, n in enumerate(NAMES)])
        before = picture(neighbour)
        ran = []
        for name in NAMES:
            scheduler.job(name=name, queue=name)(lambda n, name=name: ran.append((NAMES[n], name)))
        for name in NAMES:
            assert [info.id for info in scheduler.jobs(queue=name, name=name)] == [name]
            assert scheduler.push(Job("other", {"n": 0}, unique_key=name)) == name
            assert scheduler.reschedule(name, SECOND * 3600) is State.SCHEDULED
            assert scheduler.retry(name) is State.READY
            scheduler.pause(name)
        assert scheduler.counts().paused == set(NAMES)
        for name in NAMES:
            scheduler.resume(name)
        for name in NAMES[::2]:
            assert scheduler.cancel(name) is State.CANCELLED
        Worker(scheduler).drain()
        assert sorted(ran) == sorted((name, name) for name in NAMES[1::2])
        for name in NAMES:
            assert sum(scheduler.purge(state, queue=name) for state in ("done", "cancelled")) == 1
        assert scheduler.counts().jobs == {}
        assert picture(neighbour) == before
        for each in (scheduler, neighbour):
            each.store.erase()


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_namespace_has_no_character_that_means_anything_to_a_store(namespace):
    with pytest.raises(ConfigError, match="namespace"):
        Scheduler("memory://", namespace)
    assert MemoryStore().counts().jobs == {}
