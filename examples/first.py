"""The first job: push it, run it, read what it returned. No server: the jobs are in the file jobs.db."""

from datetime import timedelta

from goscheds import Scheduler, Worker

scheduler = Scheduler("sqlite:///jobs.db")


@scheduler.job
def greet(name: str) -> str:
    return f"Hello, {name}!"


if __name__ == "__main__":
    now = greet.push(name="world")
    soon = greet.push_in(timedelta(milliseconds=50), name="future")
    Worker(scheduler).drain()  # run what is due, then return; .run() serves for ever
    print(scheduler.result(now))
    print(scheduler.get(soon).state)  # scheduled, or done if it became due in time
