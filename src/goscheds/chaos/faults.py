"""The faults that can be brought about from outside a store: on its clients' processes, and on their connections."""

from __future__ import annotations

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

    return {
        "kill worker": lambda which: _killed(any_worker(which)),
        "kill duty holder": lambda _: _killed(crowd.leader()),
        "kill producer": lambda which: _killed(any_producer(which)),
        "stop worker": lambda which: _stopped(any_worker(which)),
        "stop duty holder": lambda _: _stopped(crowd.leader()),
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
