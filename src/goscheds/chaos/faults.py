"""The faults that can be brought about from outside a store: on its clients' processes, and on their connections."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

from goscheds.chaos.crowd import Crowd, Member
from goscheds.chaos.proxy import Proxy

Fault = Callable[[int], AbstractContextManager[str]]
"""Brings a fault about, until it is left; ``which`` picks among those it may hit. Its value names what was hit."""

DELAY = 0.2
"""Seconds by which a chunk is held up at most."""


def on_processes(crowd: Crowd) -> dict[str, Fault]:
    """Faults of workers and producers."""

    def any_worker(which: int) -> Member:
        return crowd.workers[which % len(crowd.workers)]

    def any_producer(which: int) -> Member:
        return crowd.producers[which % len(crowd.producers)]

    def anybody(which: int) -> Member:
        members = [*crowd.members()]
        return members[which % len(members)]

    return {
        "kill worker": lambda which: _killed(any_worker(which)),
        "kill duty holder": lambda _: _killed(crowd.leader()),
        "kill producer": lambda which: _killed(any_producer(which)),
        "stop worker": lambda which: _stopped(any_worker(which)),
        "stop duty holder": lambda _: _stopped(crowd.leader()),
        "step clock": lambda which: _stepped(anybody(which)),
        **(_on_supervisors(crowd) if crowd.supervisors else {}),
    }


def _on_supervisors(crowd: Crowd) -> dict[str, Fault]:
    def any_one(which: int) -> Member:
        return crowd.supervisors[which % len(crowd.supervisors)]

    return {
        "kill supervisor": lambda which: _killed(any_one(which)),
        "stop supervisor": lambda which: _stopped(any_one(which)),
        "kill child": lambda which: _child_killed(any_one(which)),
        "replace children": lambda which: _renewed(any_one(which)),
    }


@contextmanager
def _killed(member: Member) -> Iterator[str]:
    member.kill()
    yield member.journal.stem


@contextmanager
def _stopped(member: Member) -> Iterator[str]:
    with suppress(ProcessLookupError):
        member.send(signal.SIGSTOP)
    yield member.journal.stem
    with suppress(ProcessLookupError):
        member.send(signal.SIGCONT)


@contextmanager
def _child_killed(member: Member) -> Iterator[str]:
    """Its newest child: it is there, or was of late; nobody, if none has begun yet."""
    newest = sorted(member.children().items(), key=lambda child: child[1].stat().st_mtime)[-1:]
    for pid, _ in newest:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    yield "".join(journal.stem for _, journal in newest)


@contextmanager
def _renewed(member: Member) -> Iterator[str]:
    member.send(signal.SIGHUP)
    yield member.journal.stem


@contextmanager
def _stepped(member: Member) -> Iterator[str]:
    """Its clock, and those of its children."""
    pids = list(member.children()) or [member.pid]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
    yield member.journal.stem


def on_connections(proxy: Proxy) -> dict[str, Fault]:
    """Faults of the network."""
    calls: Mapping[str, Callable[[], None]] = {
        "cut connections": proxy.cut,
        "half-open connections": proxy.kill,
        "swallow an answer": proxy.swallow,
        "delay": lambda: proxy.delay(DELAY),
        "stall": proxy.stall,
        "refuse connections": proxy.refuse,
    }

    def fault(call: Callable[[], None]) -> Fault:
        @contextmanager
        def happen(which: int) -> Iterator[str]:  # noqa: ARG001 - it hits all connections
            call()
            yield "connections"
            proxy.heal()

        return happen

    return {name: fault(call) for name, call in calls.items()}
