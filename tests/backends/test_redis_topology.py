"""Redis on several servers: URLs, Sentinels that know better, primaries that change, slots that move, and TLS."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count

import pytest
from kit import working
from redis import Redis
from redis.exceptions import ConnectionError as DriverError
from servers.several import SERVICE, Cluster, Sentinel, Watched
from servers.tls import Encrypted, self_signed

from goscheds import Scheduler
from goscheds.contract.bench import (
    HOUR,
    LATE,
    PATIENCE,
    background,
    eventually,
    gather,
    hire,
    ids,
    job,
    jobs,
    state,
    take,
)
from goscheds.errors import ConfigError, StoreError, StoreUnavailable
from goscheds.plugins import open_store
from goscheds.record import Outcome, State
from goscheds.store import Store

numbers = count()
Connect = Callable[..., Store]


@pytest.fixture
def connect() -> Iterator[Connect]:
    opened: list[Store] = []

    def connect(url: str, namespace: str = "") -> Store:
        store = open_store(url, namespace or f"moving-{next(numbers)}")
        store.open()
        opened.append(store)
        return store

    yield connect
    for store in opened:
        with contextlib.suppress(StoreError):
            store.erase()
        store.close()


@pytest.fixture
def watched(redis_watched: Watched) -> Iterator[Watched]:
    yield redis_watched
    redis_watched.start()
    redis_watched.settle()


@pytest.fixture
def cluster(redis_cluster: Cluster) -> Iterator[Cluster]:
    yield redis_cluster
    redis_cluster.start()
    redis_cluster.settle()


# URLs


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("redis+sentinel://:s3cret@host:26379", "no service"),
        ("redis+sentinel://:s3cret@host:26379/name/one", "'one' is no number"),
        ("redis+sentinel://:s3cret@host:port/name", "a port is no number"),
        ("redis+sentinel://:s3cret@/name", "a host is missing"),
        ("valkey+sentinel://:s3cret@one,,two/name", "a host is missing"),
        ("redis+cluster://:s3cret@host/1", "database 0 alone"),
        ("redis+cluster://:s3cret@host?wait=most", "wait=most is no number"),
        ("rediss+cluster://:s3cret@host?nonsense=1", "nonsense"),
        ("redis+cluster://:s3cret@host?wakeups=maybe", "wakeups"),
    ],
)
def test_a_bad_url_is_a_config_error_that_says_why(bad, why):
    with pytest.raises(ConfigError, match=why) as refused:
        open_store(bad, "shop")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey"])
def test_passwords_are_never_shown(scheme):
    url = f"{scheme}+sentinel://app:s3cret@127.0.0.1:1,[::1]:2/name/3?sentinel_username=watch&sentinel_password=w0rd"
    store = open_store(url, "shop")
    assert "127.0.0.1:1,[::1]:2/name/3" in repr(store)
    with pytest.raises(StoreUnavailable) as gone:
        store.open()
    for shown in (repr(store), str(gone.value), repr(gone.value.__cause__)):
        assert "s3cret" not in shown
        assert "w0rd" not in shown


# Sentinel


def test_sentinels_with_a_password_of_their_own(private_redis, connect):
    server = private_redis()
    with Redis.from_url(server.url) as client:
        client.config_set("requirepass", "s3cret")
    sentinel = Sentinel(server.route, server.port, f"requirepass w0rd\nsentinel auth-pass {SERVICE} s3cret")
    sentinel.url = f"redis://:w0rd@127.0.0.1:{sentinel.port}/0"
    try:
        sentinel.start()
        url = f"valkey+sentinel://:s3cret@127.0.0.1:{sentinel.port}/{SERVICE}"
        assert connect(f"{url}?sentinel_password=w0rd").push([job("one")]) == ["one"]
        for wrong in ("", "?sentinel_password=wr0ng"):
            with pytest.raises(StoreError, match="credentials") as refused:
                connect(url + wrong)
            assert not isinstance(refused.value, StoreUnavailable)
            assert "wr0ng" not in str(refused.value)
    finally:
        sentinel.remove()


def test_a_service_that_the_sentinels_do_not_know_is_an_error(redis_watched, connect):
    with pytest.raises(StoreError, match="know no service 'other'") as refused:
        connect(redis_watched.url.replace(f"/{SERVICE}", "/other"))
    assert not isinstance(refused.value, StoreUnavailable)


def test_a_sentinel_that_is_gone_or_mistaken_is_passed_over(redis_watched, connect, private_redis):
    """One does not answer, one leads to a replica: the primary is found all the same, and nobody writes elsewhere."""
    replica = next(server for server in redis_watched.data if server is not redis_watched.primary)
    mistaken = Sentinel(replica.route, replica.port)
    try:
        mistaken.start()
        good = redis_watched.url.removeprefix("redis+sentinel://")
        url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{mistaken.port},{good}"
        store = open_store(url, f"moving-{next(numbers)}")
        eventually(lambda: opens(store))
        with pytest.raises(StoreUnavailable, match="is a replica"):
            connect(f"redis+sentinel://127.0.0.1:{mistaken.port}/{SERVICE}")
        store.close()
    finally:
        mistaken.remove()


def opens(store: Store) -> bool:
    with contextlib.suppress(StoreUnavailable):
        store.open()
        return True
    return False


@pytest.mark.slow
def test_the_open_store_follows_a_failover_in_peace(watched, connect):
    store = connect(f"{watched.url}?wait=1")
    follows(store, watched.fail_over)


def follows(store: Store, move: Callable[[], object]) -> None:
    """What was pushed, held and waited for goes on after a change of the server."""
    store.push([*jobs(20, "job"), job("later", delay=HOUR)])
    worker = hire(store)
    held = store.claim("default", worker, 5, 0)
    settled = store.settle(worker, [Outcome.done(claim) for claim in held[:2]])
    calls = (lambda: store.claim("empty", worker, 1, PATIENCE), lambda: store.promote(worker, 1, 0.5))
    waiting = [background(call) for call in calls]
    move()
    for call in waiting:
        with contextlib.suppress(StoreUnavailable):
            call.result(LATE)
    assert insist(lambda: store.push([job("after")])) == ["after"]
    assert settled == ids(held[:2])
    assert sorted(ids(store.held(worker))) == sorted(ids(held[2:]))
    assert store.settle(worker, [Outcome.done(claim) for claim in held]) == ids(held)
    assert sorted(ids(gather(store, worker))) == sorted(["after", *ids(jobs(20, "job")[5:])])
    assert state(store, "later") is State.SCHEDULED


def insist(call):
    def once() -> list[object]:
        with contextlib.suppress(StoreUnavailable):
            return [call()]
        return []

    return eventually(once)[0]


@pytest.mark.slow
def test_workers_go_on_by_themselves_after_the_primary_was_killed(watched):
    """Pushes go on meanwhile; what was acknowledged by the old primary and its replica runs."""
    ran, acknowledged, stop = set(), [], threading.Event()
    namespace = f"moving-{next(numbers)}"
    with Scheduler(f"{watched.url}?wait=1", namespace=namespace) as scheduler:

        @scheduler.job(name="note")
        def note(number: int) -> None:
            ran.add(number)

        def produce() -> None:
            number = 0
            while not stop.wait(0.005):
                number += 1
                with contextlib.suppress(StoreUnavailable):
                    note.push(number=number)
                    acknowledged.append(number)

        with working(scheduler, lease=timedelta(seconds=2)):
            producing = background(produce)
            eventually(lambda: len(ran) > 20)
            killed = watched.kill_primary()
            before = len(acknowledged)
            killed.start()
            eventually(lambda: len(acknowledged) > before + 20)
            stop.set()
            producing.result(PATIENCE)
            eventually(lambda: set(acknowledged) <= ran)
        assert max(acknowledged) > before
        scheduler._store.erase()


@pytest.mark.slow
def test_what_no_replica_has_does_not_count_where_that_was_asked_for(watched, connect):
    store = connect(f"{watched.url}?wait=1")
    replica = next(server for server in watched.data if server is not watched.primary)
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable, match=r"0 replica\(s\) have"):
            store.push([job("one")])
        with contextlib.suppress(UnicodeEncodeError):
            store._server.run_all(("now",), ("now",), ("now", "\ud800"))  # three, of which none is sent
        with pytest.raises(StoreUnavailable, match=r"0 replica\(s\) have"):
            store.push([job("one")])
        with pytest.raises(DriverError, match=r"0 replica\(s\) have"):
            in_one_trip(store, "return 1", "return 2")
    finally:
        os.kill(replica.pid, signal.SIGCONT)
    assert in_one_trip(store, "return 1", "return 2") == [1, 2]
    assert insist(lambda: store.push([job("one")])) == ["one"]
    assert sorted(ids(gather(store, hire(store)))) == ["one"]


@pytest.mark.slow
def test_workers_go_on_where_a_primary_is_full_and_replicas_are_asked(watched, connect):
    store = connect(f"{watched.url}?wait=1")
    worker = hire(store)
    store.push([job("one")])
    primary = watched.primary
    primary.call("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(StoreError, match="maxmemory"):
            store.push([job("two")])
        (claim,) = store.claim("default", worker, 1, 0)
        assert store.claim("default", worker, 1, 0.3) == []
        assert store.settle(worker, [Outcome.done(claim)]) == ["one"]
    finally:
        primary.call("CONFIG", "SET", "maxmemory", "0")
    assert store.push([job("two")]) == ["two"]


def in_one_trip(store: Store, *scripts: str) -> list[int]:
    pool = store._server.client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands([("EVAL", script, 0) for script in scripts]))
        return [connection.read_response() for _ in scripts]
    finally:
        connection.disconnect()
        pool.release(connection)


# Cluster


@pytest.mark.slow
def test_the_open_store_follows_a_failover_within_the_cluster(cluster, connect):
    store = connect(cluster.url)

    def fail_over() -> None:
        before = cluster.holder(key(store))
        cluster.replica_of(before).call("CLUSTER", "FAILOVER")
        eventually(lambda: cluster.holder(key(store)) is not before)

    follows(store, fail_over)


def key(store: Store) -> str:
    return f"{store._tag}:schema"


def test_a_slot_that_moves_is_away_until_it_has_moved(cluster, connect):
    """Scripts name a key that never exists, so that neither side runs one while it has a part of the keys."""
    store = connect(cluster.url)
    worker, held = take(store, *jobs(10, "held"))
    store.push(jobs(10, "job", queue="others"))
    source = cluster.holder(key(store))
    target = next(server for server in cluster.servers[:3] if server is not source and cluster.leads(server))
    slot = source.call("CLUSTER", "KEYSLOT", key(store))
    with cluster.moving(slot, source, target) as move_some:
        while move_some():
            for call in (lambda: store.push([job("new")]), lambda: store.claim("others", worker, 1, 0)):
                with pytest.raises(StoreUnavailable):
                    call()
    assert insist(lambda: store.push([job("new")])) == ["new"]
    assert store.settle(worker, [Outcome.done(claim) for claim in held]) == ids(held)
    assert sorted(ids(gather(store, worker, "others"))) == sorted(ids(jobs(10, "job")))
    assert state(store, "new") is State.READY
    assert cluster.holder(key(store)) is target


def test_a_node_of_a_cluster_sends_those_away_who_take_it_for_a_server(redis_cluster, connect):
    holder = redis_cluster.holder("{one}")
    other = next(server for server in redis_cluster.servers if server is not holder and redis_cluster.leads(server))
    connect(holder.url, "one").push([job()])
    with pytest.raises(StoreUnavailable, match="Moved"):
        connect(other.url, "one")


def test_a_server_without_a_cluster_is_none(redis_url, connect):
    with pytest.raises(StoreError, match="cluster support disabled"):
        connect(redis_url.replace("redis://", "redis+cluster://"))


# TLS


def test_a_server_is_reached_by_tls_and_its_certificate_is_checked(redis_server, connect, tmp_path):
    certificate = self_signed(tmp_path)
    with contextlib.closing(Encrypted(redis_server.port, certificate)) as end:
        url = f"rediss://localhost:{end.port}/0"
        store = connect(f"{url}?ssl_ca_certs={certificate.cert}")
        worker = hire(store)
        waiting = background(lambda: store.claim("default", worker, 1, PATIENCE))
        store.push([job("one")])
        assert ids(waiting.result(LATE)) == ["one"]
        with pytest.raises(StoreUnavailable, match="certificate"):
            connect(url)
        with pytest.raises(StoreUnavailable, match="certificate"):
            connect(f"rediss+cluster://localhost:{end.port}")
        store.erase()
