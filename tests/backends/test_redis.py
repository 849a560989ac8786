"""What only the Redis store has: lists that a worker owns, doorbells, scripts, a server that fills up or goes away."""

from __future__ import annotations

import contextlib
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from threading import Event

import pytest
from kit import REDIS_KINDS
from redis import Redis
from servers import Server

from goscheds.backends.redis import codec
from goscheds.backends.redis.client import make_client
from goscheds.backends.redis.scripts import Line
from goscheds.backends.redis.waiting import Waiting
from goscheds.contract.bench import (
    HOUR,
    LATE,
    LONG,
    PATIENCE,
    PROMPT,
    SECOND,
    SHORT,
    background,
    eventually,
    hire,
    ids,
    job,
    jobs,
    pages,
    row,
    rows,
    settle_in,
    state,
)
from goscheds.errors import ConfigError, SchemaTooNew, StoreError, StoreUnavailable
from goscheds.plugins import open_store
from goscheds.record import Move, Outcome, Record, State
from goscheds.store import Store

numbers = count()
SLACK = 3  # on a machine with other things to do
Connect = Callable[..., Store]


@pytest.fixture(params=REDIS_KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def url(request, kind) -> str:
    return request.getfixturevalue(f"{kind}_url")


@pytest.fixture
def start(request, kind) -> Callable[..., Server]:
    """Starts a server that the test has for itself."""
    return request.getfixturevalue(f"private_{kind}")


@pytest.fixture
def connect(url) -> Iterator[Connect]:
    opened: list[Store] = []

    def connect(namespace: str = "", at: str = "") -> Store:
        store = open_store(at or url, namespace or f"redis-{next(numbers)}")
        opened.append(store)
        store.open()
        return store

    yield connect
    for store in opened:
        with contextlib.suppress(StoreError):  # its own server may be gone
            store.erase()
        store.close()


@pytest.fixture
def store(connect) -> Store:
    return connect()


@pytest.fixture
def server(url) -> Iterator[Redis]:
    with Redis.from_url(url, decode_responses=True) as server:
        yield server


def key(store: Store, name: str) -> str:
    return f"{store._tag}:{name}"


def begin_claim(store: Store, server: Redis, worker: str, queue: str = "default") -> str:
    """What BLMOVE does before the claim's script."""
    return server.lmove(key(store, f"queue:0:{queue}"), key(store, f"taken:{worker}"), "LEFT", "LEFT")


def claim_behind(store: Store, worker: str, limit: int = 10, queue: str = "default") -> list[str]:
    """What the script right behind BLMOVE claims."""
    return ids(codec.claims(*store._server.run("claim", queue, worker, limit, b"?")[1:]))


# A claim that stopped between BLMOVE and its script


def test_a_killed_workers_ticket_goes_back_to_the_head(store, server):
    store.push(jobs(3, "job"))
    dying, living = hire(store, SHORT), hire(store)
    begin_claim(store, server, dying)
    begin_claim(store, server, dying)
    assert store.counts().jobs == {("default", State.READY): 3}
    assert sorted(ids(rows(store, states=(State.READY,)))) == ids(jobs(3, "job"))
    eventually(lambda: store.recover(living, 10) == [] and not server.llen(key(store, f"taken:{dying}")))
    assert ids(store.claim("default", living, 10, 0)) == ids(jobs(3, "job"))


def test_a_living_worker_finds_its_ticket_and_claims_it_once(store, server):
    store.push([job("one", timeout=HOUR)])
    worker = hire(store)
    ticket = begin_claim(store, server, worker)
    (claim,) = store.held(worker)
    assert (claim.record.id, claim.fence) == ("one", 1)
    assert store._server.run("claim", "default", worker, 10, ticket)[1:] == []
    assert store.held(worker) == [claim]
    assert store.settle(worker, [Outcome.done(claim, keep=False)]) == ["one"]
    assert not server.exists(*(key(store, name) for name in ("deadlines", f"taken:{worker}", f"active:{worker}")))


def test_the_script_behind_blmove_claims_what_it_took(store, server):
    worker = hire(store)
    store.push(jobs(3, "job"))
    assert claim_behind(store, worker) == [], "nothing was taken"
    begin_claim(store, server, worker)
    assert claim_behind(store, worker, 1) == ["job-000000"]
    assert claim_behind(store, worker) == [], "it is finished"
    begin_claim(store, server, worker)
    assert claim_behind(store, worker) == ["job-000001", "job-000002"], "in the order of the line, up to the limit"


def test_the_script_behind_blmove_finds_its_ticket_behind_those_of_other_queues(store, server):
    worker = hire(store)
    store.push([job("held"), *[job(queue, queue=queue) for queue in ("one", "two", "three")]])
    assert ids(store.claim("default", worker, 1, 0)) == ["held"]
    store.push([job("high", queue="one", priority=5), job("later")])
    for queue in ("one", "two", "three"):
        begin_claim(store, server, worker, queue)
    assert claim_behind(store, worker, 1, "one") == ["high"]
    assert claim_behind(store, worker, 10, "three") == ["three"]
    assert claim_behind(store, worker, 10, "default") == [], "its own BLMOVE took nothing"
    assert claim_behind(store, worker, 10, "two") == ["two"]
    assert claim_behind(store, worker, 10, "one") == []
    assert ids(store.claim("one", worker, 10, 0)) == ["one"]
    assert sorted(ids(store.held(worker))) == ["held", "high", "one", "three", "two"]


def test_a_wait_whose_script_the_server_forgot_claims_afterwards(store, server):
    worker = hire(store)
    waiting = background(lambda: store.claim("default", worker, 1, PATIENCE))
    settle_in()
    server.script_flush()
    store.push([job("one")])
    assert ids(waiting.result(LATE)) == ["one"]
    assert ids(store.held(worker)) == ["one"]


def test_a_wait_that_took_the_ticket_of_a_cancelled_job_goes_on(store, server):
    worker = hire(store)
    store.push([job("gone")])
    ticket = server.lpop(key(store, "queue:0:default"))
    store.move([Move.cancel("gone")])
    waiting = background(lambda: store.claim("default", worker, 1, PATIENCE))
    settle_in()
    server.rpush(key(store, "queue:0:default"), ticket)
    settle_in()
    assert not server.exists(key(store, f"taken:{worker}"))
    store.push([job("one")])
    assert ids(waiting.result(LATE)) == ["one"]


@pytest.mark.parametrize("barred", ["paused", "lapsed"])
def test_a_ticket_that_may_not_be_claimed_goes_back(store, server, barred):
    store.push(jobs(2, "job"))
    worker = hire(store)
    ticket = begin_claim(store, server, worker)
    store.pause("default", barred == "paused")
    if barred == "lapsed":
        store.heartbeat(worker, 0, b"")
    assert store.held(worker) == []
    assert store._server.run("claim", "default", worker, 10, ticket)[1:] == []
    store.pause("default", paused=False)
    assert ids(store.claim("default", hire(store), 10, 0)) == ids(jobs(2, "job"))


def test_a_job_that_is_cancelled_under_blmove_never_starts(store, server):
    store.push([job("one")])
    worker = hire(store)
    ticket = begin_claim(store, server, worker)
    assert store.move([Move.cancel("one")]) == [State.CANCELLED]
    assert store._server.run("claim", "default", worker, 10, ticket)[1:] == []
    assert store.held(worker) == []
    assert not server.exists(key(store, f"taken:{worker}"))


@pytest.mark.slow
def test_a_stopped_process_whose_blmove_takes_a_job_later_gives_it_back(store, server, url):
    """The process is stopped in BLMOVE; its lease runs out; then the server gives it a job that it never sees."""
    program = (
        "import sys; from goscheds.plugins import open_store; store = open_store(sys.argv[1], sys.argv[2]);"
        f"store.heartbeat('stopped', {SHORT}, b''); print('on', flush=True); store.claim('default', 'stopped', 1, 20)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, url, store._tag[1:-1]], stdout=subprocess.PIPE, text=True
    ) as stopped:
        assert stopped.stdout.readline() == "on\n"
        blocked = lambda: [one for one in server.client_list() if one["cmd"] == "blmove"]  # noqa: E731 - asked thrice
        eventually(blocked)
        stopped.send_signal(19)
        worker = hire(store)
        eventually(lambda: [one.id for one in store.workers()] == [worker])
        if not blocked():
            pytest.skip("the machine was too slow: the block ended before the lease")
        store.push([job("one")])
        stopped.kill()
        assert not blocked()
        (claim,) = store.claim("default", worker, 1, 0)
        assert (claim.record.id, claim.fence) == ("one", 1), "the script behind BLMOVE gave it back at once"


def test_a_lapsed_worker_is_remembered_until_its_list_can_fill_no_more(store, server):
    store.heartbeat("gone", 0, b"")
    worker = hire(store)
    store.recover(worker, 10)
    assert server.zscore(key(store, "workers"), "gone")
    assert [one.id for one in store.workers()] == [worker]
    server.zadd(key(store, "workers"), {"gone": store.now() - 3600 * 1_000_000})
    store.recover(worker, 10)
    assert server.zscore(key(store, "workers"), "gone") is None
    assert not server.hexists(key(store, "info"), "gone")


# Doorbells


def test_idle_workers_wake_one_by_one_for_jobs_of_other_priorities(store):
    workers = [hire(store) for _ in range(3)]
    waiting = [background(lambda worker=worker: store.claim("default", worker, 1, PATIENCE)) for worker in workers]
    settle_in()
    began = time.monotonic()
    store.push([job("low", priority=-7), job("high", priority=9), job("higher", priority=10)])
    assert sorted(ids(claims[0] for claims in (one.result(PATIENCE) for one in waiting))) == ["high", "higher", "low"]
    assert time.monotonic() - began < PROMPT


def test_a_doorbell_does_not_hold_up_who_comes_next_and_is_no_job(store, server):
    store.push([job("high", priority=5)])
    assert server.llen(key(store, "queue:0:default")) == 1
    store.push([job("middle"), job("low", priority=-5)])
    assert store.counts().jobs == {("default", State.READY): 3}
    assert len(rows(store, limit=1)) == 3
    assert ids(store.claim("default", hire(store), 10, 0)) == ["high", "middle", "low"]
    assert server.llen(key(store, "queue:0:default")) == 0


def test_a_doorbell_that_a_dead_worker_took_is_rung_again(store, server):
    dead, living = hire(store, SHORT), hire(store)
    store.push([job("high", priority=5)])
    begin_claim(store, server, dead)
    assert server.llen(key(store, "queue:0:default")) == 0
    eventually(lambda: store.recover(living, 10) == [] and server.llen(key(store, "queue:0:default")) == 1)


def test_a_doorbell_whose_claim_broke_off_is_rung_again(store, server):
    worker = hire(store)
    store.push([job("high", priority=5)])
    begin_claim(store, server, worker)
    assert store.held(worker) == []
    assert server.llen(key(store, "queue:0:default")) == 1, "who blocks there is woken"


def test_resuming_a_queue_wakes_who_blocks_since_before_the_pause(store, server):
    worker = hire(store)
    waiting = background(lambda: store.claim("default", worker, 1, PATIENCE))
    settle_in()
    store.pause("default", paused=True)
    store.push([job("high", priority=5)])
    settle_in()
    store.pause("default", paused=False)
    assert ids(waiting.result(LATE)) == ["high"]


# Tickets that are left behind


def test_thousands_of_cancelled_jobs_at_the_head_do_not_hide_the_next(store, server):
    store.push(jobs(3_000, "gone"))
    store.push([job("next")])
    store.move([Move.cancel(f"gone-{number:06}") for number in range(3_000)])
    assert ids(store.claim("default", hire(store), 1, 0)) == ["next"]
    assert server.llen(key(store, "queue:0:default")) == 0


def test_a_job_that_joins_its_line_again_stands_at_the_end(store):
    store.push(jobs(3, "job"))
    store.move([Move.cancel("job-000000"), Move.retry("job-000000"), Move.reschedule("job-000001")])
    assert len(rows(store, limit=1)) == 3
    assert ids(store.claim("default", hire(store), 10, 0)) == ["job-000002", "job-000000", "job-000001"]


def test_an_id_that_is_pushed_again_after_its_deletion_has_one_place(store):
    store.push([job("one"), job("two")])
    store.move([Move.cancel("one")])
    assert store.purge(State.CANCELLED, store.now() + HOUR, 10) == 1
    store.push([job("one")])
    assert ids(rows(store, limit=1)) == ["two", "one"]
    assert ids(store.claim("default", hire(store), 10, 0)) == ["two", "one"]


def test_a_purge_leaves_what_was_pushed_under_the_id_of_a_job_deleted_by_hand(store, server):
    store.push([Record("a", "job", "default")])
    worker = hire(store)
    (claim,) = store.claim("default", worker, 1, 0)
    store.settle(worker, [Outcome.done(claim)])
    server.delete(key(store, "job:a"))
    store.push([Record("a", "job", "default")])
    store.purge(State.DONE, store.now() + HOUR, 10)
    assert [claim.record.id for claim in store.claim("default", worker, 1, 0)] == ["a"]
    assert store.purge(State.DONE, store.now() + HOUR, 10) == 0


def test_paging_through_ready_jobs_goes_on_where_it_was_while_others_come_and_go(store):
    stay = [*jobs(20, "a"), *jobs(20, "c", queue="other")]
    store.push([*stay, *jobs(20, priority=3)])
    worker, seen = hire(store), []
    for page in pages(store, states=(State.READY,), limit=3):
        seen += ids(page)
        first, _ = store.claim("default", worker, 2, 0)
        store.settle(worker, [Outcome.released(first)])
        store.push(jobs(1, priority=3))
    assert len(seen) == len(set(seen))
    assert set(ids(stay)) <= set(seen)


# The server


def test_every_key_is_in_one_slot_and_erasing_leaves_none(start, connect):
    private = start()
    store = connect("shop", private.url)
    fill(store)
    with Redis.from_url(private.url, decode_responses=True) as server:
        found = set(server.scan_iter(count=1000))
        assert len(found) > 20
        assert {name.partition(":")[0] for name in found} == {"{shop}"}
        store.erase()
        assert server.dbsize() == 0
    assert store.push([job("again")]) == ["again"]


def fill(store: Store) -> None:
    """Have a key of every kind."""
    store.push([*jobs(5, unique_key=""), job("unique", unique_key="key"), job("later", delay=HOUR)])
    store.push([job("other", queue="other:queue {x} *", priority=-3), job("timed", timeout=HOUR)])
    worker = hire(store)
    claims = store.claim("default", worker, 100, 0)
    store.settle(worker, [Outcome.done(claims[0]), Outcome.dead(claims[1]), Outcome.released(claims[2])])
    store.move([Move.cancel(claims[3].record.id), Move.cancel("later")])
    store.pause("other", paused=True)
    store.promote(worker, 10, 0)


def test_a_namespace_is_erased_without_its_neighbours(connect):
    one, other = connect("a.b"), connect("a-b")
    fill(one)
    other.push([job("kept")])
    one.erase()
    assert state(other, "kept") is State.READY


def test_scripts_that_the_server_forgot_are_sent_again(store, server):
    store.push([job("one")])
    server.script_flush()
    worker = hire(store)
    (claim,) = store.claim("default", worker, 1, 0)
    store.push([job("two")])
    server.script_flush()
    accepted, claims = store.settle_and_claim(worker, [Outcome.done(claim)], "default", 1)
    assert (accepted, ids(claims)) == (["one"], ["two"])


@pytest.mark.slow
def test_commands_per_job_are_bounded_whatever_is_in_flight(start, connect):
    private = start()
    store = connect("shop", private.url)
    with Redis.from_url(private.url) as server:
        first = commands_per_job(store, server)
        store.push([*jobs(5_000, queue="other"), *jobs(5_000, delay=HOUR)])
        assert len(store.claim("other", hire(store), 2_000, 0)) == 2_000
        again = commands_per_job(store, server)
    assert first <= 3.5
    assert again <= first + 0.05


def commands_per_job(store: Store, server: Redis) -> float:
    worker = hire(store)
    server.config_resetstat()
    store.push(jobs(1_000, timeout=HOUR))
    while claims := store.claim("default", worker, 100, 0):
        assert len(store.settle(worker, [Outcome.done(claim) for claim in claims])) == 100
    return calls(server) / 1_000


def calls(server: Redis) -> int:
    """Commands since the statistics were reset, those inside scripts among them."""
    stats = server.info("commandstats")
    return sum(one["calls"] for name, one in stats.items() if not name.startswith(("cmdstat_info", "cmdstat_config")))


def requests(server: Redis) -> dict[str, int]:
    """What clients asked for since the statistics were reset: scripts, and waiting for a ticket."""
    stats = server.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "blmove")}


def spied_upon(monkeypatch) -> list[str]:
    """The scripts that are sent from now on, by name, and not behind a BLMOVE."""
    asked, run_all = [], Line.run_all

    def noted(line, *calls):
        asked.extend(name for name, *_ in calls)
        return run_all(line, *calls)

    monkeypatch.setattr(Line, "run_all", noted)
    return asked


def test_an_idle_wait_is_one_request(start, connect):
    private = start()
    store = connect(at=private.url)
    worker, other = hire(store), hire(store)
    assert store.promote(worker, 1, 0) == 0
    with Redis.from_url(private.url) as server:
        for wait, asked in (
            (lambda: store.promote(worker, 1, 0.2), {"evalsha": 1, "blmove": 0}),
            (lambda: store.promote(other, 1, 0.2), {"evalsha": 1, "blmove": 0}),
            (lambda: store.claim("default", worker, 1, 0.2), {"evalsha": 2, "blmove": 1}),
            (lambda: store.recover(worker, 100), {"evalsha": 1, "blmove": 0}),
        ):
            server.config_resetstat()
            assert not wait()
            assert requests(server) == asked
            assert calls(server) <= (12 if asked["blmove"] else 5)


def test_what_is_due_is_waited_for_and_not_asked_for_again_and_again(start, connect):
    private = start()
    store = connect(at=private.url)
    worker = hire(store)
    with Redis.from_url(private.url) as server:
        for number in range(5):
            store.push([job(f"{number}", delay=SECOND // 5)])
            server.config_resetstat()
            assert store.promote(worker, 1, PATIENCE) == 1
            assert requests(server)["evalsha"] <= 3, "the first look, perhaps one just before it was due, and the last"


@pytest.mark.parametrize("priority", [0, 5])
def test_a_push_wakes_one_worker_of_many(start, connect, priority, monkeypatch):
    private = start()
    store = connect(at=private.url)
    workers = [hire(store) for _ in range(8)]
    waiting = [background(lambda worker=worker: store.claim("default", worker, 1, PATIENCE)) for worker in workers]
    with Redis.from_url(private.url) as server:
        eventually(lambda: server.info("clients")["blocked_clients"] == len(workers))
        server.config_resetstat()
        asked = spied_upon(monkeypatch)
        store.push([job("one", priority=priority)])
        eventually(lambda: sum(claim.done() for claim in waiting) == 1)
        assert requests(server) == {"evalsha": 2, "blmove": 1}, "the push; the wait and the claim of the one that woke"
        assert asked == ["push"], "and the claim went with the wait, in no round trip of its own"
        assert server.info("clients")["blocked_clients"] == len(workers) - 1
    for worker in workers:
        store.interrupt(worker)
    assert [ids(claims) for claims in (one.result(LATE) for one in waiting) if claims] == [["one"]]


def test_a_job_takes_a_few_hundred_bytes_besides_its_payload(store, server):
    line = key(store, "queue:0:default")
    for size in (30, 100, 1_000, 10_000):
        pushed = jobs(100, f"00000000-0000-0000-0000-00000{size}", payload=b"x" * size)
        store.push(pushed)
        taken = server.memory_usage(key(store, f"job:{pushed[0].id}")) + server.memory_usage(line, 0) / 100
        server.delete(line)
        assert taken <= 320 + 1.3 * size


def test_a_push_of_several_commands_keeps_its_order_and_stores_no_id_twice(store):
    store.push([job("old"), job("holder", unique_key="key")])
    some, more = jobs(2_500, "a"), jobs(2_500, "b")
    unique = [job("free", unique_key="other"), job("held", unique_key="key")]
    answer = store.push([*some, job("old"), *unique, *more, some[0], more[0], job("free")])
    assert answer == [*ids(some), "old", "free", "holder", *ids(more), some[0].id, more[0].id, "free"]
    expected = ["old", "holder", *ids(some), "free", *ids(more)]
    assert store.counts().jobs == {("default", State.READY): len(expected)}
    assert ids(store.claim("default", hire(store), 10_000, 0)) == expected


@pytest.mark.slow
def test_one_hundred_thousand_jobs_land_in_one_push(store):
    store.push(jobs(100_000))
    assert store.counts().jobs == {("default", State.READY): 100_000}


def test_a_server_that_may_evict_jobs_is_refused_unless_that_is_allowed(start, connect, caplog):
    private = start("--maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreError, match=r"maxmemory-policy allkeys-lru.*noeviction.*eviction=allow") as refused:
        connect(at=private.url)
    assert not isinstance(refused.value, StoreUnavailable)
    with caplog.at_level(logging.WARNING, "goscheds"):
        connect(at=f"{private.url}?eviction=allow").push([job()])
    assert "maxmemory-policy allkeys-lru" in caplog.text
    assert "noeviction" in caplog.text


def test_a_policy_that_evicts_keys_that_expire_takes_no_job(start, connect, caplog):
    """Hosted servers come with volatile-lru. Nothing expires but who has the duties, and those go on to another."""
    private = start("--maxmemory-policy", "volatile-lru")
    store = connect(at=private.url)
    worker = hire(store)
    store.push([job("one", timeout=HOUR, unique_key="key"), job("later", delay=HOUR), *jobs(4, "job", priority=1)])
    store.promote(worker, 10, 0)
    done, dead, *_ = store.claim("default", worker, 4, 0)
    store.settle(worker, [Outcome.done(done), Outcome.dead(dead)])
    store.move([Move.cancel("job-2"), Move.cancel("later")])
    with Redis.from_url(private.url, decode_responses=True) as server:
        expiring = {name for name in server.keys() if server.ttl(name) != -1}  # noqa: SIM118 - no dict
    assert expiring == {key(store, "duty")}
    assert caplog.text == ""


def test_a_server_that_may_not_be_configured_is_opened(start, connect, caplog):
    private = start()
    with Redis.from_url(private.url) as server:
        server.execute_command("ACL", "SETUSER", "app", "on", ">word", "~*", "&*", "+@all", "-config")
    connect(at=private.url.replace("//", "//app:word@")).push([job()])
    assert caplog.text == ""


def test_a_replica_and_a_sentinel_are_refused_as_such(redis_watched, connect):
    replica = next(server for server in redis_watched.data if server is not redis_watched.primary)
    for server, role in ((replica, "slave"), (redis_watched.sentinels[0], "Sentinel")):
        with pytest.raises(StoreUnavailable, match=rf"is a {role}.*primary's address, or redis\+sentinel"):
            connect(at=server.url)


def test_a_full_server_refuses_pushes_whole_and_lets_workers_go_on(start, connect):
    private = start("--maxmemory", "6mb")
    store = connect(at=private.url)
    worker, dying = hire(store), hire(store)
    store.push([job("later", queue="idle", delay=1), job("lost", queue="dying")])
    store.claim("dying", dying, 1, 0)
    pushed, refusal = push_until_full(store)
    assert "maxmemory" in str(refusal)
    assert store.counts().jobs["default", State.READY] == pushed
    connect(store._tag[1:-1], private.url)  # a worker that starts
    assert not store.heartbeat(worker, LONG, b"").lapsed
    store.heartbeat(dying, 0, b"")
    private.call("CONFIG", "SET", "maxmemory", "1")  # as the refused batch has left some room
    assert ids(store.recover(hire(store), 10)) == ["lost"], "by one that never claimed"
    private.call("CONFIG", "SET", "maxmemory", "6mb")
    assert store.claim("idle", worker, 1, SHORT) == [], "a wait is no error, though the server refuses to block"
    waiting = background(lambda: store.claim("idle", worker, 1, PATIENCE))
    settle_in()
    assert store.promote(worker, 10, PATIENCE) == 1
    assert ids(waiting.result(LATE)) == ["later"]
    store.pause("default", paused=True)
    assert store.claim("default", worker, 1, 0) == []
    store.pause("default", paused=False)
    claims = store.claim("default", worker, pushed, 0)
    assert len(store.settle(worker, [Outcome.done(claim, keep=False) for claim in claims])) == pushed
    eventually(lambda: accepts(store, job()))  # memory is freed in the background


def push_until_full(store: Store) -> tuple[int, StoreError]:
    for pushed in range(0, 100_000, 100):
        try:
            store.push(jobs(100, payload=b"x" * 300))
        except StoreError as error:
            return pushed, error
    pytest.fail("the server never was full")


def accepts(store: Store, record: Record) -> bool:
    with contextlib.suppress(StoreError):
        return store.push([record]) == [record.id]
    return False


def test_passwords_are_never_shown(start, connect):
    private = start()
    with Redis.from_url(private.url) as server:
        server.config_set("requirepass", "s3cret")
    store = connect(at=private.url.replace("//", "//:s3cret@"))
    assert "s3cret" not in repr(store)
    wrong = open_store(private.url.replace("//", "//:wr0ng@"), "shop")
    with pytest.raises(StoreError, match="credentials") as refused:
        wrong.open()
    assert not isinstance(refused.value, StoreUnavailable)
    private.kill()
    with pytest.raises(StoreUnavailable) as gone:
        store.push([job()])
    for shown in (repr(wrong), str(refused.value), str(gone.value), repr(gone.value.__cause__)):
        assert "s3cret" not in shown
        assert "wr0ng" not in shown


def test_keys_of_another_type_are_a_store_error(store, server):
    server.set(key(store, "workers"), "nonsense")
    with pytest.raises(StoreError, match="WRONGTYPE") as caught:
        hire(store)
    assert not isinstance(caught.value, StoreUnavailable)
    assert caught.value.__cause__ is not None


def test_a_server_that_became_a_replica_is_unavailable_until_it_is_a_master_again(start, connect):
    private = start()
    store = connect(at=private.url)
    with Redis.from_url(private.url) as server:
        server.replicaof("127.0.0.1", "1")
        with pytest.raises(StoreUnavailable):
            store.push([job("one")])
        server.replicaof("NO", "ONE")
    assert store.push([job("one")]) == ["one"]


@pytest.mark.slow
def test_a_server_that_was_killed_and_came_back_serves_the_same_store(start, connect):
    private = start(aof="always")
    store = connect(at=private.url)
    store.push(jobs(50, "job"))
    worker = hire(store)
    held = store.claim("default", worker, 10, 0)
    calls = (lambda: store.claim("empty", worker, 1, PATIENCE), lambda: store.promote(worker, 1, PATIENCE))
    waiting = [background(call) for call in calls]
    settle_in()
    private.kill()
    for call in waiting:
        with pytest.raises(StoreUnavailable):
            call.result(LATE)
    with pytest.raises(StoreUnavailable):
        store.push([job()])
    private.start()
    assert store.push([job("after")]) == ["after"]
    assert ids(store.held(worker)) == ids(held)
    assert store.settle(worker, [Outcome.done(claim) for claim in held]) == ids(held)
    assert len(store.claim("default", worker, 100, 0)) == 41
    assert store.promote(worker, 1, 0) == 0


def test_a_later_format_is_left_alone(connect, server):
    store = connect("tomorrow")
    server.set(key(store, "schema"), 99)
    with pytest.raises(SchemaTooNew, match="format 99"):
        connect("tomorrow")
    assert server.get(key(store, "schema")) == "99"


def test_an_old_server_is_refused(store, monkeypatch):
    monkeypatch.setattr(store._server.client, "info", lambda: {"redis_version": "6.0.16"})
    with pytest.raises(StoreError, match=r"6\.0\.16.*6\.2"):
        store.open()


# URLs


@pytest.mark.parametrize(
    "bad",
    [
        "redis://host:port",
        "redis://localhost?wakeups=maybe",
        "redis://localhost?nonsense=1",
        "redis://localhost?socket_timeout=x",
    ],
)
def test_a_bad_url_is_a_config_error(bad):
    with pytest.raises(ConfigError):
        open_store(bad, "shop")


def test_schemes_and_options(url, connect, tmp_path, start):
    connect(at=url.replace("redis://", "valkey://")).push([job()])
    connect(at=f"{url}?socket_timeout=7&wakeups=off").push([job()])
    socket = tmp_path / "redis.sock"
    start("--unixsocket", str(socket))
    connect(at=f"unix://{socket}").push([job()])


def test_other_databases_are_other_stores(url, connect):
    connect("same").push([job("one")])
    assert state(connect("same", url.removesuffix("0") + "1"), "one") is None


# Waiting


@pytest.mark.slow
def test_due_jobs_are_promoted_within_milliseconds_and_never_early(store):
    worker, late = hire(store), []
    for _ in range(40):
        due = store.now() + 30_000
        store.push([job("one", execute_at=due)])
        assert store.promote(worker, 10, PATIENCE) == 1
        late.append(row(store, "one").changed_at - due)
        (claim,) = store.claim("default", worker, 1, 0)
        store.settle(worker, [Outcome.done(claim, keep=False)])
    assert min(late) >= 0
    assert statistics.quantiles(late)[0] < 1_500 * SLACK, "the best quarter: the rest is the machine's"


def test_interrupting_ends_blocked_calls_of_that_worker_alone(store):
    worker, other = hire(store), hire(store)
    store.promote("leader", 1, 0)
    mine = [
        background(lambda: store.claim("default", worker, 1, PATIENCE)),
        background(lambda: store.promote(worker, 1, PATIENCE)),
    ]
    others = background(lambda: store.claim("default", other, 1, PATIENCE))
    settle_in()
    store.interrupt(worker)
    assert [one.result(LATE) for one in mine] == [[], None]
    assert store.claim("default", worker, 1, PATIENCE) == []
    store.push([job("one")])
    assert ids(others.result(LATE)) == ["one"]


# Waiting, and the connections for it


def test_a_wait_in_the_server_ends_before_the_socket_gives_up():
    sent: list[Sequence[object]] = []

    def ask(commands):
        sent.extend(commands)
        yield from (1, None, [b"block"])

    waiting = Waiting(make_client("redis://127.0.0.1?socket_timeout=2"), ask, "due")
    assert waiting.take("ann", lambda: 60.0, "line", "taken", ()) == (b"", [b"block"])
    assert sent[1][-1] < 2


def test_two_connections_may_have_one_number_on_two_servers():
    """After a failover: the old primary is cut off, and who waits there does not know it yet."""
    begun, cut_off = Event(), Event()

    def ask(commands):
        yield 7
        if not begun.is_set():
            begun.set()
            assert cut_off.wait(PATIENCE)
        yield from (b"ticket", [b"block"])

    waiting = Waiting(make_client("redis://127.0.0.1:1"), ask, "due")
    old = background(lambda: waiting.take("ann", lambda: 60.0, "line", "taken", ()))
    assert begun.wait(PATIENCE)
    new = waiting.take("bob", lambda: 60.0, "line", "taken", ())
    cut_off.set()
    assert old.result(PATIENCE) == new == (b"ticket", [b"block"])


def test_a_closed_store_has_no_connection_once_its_waiting_calls_are_back(start, connect):
    private = start()
    store = connect(at=private.url)
    worker = hire(store)
    waiting = [
        background(lambda call=call: call(1, PATIENCE))
        for call in (lambda *args: store.claim("default", worker, *args), lambda *args: store.promote(worker, *args))
    ]
    settle_in()
    store.close()
    assert [one.result(LATE) for one in waiting] == [[], 0]
    with Redis.from_url(private.url) as server:
        eventually(lambda: len(server.client_list()) == 1)


def test_threads_may_let_go_of_the_same_connections(store):
    class Emptied(list):
        """Another thread takes the last one after this one has looked."""

        def __bool__(self):
            return True

    store._work._kept = Emptied()
    store._work.drop()
