"""Copies of jobs that the library stored, made in the server: ten million are there in minutes.

A copy has another id and place in line, a scheduled one another moment, a done one another end. All that goes with it
(indexes, the tallies of SQL, Redis's counts and lines) is written as by the push, claim and settle of the job copied.
"""

from __future__ import annotations

import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from goscheds.bench.stock import SPREAD
from goscheds.job import new_id
from goscheds.record import State

SEEDS = 1_000
"""How many jobs are copied, by turns: what one push in bulk stored."""
CHUNK = 200
"""Turns a transaction."""
PIECE = 10_000
"""Jobs a script."""
STEP = {State.READY: 0, State.SCHEDULED: SEEDS * SPREAD, State.DONE: 100_000}
"""Microseconds between a job and its next copy. No more than a batch became done at one instant: a page sorts those."""
LATER = {State.SCHEDULED: "execute_at", State.DONE: "changed_at"}
"""The moment that is not the same in a copy."""
NUMBERS = {State.SCHEDULED: 0, State.READY: 1, State.DONE: 3}
"""The states, as SQL stores number them (portable.sql)."""


class Copier(Protocol):
    """A namespace in a store's database."""

    def copy(self, state: State, queue: str, count: int) -> None:
        """Make so many copies, in whole turns, of the ``SEEDS`` jobs that alone are in a state, in a queue."""

    def held(self, state: State, queue: str) -> int:
        """How many jobs there are, by what holds them, not by what counts them."""

    def settle_down(self) -> None:
        """Do now what is done by the side where jobs come slowly."""


def copier(url: str, namespace: str) -> Copier:
    """That of a URL."""
    kinds: dict[str, type[Redis | Postgres | Sqlite]] = {"redis": Redis, "postgresql": Postgres, "sqlite": Sqlite}
    return kinds[urlsplit(url).scheme](url, namespace)


def _pieces(count: int) -> Iterator[tuple[int, int]]:
    """The turns from one on: first and last of each transaction."""
    for first in range(1, count // SEEDS + 1, CHUNK):
        yield first, min(first + CHUNK - 1, count // SEEDS)


def _columns(names: list[str], state: State, changed: dict[str, str]) -> dict[str, str]:
    """What is inserted, for `format`."""
    if later := LATER.get(state):
        changed = {**changed, later: f"{later} + CAST(n AS bigint) * {STEP[state]}"}
    return {"columns": ", ".join(names), "values": ", ".join(changed.get(name, name) for name in names)}


class Sql(ABC):
    """A table of jobs."""

    JOBS = """
    SELECT {what} FROM goscheds_jobs WHERE ns = (SELECT ns FROM goscheds_namespaces WHERE name = '{namespace}')
        AND state = {state} AND queue = '{queue}'
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def held(self, state: State, queue: str) -> int:
        """The rows."""
        with self._open() as connection:
            return int(connection.execute(self._jobs("count(*)", state, queue)).fetchone()[0])

    def _jobs(self, what: str, state: State, queue: str) -> str:
        return self.JOBS.format(what=what, namespace=self._namespace, state=NUMBERS[state], queue=queue)

    @abstractmethod
    def _open(self) -> Any:
        """A connection, closed at the end of a with statement."""


class Postgres(Sql):
    """Vacuumed and analyzed afterwards."""

    INSERT = """
    WITH turns AS MATERIALIZED (
        SELECT n, nextval('goscheds_seq') * 1000000 AS batch,
            lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS h
        FROM generate_series({first}, {last}) AS n
    )
    INSERT INTO goscheds_jobs ({columns}) SELECT {values} FROM turns CROSS JOIN seeds ORDER BY n, seq
    """
    ID = "substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || substr(gen_random_uuid()::text, 16)"
    TALLY = """
    INSERT INTO goscheds_tally (jobs, ns, state, queue)
    SELECT count(*) * ({last} - {first} + 1), ns, state, queue FROM seeds GROUP BY ns, state, queue
    """

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__(namespace)
        self._url = url

    def copy(self, state: State, queue: str, count: int) -> None:
        """Insert, and tell the tally."""
        with self._open() as connection:
            connection.execute(f"CREATE TEMP TABLE seeds AS {self._jobs('*', state, queue)}")
            names = [column.name for column in connection.execute("SELECT * FROM seeds LIMIT 0").description]
            columns = _columns(names, state, {"id": self.ID, "seq": "batch + seq % 1000000"})
            for first, last in _pieces(count):
                connection.execute(self.INSERT.format(first=first, last=last, **columns))
                connection.execute(self.TALLY.format(first=first, last=last))

    def settle_down(self) -> None:
        """As autovacuum would."""
        with self._open() as connection:
            connection.execute("VACUUM (ANALYZE) goscheds_jobs, goscheds_tally")
            connection.execute("CHECKPOINT")

    def _open(self) -> Any:
        import psycopg

        return psycopg.connect(self._url, autocommit=True)


class Sqlite(Sql):
    """The file is as large as it was while it was written."""

    INSERT = """
    WITH turns (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM turns WHERE n < {last})
    INSERT INTO goscheds_jobs ({columns}) SELECT {values} FROM turns CROSS JOIN seeds
    """
    TALLY = """
    UPDATE goscheds_tally SET jobs = jobs + :count
    WHERE ns = (SELECT ns FROM goscheds_namespaces WHERE name = :name)
        AND (queue = :queue AND state = :state OR queue = '' AND state = -1)
    """
    CACHE = "PRAGMA cache_size = -500000"

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__(namespace)
        self._path = urlsplit(url).path.removeprefix("/")

    def copy(self, state: State, queue: str, count: int) -> None:
        """Insert, tell the tally, and have the line go on behind."""
        with self._open() as connection:
            connection.create_function("new_id", 0, new_id)
            connection.execute(self.CACHE)
            connection.execute(f"CREATE TEMP TABLE seeds AS {self._jobs('*', state, queue)} ORDER BY seq")
            names = [row[1] for row in connection.execute("PRAGMA table_info(goscheds_jobs)")]
            columns = _columns(names, state, {"id": "new_id()", "seq": f"seq + n * {SEEDS}"})
            for first, last in _pieces(count):
                connection.execute(self.INSERT.format(first=first, last=last, **columns))
            connection.execute(
                self.TALLY, {"count": count, "queue": queue, "state": NUMBERS[state], "name": self._namespace}
            )

    def settle_down(self) -> None:
        """Write the log into the file."""
        with self._open() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _open(self) -> closing[sqlite3.Connection]:
        return closing(sqlite3.connect(self._path, isolation_level=None))


class Redis:
    """Its log is rewritten afterwards, and its table of keys has grown."""

    # ARGV: state, queue, numbers of the first and last copy, microseconds to a job's next one, the milliseconds now.
    # Of a job (constants.lua) bytes 11 to 18 are when it changed, 23 to 30 its moment, 31 to 46 its place.
    SCRIPT = """
    local state, queue, first, last = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
    local step, clock = tonumber(ARGV[5]), tonumber(ARGV[6])
    local prefix, call, sub = KEYS[1] .. ':', redis.call, string.sub
    local line = state == 'ready' and prefix .. 'queue:0:' .. queue or prefix .. state
    local seeds = state == 'ready' and call('LRANGE', line, 0, 999) or call('ZRANGE', line, 0, 999)
    local values, size = {}, #seeds
    for i, ticket in ipairs(seeds) do values[i] = call('GET', prefix .. 'job:' .. sub(ticket, 17)) end
    local n = last - first + 1
    local place = call('INCRBY', prefix .. 'back', n) - n
    local time = string.format('%012x', clock)
    time = sub(time, 1, 8) .. '-' .. sub(time, 9, 12)
    local jobs, tickets = {}, {}
    for number = first, last do
      local value, turn = values[number % size + 1], math.floor(number / size) + 1
      local id = string.format('%s-7%03x-%04x-%012x', time, number % 4096, 32768 + math.random(0, 16383), number)
      local changed, worker, due = struct.unpack('>I8I4I8', value, 11)
      if state == 'done' then changed = changed + turn * step else due = due + turn * step end
      local at = '40' .. 10000000000000 + place + number - first + 1
      local head = sub(value, 1, 10) .. struct.pack('>I8I4I8', changed, worker, due) .. at
      jobs[#jobs + 1], jobs[#jobs + 2] = prefix .. 'job:' .. id, head .. sub(value, 47)
      if state ~= 'ready' then tickets[#tickets + 1] = state == 'done' and changed or due end
      tickets[#tickets + 1] = at .. id
      if #jobs == 2000 or number == last then
        call('MSET', unpack(jobs))
        call(state == 'ready' and 'RPUSH' or 'ZADD', line, unpack(tickets))
        jobs, tickets = {}, {}
      end
    end
    call('HINCRBY', prefix .. 'counts', state .. ':' .. queue, n)
    """
    OFTEN = "auto-aof-rewrite-percentage"

    def __init__(self, url: str, namespace: str) -> None:
        self._url, self._tag = url, f"{{{namespace}}}"

    def copy(self, state: State, queue: str, count: int) -> None:
        """Run the script; the log is not rewritten meanwhile, which, a dozen times, would take longer than the rest."""
        with self._open() as client:
            script, often = client.register_script(self.SCRIPT), client.config_get(self.OFTEN)[self.OFTEN]
            client.config_set(self.OFTEN, 0)
            for first in range(0, count, PIECE):
                last = min(first + PIECE, count) - 1
                script([self._tag], [state.value, queue, first, last, STEP[state], time.time_ns() // 1_000_000])
            client.config_set(self.OFTEN, often)

    def held(self, state: State, queue: str) -> int:
        """The tickets."""
        with self._open() as client:
            if state is State.READY:
                return int(client.llen(f"{self._tag}:queue:0:{queue}"))
            return int(client.zcard(f"{self._tag}:{state.value}"))

    def settle_down(self) -> None:
        """Have the log rewritten, if it is not about to be, and wait until it is; likewise the table of keys.

        Which the server moves to a larger one at each command a little, and a hundredth of the time besides: minutes.
        Until then it looks into both.
        """
        import redis

        with self._open() as client:
            with suppress(redis.ResponseError):  # it is being rewritten, as large as it has become
                client.bgrewriteaof()
            while any(
                client.info("persistence")[name] for name in ("aof_rewrite_in_progress", "aof_rewrite_scheduled")
            ):
                time.sleep(0.2)
            often = client.config_get("hz")["hz"]
            client.config_set("hz", 500)
            while client.info("memory").get("mem_overhead_db_hashtable_rehashing"):  # since Redis 7.4
                time.sleep(0.2)
            client.config_set("hz", often)

    def _open(self) -> Any:
        import redis

        return redis.Redis.from_url(self._url)
