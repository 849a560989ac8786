"""The bare loop of each driver: what a queue on this store could reach if it did nothing but move jobs.

A job is pushed with one round trip, or a thousand in one; a hundred are claimed in one step, nothing is run, and the
hundred are acknowledged in another. No leases, fences, priorities, schedules, counts or records kept: the limit that
goscheds is compared with.

How soon a job starts on it at best is told by ``promptness.py``.

    python benchmarks/bare.py redis://localhost:6379/0 --jobs 20000
"""

from __future__ import annotations

import argparse
import secrets
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import psycopg
import redis

CLAIM, BULK = 100, 1_000
GLANCE = 0.001
"""Seconds between looks, where nobody tells of a push."""
PAYLOAD = b'{"v":1,"args":{"n":12345}}'


class Bare(ABC):
    """A queue in a table or a list of its own; with a name, one that another process has made."""

    @abstractmethod
    def push(self, ids: Sequence[int]) -> None:
        """Store jobs in one round trip."""

    @abstractmethod
    def claim(self) -> list[int]:
        """Take up to a hundred, their payloads with them."""

    @abstractmethod
    def acknowledge(self, ids: list[int]) -> None:
        """Forget them."""

    def tell(self, id: int) -> None:
        """Push one job, and let a process that waits know of it."""
        self.push([id])

    @abstractmethod
    def wait(self) -> list[int]:
        """Claim what there is, or else wait for it without asking again and again, if the driver can."""

    @abstractmethod
    def close(self) -> None:
        """Delete everything."""


class BareRedis(Bare):
    """A list of ids, a list of those taken, and a hash for each job."""

    CLAIM = """
    local rows = {}
    for i = 1, ARGV[1] do
      local id = redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
      if not id then break end
      rows[#rows + 1] = id
      rows[#rows + 1] = redis.call('HGET', KEYS[1] .. id, 'payload')
    end
    return rows"""
    ACKNOWLEDGE = """
    for i, id in ipairs(ARGV) do
      redis.call('LREM', KEYS[2], 1, id)
      redis.call('UNLINK', KEYS[1] .. id)
    end"""

    def __init__(self, url: str, name: str = "") -> None:
        self._client = redis.Redis.from_url(url, protocol=2)
        self.name = name or f"{{bare-{secrets.token_hex(4)}}}"
        self._keys = [self.name, f"{self.name}active"]
        self._claim = self._client.register_script(self.CLAIM)
        self._acknowledge = self._client.register_script(self.ACKNOWLEDGE)

    def push(self, ids: Sequence[int]) -> None:
        """One job: its list entry and its hash in a pipeline; many: the same, longer."""
        pipe = self._client.pipeline(transaction=False)
        for id in ids:
            pipe.hset(f"{self._keys[0]}{id}", "payload", PAYLOAD)
        pipe.rpush(self._keys[0], *ids)
        pipe.execute()

    def claim(self) -> list[int]:
        """One script."""
        rows = self._claim(keys=self._keys, args=[CLAIM])
        return [int(id) for id in rows[::2]]

    def acknowledge(self, ids: list[int]) -> None:
        """One script."""
        self._acknowledge(keys=self._keys, args=ids)

    def wait(self) -> list[int]:
        """A blocking pop; the job's hash is not asked for, and there is no list of those taken."""
        popped = self._client.blpop(self._keys[:1])
        return [int(popped[1])]

    def close(self) -> None:
        """Nothing is left but what was not drained."""
        while ids := self.claim():
            self.acknowledge(ids)
        self._client.close()


class BarePostgres(Bare):
    """A table, claimed by SKIP LOCKED; each step one transaction."""

    def __init__(self, url: str, name: str = "") -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self.name = self._table = name or f"bare_{secrets.token_hex(4)}"
        if name:
            self._connection.execute(f"LISTEN {name}")
            return
        self._connection.execute(
            f"CREATE TABLE {self._table} "
            "(id bigint PRIMARY KEY, payload bytea NOT NULL, taken bool NOT NULL DEFAULT false)"
        )
        self._connection.execute(f"CREATE INDEX ON {self._table} (id) WHERE NOT taken")

    def push(self, ids: Sequence[int]) -> None:
        """One job: an INSERT; many: an INSERT over an unnested array."""
        if len(ids) == 1:
            self._connection.execute(f"INSERT INTO {self._table} (id, payload) VALUES (%s, %s)", (ids[0], PAYLOAD))
        else:
            insert = f"INSERT INTO {self._table} (id, payload) SELECT * FROM unnest(%s::bigint[], %s::bytea[])"
            self._connection.execute(insert, (list(ids), [PAYLOAD] * len(ids)))

    def claim(self) -> list[int]:
        """One statement."""
        rows = self._connection.execute(
            f"""
            WITH next AS (
                SELECT id FROM {self._table} WHERE NOT taken ORDER BY id LIMIT {CLAIM} FOR UPDATE SKIP LOCKED
            )
            UPDATE {self._table} job SET taken = true FROM next WHERE job.id = next.id RETURNING job.id, job.payload
            """
        )
        return [id for id, _ in rows]

    def acknowledge(self, ids: list[int]) -> None:
        """One statement."""
        self._connection.execute(f"DELETE FROM {self._table} WHERE id = ANY(%s)", (ids,))

    def tell(self, id: int) -> None:
        """One statement, and so one commit; without anybody who listens, a notification costs the server little."""
        insert = f"INSERT INTO {self._table} (id, payload) VALUES (%s, %s) RETURNING pg_notify('{self.name}', '')"
        self._connection.execute(insert, (id, PAYLOAD))

    def wait(self) -> list[int]:
        """LISTEN and the claim on one connection."""
        while not (ids := self.claim()):
            next(self._connection.notifies(stop_after=1))
        return ids

    def close(self) -> None:
        """Drop the table."""
        self._connection.execute(f"DROP TABLE {self._table}")
        self._connection.close()


class BareSqlite(Bare):
    """A table in WAL mode, ``synchronous=NORMAL`` as goscheds has it by default."""

    def __init__(self, url: str, name: str = "") -> None:
        path = urlsplit(url).path.removeprefix("/")
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self.name = self._table = name or f"bare_{secrets.token_hex(4)}"
        if name:
            return
        self._connection.execute(f"CREATE TABLE {self._table} (id INTEGER PRIMARY KEY, payload BLOB, taken INTEGER)")
        self._connection.execute(f"CREATE INDEX {self._table}_ready ON {self._table} (id) WHERE taken = 0")

    def push(self, ids: Sequence[int]) -> None:
        """One transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(f"INSERT INTO {self._table} VALUES (?, ?, 0)", [(id, PAYLOAD) for id in ids])
        self._connection.execute("COMMIT")

    def claim(self) -> list[int]:
        """One transaction."""
        rows = self._connection.execute(
            f"UPDATE {self._table} SET taken = 1 WHERE id IN "
            f"(SELECT id FROM {self._table} WHERE taken = 0 ORDER BY id LIMIT {CLAIM}) RETURNING id, payload"
        ).fetchall()
        return [id for id, _ in rows]

    def acknowledge(self, ids: list[int]) -> None:
        """One transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(f"DELETE FROM {self._table} WHERE id = ?", [(id,) for id in ids])
        self._connection.execute("COMMIT")

    def wait(self) -> list[int]:
        """By asking again and again: SQLite tells no other process of a commit."""
        while not (ids := self.claim()):
            time.sleep(GLANCE)
        return ids

    def close(self) -> None:
        """Drop the table."""
        self._connection.execute(f"DROP TABLE {self._table}")
        self._connection.close()


KINDS: dict[str, Callable[..., Bare]] = {"redis": BareRedis, "postgresql": BarePostgres, "sqlite": BareSqlite}


def connect(url: str, name: str = "") -> Bare:
    """The bare queue of a URL's store."""
    return KINDS[urlsplit(url).scheme](url, name)


def enqueue(url: str, jobs: int) -> float:
    """Jobs a second, pushed one by one."""
    return _rate(url, jobs, lambda bare: [bare.push([n]) for n in range(jobs)])


def bulk(url: str, jobs: int) -> float:
    """Jobs a second, pushed a thousand at once."""
    return _rate(url, jobs, lambda bare: _fill(bare, jobs))


def drain(url: str, jobs: int) -> float:
    """Jobs a second, claimed and acknowledged a hundred at once."""
    return _rate(url, jobs, _empty, lambda bare: _fill(bare, jobs))


def _rate(
    url: str, jobs: int, work: Callable[[Bare], object], before: Callable[[Bare], object] = lambda _: None
) -> float:
    bare = connect(url)
    try:
        before(bare)
        began = time.perf_counter()
        work(bare)
        return jobs / (time.perf_counter() - began)
    finally:
        bare.close()


def _fill(bare: Bare, jobs: int) -> None:
    for first in range(0, jobs, BULK):
        bare.push(range(first, min(first + BULK, jobs)))


def _empty(bare: Bare) -> None:
    while ids := bare.claim():
        bare.acknowledge(ids)


def main() -> None:
    """Print the three rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--jobs", type=int, default=20_000)
    told = parser.parse_args()
    for measure in (enqueue, bulk, drain):
        print(f"{measure.__name__:8} {measure(told.url, told.jobs):10,.0f} jobs/s")


if __name__ == "__main__":
    main()
