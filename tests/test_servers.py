"""The servers of the tests: every route to one, and what a test may do to its own."""

from __future__ import annotations

import psycopg
import redis


def test_the_shared_servers_answer(redis_url, valkey_url, postgres_url):
    for url in (redis_url, valkey_url):
        with redis.Redis.from_url(url) as client:
            assert client.ping()
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_killed_redis_keeps_what_its_log_has(private_redis):
    server = private_redis(aof="always")
    with redis.Redis.from_url(server.url) as client:
        client.set("a", "1")
    server.kill()
    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.get("a") == b"1"


def test_a_killed_postgres_keeps_what_was_committed(private_postgres):
    server = private_postgres()
    with psycopg.connect(server.url) as connection:
        connection.execute("create table kept as select 7 as number")
        connection.commit()
        server.kill()
    server.start()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("select number from kept").fetchone() == (7,)
