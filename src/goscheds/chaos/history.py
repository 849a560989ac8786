"""What all processes saw, put together: by job, by worker, and on the store's clock (microseconds)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from goscheds.chaos.journal import (
    Beat,
    Claimed,
    Event,
    Hello,
    Leaving,
    Offer,
    Pushed,
    Pushing,
    Reader,
    Returned,
    Settled,
    Settling,
    Started,
    Struck,
    Taken,
)
from goscheds.record import Row, Verb

GRAIN = 3_000
"""Microseconds that two readings of one clock may differ by: SQLite counts milliseconds, and clocks are slewed."""


class Violation(Struct, frozen=True):
    """A law that did not hold; for one job, or for all if ``id`` is empty."""

    law: str
    id: str
    what: str


@dataclass(slots=True)
class Push:
    """A push of a batch: when it began, and when and how it was answered, if it was."""

    began: int
    jobs: Sequence[Offer]
    ended: int = 0
    ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """A claim as a worker got to know of it."""

    claim: Taken
    worker: str
    source: str  # the journal
    seen: int

    @property
    def fence(self) -> int:
        """Its fence."""
        return self.claim.fence

    @property
    def at(self) -> int:
        """When the store gave it."""
        return self.claim.claimed_at


@dataclass(slots=True)
class Report:
    """An outcome as a worker reported it: when it began, and when and how it was answered, if it was."""

    fence: int
    verb: Verb
    worker: str
    began: int
    ended: int = 0
    accepted: bool = False


@dataclass(slots=True)
class Life:
    """All that is known of a job."""

    offers: list[tuple[Push, Offer]] = field(default_factory=list)
    holdings: list[Holding] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    started: list[tuple[int, int]] = field(default_factory=list)  # when, and the fence
    returned: list[tuple[int, int]] = field(default_factory=list)
    row: Row | None = None  # as the store had it at the end

    @property
    def acknowledged(self) -> int:
        """When a push of it was first answered with its own id; 0 if none was."""
        return min((push.ended for push, offer in self.offers if offer.id in push.ids), default=0)


class History:
    """A run as its processes saw it."""

    def __init__(self, journals: Mapping[str, Iterable[Event]], rows: Iterable[Row], lease: float) -> None:
        self.lease = int(lease * 1_000_000)
        self.lives: defaultdict[str, Life] = defaultdict(Life)
        self.pushes: list[Push] = []
        self.beats: defaultdict[str, list[Beat]] = defaultdict(list)
        self.leavings: dict[str, int] = {}
        self.struck: list[Struck] = []
        events = {source: list(journal) for source, journal in journals.items()}
        hellos = [event for journal in events.values() for event in journal if isinstance(event, Hello)]
        best = min(hellos, key=lambda hello: hello.error, default=Hello(0, 0, 0))
        self._offset = best.offset
        self.tolerance = best.error + GRAIN
        for source, journal in events.items():
            self._enter(source, journal)
        for row in rows:
            self.lives[row.record.id].row = row
        for life in self.lives.values():
            life.holdings.sort(key=lambda holding: (holding.fence, holding.seen))
        self.struck.sort(key=lambda struck: struck.at)

    @classmethod
    def read(cls, folder: Path, rows: Iterable[Row], lease: float) -> History:
        """From the journals in a folder."""
        return cls({path.stem: Reader(path).read() for path in sorted(folder.glob("*.jsonl"))}, rows, lease)

    def clock(self, at: int) -> int:
        """A moment of the monotonic clock, nanoseconds, by the store's clock, microseconds."""
        return at // 1000 + self._offset

    def _enter(self, source: str, journal: Iterable[Event]) -> None:
        pushing: dict[int, Push] = {}
        settling: dict[int, list[tuple[str, Report]]] = {}
        for event in journal:
            match event:
                case Pushing():
                    pushing[event.call] = self._offer(event)
                case Pushed():
                    pushing[event.call].ended, pushing[event.call].ids = self.clock(event.at), event.ids
                case Settling():
                    settling[event.call] = self._report(event)
                case Settled():
                    for id, report in settling[event.call]:
                        report.ended, report.accepted = self.clock(event.at), id in event.ids
                case _:
                    self._note(source, event)

    def _offer(self, event: Pushing) -> Push:
        push = Push(self.clock(event.at), event.jobs)
        self.pushes.append(push)
        for offer in event.jobs:
            self.lives[offer.id].offers.append((push, offer))
        return push

    def _report(self, event: Settling) -> list[tuple[str, Report]]:
        reports = [(end.id, Report(end.fence, end.verb, event.worker, self.clock(event.at))) for end in event.ends]
        for id, report in reports:
            self.lives[id].reports.append(report)
        return reports

    def _note(self, source: str, event: Event) -> None:
        match event:
            case Claimed():
                seen = self.clock(event.at)
                for claim in event.claims:
                    self.lives[claim.id].holdings.append(Holding(claim, event.worker, source, seen))
            case Beat():
                self.beats[event.worker].append(event)
            case Leaving():
                self.leavings[event.worker] = self.clock(event.at)
            case Started():
                self.lives[event.id].started.append((self.clock(event.at), event.fence))
            case Returned():
                self.lives[event.id].returned.append((self.clock(event.at), event.fence))
            case Struck():
                self.struck.append(event)
            case _:
                pass

    def tell(self, id: str) -> Iterator[str]:
        """A job's life, line by line, in seconds from the first push."""
        life = self.lives[id]
        zero = min((push.began for push in self.pushes), default=0)
        lines = [
            *((push.began, f"push begins, due at {offer.execute_at} + {offer.delay}") for push, offer in life.offers),
            *((push.ended, f"push answered {id if id in push.ids else push.ids}") for push, _ in life.offers),
            *(
                (one.at, f"claimed under {one.fence} by {one.worker} ({one.source}) {one.claim.lost}")
                for one in life.holdings
            ),
            *((at, f"handler begins under {fence}") for at, fence in life.started),
            *((at, f"handler ends under {fence}") for at, fence in life.returned),
            *((one.began, f"settle {one.verb} under {one.fence} begins by {one.worker}") for one in life.reports),
            *((one.ended, f"settle {one.verb} under {one.fence} answered {one.accepted}") for one in life.reports),
        ]
        for at, line in sorted(lines):
            yield f"{(at - zero) / 1e6:10.6f} {line}" if at else f"{'never':>10} {line}"
        yield f"{'at last':>10} {life.row and (life.row.state, life.row.fence, life.row.worker)}"
