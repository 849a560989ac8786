"""Who is measured: the peers of each store, what they are installed from, and what is known of them beforehand."""

from __future__ import annotations

from dataclasses import dataclass

OURS, BARE = "goscheds", "bare loop"
STORES = ("redis", "postgres", "sqlite", "memory")
STYLES = ("sync", "async")


@dataclass(frozen=True)
class Peer:
    """A rival on one store. ``pins`` names the file of its requirements, and its environment."""

    name: str
    store: str
    adapter: str
    pins: str
    styles: tuple[str, ...] = STYLES
    python: str = "3.11"  # at least
    remark: str = ""  # what its rates are to be read with


NO_ACK = "takes a job off before it runs it, and so loses it with its worker"
WHOLE = "counts in whole seconds"

PEERS = (
    Peer("huey", "redis", "huey_any", "huey", ("sync",), remark=NO_ACK),
    Peer("dramatiq", "redis", "dramatiq_redis", "dramatiq"),
    Peer("taskiq", "redis", "taskiq_redis_stream", "taskiq", remark="a stream; keeps no record of a job"),
    Peer("RQ", "redis", "rq_redis", "rq", ("sync",), remark=WHOLE),
    Peer("Celery", "redis", "celery_redis", "celery", ("sync",), remark="keeps scheduled jobs in one worker's memory"),
    Peer("arq", "redis", "arq_redis", "arq", ("async",)),
    Peer("SAQ", "redis", "saq_any", "saq", remark=WHOLE),
    Peer("streaQ", "redis", "streaq_redis", "streaq"),
    Peer("BullMQ", "redis", "bullmq_any", "bullmq", ("async",)),
    Peer("pgqueuer", "postgres", "pgqueuer_postgres", "pgqueuer", ("async",)),
    Peer("procrastinate", "postgres", "procrastinate_postgres", "procrastinate"),
    Peer("Oban", "postgres", "oban_postgres", "oban", ("async",), "3.12"),
    Peer("chancy", "postgres", "chancy_postgres", "chancy"),
    Peer("awa", "postgres", "awa_postgres", "awa", ("async",)),
    Peer("BullMQ", "postgres", "bullmq_any", "bullmq", ("async",)),
    Peer("huey", "sqlite", "huey_any", "huey", ("sync",), remark=NO_ACK),
    Peer(
        "APScheduler", "memory", "apscheduler_memory", "apscheduler", ("sync",), remark="timers in one process's memory"
    ),
)
