"""APScheduler 3 with its memory store, for the lateness of timers in one process: producer and worker are one."""

from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler
from notes import note

scheduler = BackgroundScheduler(timezone=UTC)


def start():
    scheduler.start()


def push(n):
    scheduler.add_job(note, args=(n,), misfire_grace_time=None)


def push_at(n, due):
    scheduler.add_job(note, "date", args=(n,), run_date=datetime.fromtimestamp(due, UTC), misfire_grace_time=None)


WORKER = ["python", "-c", "import time; time.sleep(3600)"]
