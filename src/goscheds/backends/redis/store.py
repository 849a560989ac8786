"""Jobs in Redis: every verb is one script, and waiting is done by the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

from redis import Redis

from goscheds.backends.redis import codec
from goscheds.backends.redis.client import PROMPT, check_server, make_client
from goscheds.backends.redis.scripts import TEXTS, Line
from goscheds.backends.redis.waiting import AHEAD, Waiting
from goscheds.errors import SchemaTooNew
from goscheds.foreign import stored
from goscheds.record import LIVE, Claim, Counts, Heartbeat, Move, Outcome, Page, Query, Record, Row, State, WorkerInfo
from goscheds.store import DUTY_LEASE, MAX_BLOCK, Capability
from goscheds.url import flag, redact, split_options

SCHEMA = 1
POLL = 0.2  # seconds between looks where nothing can wake: `wakeups=off`, a paused queue, a worker without a lease
RENEW = DUTY_LEASE * 0.8  # seconds after which the holder of the duties renews them while it waits
REMEMBER = 600.0 + MAX_BLOCK  # seconds a lapsed worker's list is looked into: a stopped one's BLMOVE may still fill it
PULSE = 0.25  # seconds in which a heartbeat is answered, at least; a quarter of the lease if that is longer
BATCH = 1000  # what one command looks at or deletes


class RedisStore:
    """A namespace of jobs in a Redis or Valkey server."""

    capabilities = frozenset({Capability.PROCESSES, Capability.DURABLE, Capability.POLLING})

    def __init__(self, url: str, namespace: str, make: Callable[..., Redis] = make_client) -> None:
        rest, self._options = split_options(url, {"wakeups": "on", "eviction": "refuse"})
        self._wakeups = flag(self._options, "wakeups")
        self._shown = redact(url)
        self._tag = f"{{{namespace}}}"
        self._server = Line(make(rest), self._shown, self._tag)
        # A half-open connection is noticed by the time alone. With the producers' 15 seconds it kept the duties, and so
        # what a killed worker held, as long.
        self._work = Line(make(rest, PROMPT), self._shown, self._tag)
        self._pulse = Line(make(rest), self._shown, self._tag)
        self._waiting = Waiting(self._work.client, self._work.answers, f"{self._tag}:due")
        self.interrupt = self._waiting.interrupt

    def __repr__(self) -> str:
        return f"RedisStore({self._shown!r}, {self._tag[1:-1]!r})"

    def open(self) -> None:
        with self._server:
            check_server(self._server.client, self._shown, self._options["eviction"])
            # One that the server does not know is run after those behind it, and a claim after its settle sees more.
            self._server.client.script_load(TEXTS["settle"])
        if (schema := int(self._server.run("open", SCHEMA))) > SCHEMA:
            raise SchemaTooNew(f"{self!r} has format {schema}; this goscheds knows {SCHEMA}. Install a later one here.")
        self._waiting.closed = self._server.closed = self._work.closed = self._pulse.closed = False

    def close(self) -> None:
        self._waiting.close()
        for line in (self._server, self._work, self._pulse):
            line.closed = True
            line.drop()

    def erase(self) -> None:
        """Delete every key of the namespace."""
        cursor = self._server.run("erase", 0, BATCH)
        while cursor != b"0":
            cursor = self._server.run("erase", cursor, BATCH)

    def work(self) -> dict[str, int]:
        """What the server has done so far, for benchmarks: commands, those inside scripts included, and requests."""
        with self._server:
            stats = self._server.client.info("stats")
        return {"commands": stats["total_commands_processed"], "requests": stats["total_reads_processed"]}

    def now(self) -> int:
        return int(self._server.run("now"))

    def push(self, jobs: Sequence[Record]) -> list[str]:
        ids = self._server.run("push", len(jobs), codec.jobs(jobs))
        return [id.decode("utf-8", "replace") for id in ids] if ids else [job.id for job in jobs]

    def claim(self, queue: str, worker: str, limit: int, timeout: float) -> list[Claim]:
        left, ticket = self._waiting.begin(worker, timeout), b""
        keys = f"{self._tag}:queue:0:{queue}", f"{self._tag}:taken:{worker}"
        while True:
            advice, *found = self._work.run("claim", queue, worker, limit, ticket)
            ticket = b""
            while advice == b"block" and not (found or ticket) and self._wakeups and left() > 0:
                with self._work:
                    behind = self._work.command("claim", queue, worker, limit, b"?")
                    ticket, (advice, *found) = self._waiting.take(worker, left, *keys, behind)
            if found or (left() <= 0 and advice != b"again" and not ticket):
                return codec.claims(*found)
            if advice != b"again" and not ticket:
                self._waiting.rest(left, POLL)

    def settle(self, worker: str, outcomes: Sequence[Outcome]) -> list[str]:
        return _accepted(outcomes, {*self._work.run("settle", worker, codec.outcomes(outcomes))})

    def settle_and_claim(
        self, worker: str, outcomes: Sequence[Outcome], queue: str, limit: int
    ) -> tuple[list[str], list[Claim]]:
        settle, claim = ("settle", worker, codec.outcomes(outcomes)), ("claim", queue, worker, limit, b"")
        refused, (advice, *found) = self._work.run_all(settle, claim)
        claims = codec.claims(*found) if advice != b"again" else self.claim(queue, worker, limit, 0)
        return _accepted(outcomes, {*refused}), claims

    def heartbeat(self, worker: str, lease: float, info: bytes) -> Heartbeat:
        # Half open, one of the other connections fails after 15 seconds: longer than most leases.
        self._pulse.client.connection_pool.connection_kwargs["socket_timeout"] = max(PULSE, lease / 4)
        lapsed, cancel = self._pulse.run("heartbeat", worker, int(lease * 1_000_000), info)
        return Heartbeat(bool(lapsed), tuple(id.decode() for id in cancel))

    def recover(self, worker: str, limit: int) -> list[Claim]:
        return codec.claims(*self._work.run("recover", worker, limit, int(REMEMBER * 1_000_000)))

    def held(self, worker: str) -> list[Claim]:
        return codec.claims(*self._work.run("held", worker))

    def promote(self, worker: str, limit: int, timeout: float) -> int | None:
        left, pause = self._waiting.begin(worker, timeout), RENEW if self._wakeups else POLL
        with self._work, self._waiting.bell() if self._wakeups else nullcontext() as bell:
            while True:
                promoted, micros = self._work.run("promote", worker, limit, int(DUTY_LEASE * 1000))
                due = micros / 1_000_000 if micros >= 0 else MAX_BLOCK  # or until another's duty runs out
                if promoted > 0:
                    return int(promoted)
                last = left() < due  # then there is nothing to look for after this rest
                self._waiting.rest(left, min(pause, due - AHEAD), bell if promoted == 0 else None)
                if last and left() <= 0:
                    return None if promoted < 0 else 0

    def find(self, query: Query) -> Page:
        if query.ids:
            rows = codec.rows(self._server.run("rows", query.queue, query.name, *dict.fromkeys(query.ids)))
            return Page(tuple(row for _, row in rows if row.state in (query.states or State)))
        states = "".join(str(n) for n, state in enumerate(State, 1) if state in (query.states or State))
        scan = min(BATCH, query.limit + 1) if not query.name and not query.queue else BATCH
        after: str | bytes | None = query.after
        listed = list[tuple[str, Row]]()
        while after is not None and len(listed) <= query.limit:
            after, *found = self._server.run("page", after, scan, states, query.queue, query.name)
            listed += codec.rows(found)
        page = listed[: query.limit]
        return Page(tuple(row for _, row in page), page[-1][0] if len(listed) > query.limit else "")

    def counts(self) -> Counts:
        pairs, paused = self._server.run("counts")
        fields = [field.decode().partition(":") for field in pairs[::2]]
        jobs = {(queue, State(state)): int(n) for (state, _, queue), n in zip(fields, pairs[1::2], strict=True)}
        return Counts(jobs, frozenset(queue.decode() for queue in paused))

    def move(self, moves: Sequence[Move]) -> list[State | None]:
        parts = [p for one in moves for p in (stored(one.id), one.verb, one.execute_at, one.delay, one.meta)]
        return [State(state.decode()) if state else None for state in self._server.run("move", *parts)]

    def purge(self, state: State, before: int, limit: int, queue: str = "") -> int:
        purged, over, more = 0, 0, state not in LIVE
        while more and purged < limit:
            deleted, passed = self._server.run("purge", state, before, min(BATCH, limit - purged), queue, over)
            purged, over, more = purged + deleted, over + passed, deleted + passed > 0
        return purged

    def pause(self, queue: str, paused: bool) -> None:
        self._server.run("pause", queue, int(paused))

    def workers(self) -> list[WorkerInfo]:
        return [
            WorkerInfo(id.decode(), int(until), info, held) for id, until, info, held in self._server.run("workers")
        ]


def _accepted(outcomes: Sequence[Outcome], refused: set[int]) -> list[str]:
    """The ids of those outcomes whose numbers, counted from 1, are not among the refused."""
    return [outcome.id for n, outcome in enumerate(outcomes, 1) if n not in refused]
