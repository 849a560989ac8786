"""A store with a job in every state, as a version of goscheds leaves it: made, kept as a file, and put back.

``python tests/samples/sample.py FOLDER`` makes the files of the version that runs it, with servers as the tests find
them. What a released version has left is never made anew.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from goscheds import GiveUp, Job, Retry, RunAgain, Scheduler, State, Worker
from goscheds.backends.sql.statements import script
from goscheds.codec import Meta, encode_meta
from goscheds.job import JobInfo
from goscheds.record import Outcome

NAMESPACE = "sample"
GONE = "worker-that-is-gone"
FOREVER = timedelta(days=365 * 100)
TABLES = ("namespaces", "workers", "paused", "jobs", "tally")
TEXT = "\N{SNOWMAN} \0 \"quoted\" 'twice' \\ \N{PILE OF POO}"


def handlers(scheduler: Scheduler) -> None:
    """What the sample's jobs are run by."""

    @scheduler.job
    def work(number: int, text: str = "") -> dict[str, Any]:
        return {"number": number, "text": text}

    @scheduler.job(queue="other")
    def fail(how: str) -> None:
        if how == "for good":
            raise GiveUp(TEXT)
        raise RunAgain(after=FOREVER, reason=TEXT)


def fill(url: str) -> None:
    """Leave a job in every state."""
    with Scheduler(url, NAMESPACE) as scheduler:
        handlers(scheduler)
        scheduler.push(Job("work", {"number": 1, "text": TEXT}, id="done"))
        scheduler.push(Job("fail", {"how": "for good"}, id="dead", queue="other"))
        scheduler.push(Job("fail", {"how": "once"}, id="retried", queue="other", retry=Retry(3)))
        Worker(scheduler).drain()
        _hold(scheduler)
        for id in ("ready", "ready-too"):
            scheduler.push(Job("work", {"number": 2**53, "text": TEXT}, id=id, queue="default"))
        scheduler.push(Job("work", {"number": 3}, id="ready-first", priority=7, unique_key="key"))
        scheduler.push(Job("work", {"number": 4}, id="cancelled", unique_key="another"))
        scheduler.cancel("cancelled")
        scheduler.push_scheduled(
            Job("work", {"number": 5}, id="scheduled", execute_at=datetime(2199, 1, 1, tzinfo=UTC))
        )
        scheduler.push_in(timedelta(seconds=1), Job("work", {"number": 6}, id="due"))
        scheduler.push(Job("work", {"number": 7}, id="paused", queue="quiet"))
        scheduler.pause("quiet")


def _hold(scheduler: Scheduler) -> None:
    """Jobs in the hands of a worker that never speaks again, after one that it has ended."""
    store = scheduler.store
    store.heartbeat(GONE, 2.0, b"{}")
    scheduler.push(Job("fail", {"how": "by hand"}, id="dead-traced", queue="held"))
    (claim,) = store.claim("held", GONE, 1, 0)
    account = Meta(20, 1, error="ValueError: no", trace=f"Traceback (most recent call last):\n{TEXT}")
    store.settle(GONE, [Outcome.dead(claim, encode_meta(account))])
    scheduler.push(Job("work", {"number": 8}, id="active", queue="held"))
    scheduler.push(Job("work", {"number": 9}, id="active-timed", queue="held", timeout=timedelta(seconds=1)))
    scheduler.push(Job("work", {"number": 10}, id="active-cancelling", queue="held"))
    assert len(store.claim("held", GONE, 10, 0)) == 3
    scheduler.cancel("active-cancelling")


def told(infos: Iterable[JobInfo]) -> dict[str, dict[str, Any]]:
    """What is known of each job, but for the moments."""
    return {
        info.id: {
            "name": info.job.name,
            "queue": info.job.queue,
            "args": info.job.args,
            "priority": info.job.priority,
            "timeout": info.job.timeout and info.job.timeout.total_seconds(),
            "max_attempts": info.job.retry.max_attempts,
            "unique_key": info.job.unique_key,
            "state": str(info.state),
            "fence": info.fence,
            "worker": info.worker if info.state is State.ACTIVE else "",
            "attempts": info.attempts,
            "crashes": info.crashes,
            "error": info.error,
            "traced": bool(info.trace),
            "result": info.result,
            "cancelling": info.cancelling,
        }
        for info in infos
    }


def save_redis(url: str, path: Path) -> None:
    """Every key, by its type: what DUMP gives, an older server can't read. Bytes are written as Latin-1."""
    with redis.Redis.from_url(url, encoding="latin-1", decode_responses=True) as client:
        keys = sorted(key for key in client.scan_iter(f"{{{NAMESPACE}}}:*") if client.ttl(key) < 0)
        path.write_text(json.dumps({key: _read(client, key) for key in keys}, indent=1) + "\n")


def _read(client: Any, key: str) -> dict[str, Any]:
    match client.type(key):
        case "string":
            return {"SET": [client.get(key)]}
        case "list":
            return {"RPUSH": client.lrange(key, 0, -1)}
        case "set":
            return {"SADD": sorted(client.smembers(key))}
        case "hash":
            return {"HSET": [word for pair in sorted(client.hgetall(key).items()) for word in pair]}
        case "zset":
            scored = client.zrange(key, 0, -1, withscores=True)
            return {"ZADD": [word for member, score in scored for word in (f"{score:.0f}", member)]}
        case other:
            raise TypeError(f"{key} is a {other}")


def load_redis(url: str, path: Path) -> None:
    """Put the keys back."""
    with redis.Redis.from_url(url) as client:
        for key, commands in json.loads(path.read_text()).items():
            for command, words in commands.items():
                client.execute_command(command, *(word.encode("latin-1") for word in (key, *words)))


def save_postgres(url: str, path: Path) -> None:
    """The tables, their rows, and where the sequences stand."""
    lines = [f"{statement};" for statement in script("postgres", 1)]
    with closing(psycopg.connect(url)) as connection:
        for table in TABLES:
            with connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(f"goscheds_{table}"))) as rows:
                names = [column.name for column in rows.description or ()]
                insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({});")
                for row in rows:
                    values = sql.SQL(", ").join(map(sql.Literal, row))
                    columns = sql.SQL(", ").join(map(sql.Identifier, names))
                    statement = insert.format(sql.Identifier(f"goscheds_{table}"), columns, values)
                    lines.append(statement.as_string(connection))
        for sequence in ("goscheds_seq", "goscheds_namespaces_ns_seq"):
            (last,) = connection.execute(
                sql.SQL("SELECT last_value FROM {}").format(sql.Identifier(sequence))
            ).fetchone()
            lines.append(f"SELECT setval('{sequence}', {last});")
    path.write_text("\n".join(lines) + "\n")


def load_postgres(url: str, path: Path) -> None:
    """Make the tables in a database that has none."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(path.read_text())


def load_sqlite(path: Path, folder: Path) -> str:
    """A copy of the file; its URL."""
    return f"sqlite:///{shutil.copy(path, folder)}"


def database(url: str, name: str) -> str:
    """A new database of a server; its URL."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def main() -> None:
    """Make the sample of this version."""
    from servers import find, launch  # noqa: PLC0415 - found by the path that was set above

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jobs.db").unlink(missing_ok=True)
    servers = [launch(find(server, private=True)) for server in ("redis", "postgres")]
    try:
        cached, base = servers[0].url, database(servers[1].url, "sample")
        lite = f"sqlite:///{folder}/jobs.db"
        seen = []
        for url in (lite, cached, base):
            fill(url)
            with Scheduler(url, NAMESPACE) as scheduler:
                seen.append(told(scheduler.jobs()))
        assert seen[0] == seen[1] == seen[2], seen
        (folder / "jobs.json").write_text(json.dumps(seen[0], indent=1, sort_keys=True) + "\n")
        save_redis(cached, folder / "redis.json")
        save_postgres(base, folder / "postgres.sql")
    finally:
        for server in servers:
            server.remove()


if __name__ == "__main__":
    main()
