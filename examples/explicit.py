"""The explicit style: jobs are values, handlers are registered by name and take the Job.

Whoever pushes need not import the handlers, so producer and worker can be separate programs.
"""

from datetime import timedelta

from goscheds import GiveUp, Job, Retry, RunAgain, Scheduler, Worker

scheduler = Scheduler("sqlite:///jobs.db", namespace="explicit")


def resize(job: Job) -> str:
    if job.args["width"] <= 0:
        raise GiveUp("a picture has a width")  # dead at once: no retry can help
    return f"{job.args['picture']} is {job.args['width']} wide"


def collect(job: Job) -> int:
    waiting = sum(scheduler.get(id).state in ("ready", "active") for id in job.args["of"])
    if waiting:
        raise RunAgain(after=timedelta(milliseconds=100), reason=f"{waiting} pictures are not done")
    return sum(scheduler.get(id).state == "done" for id in job.args["of"])


if __name__ == "__main__":
    pictures = scheduler.push_many(
        Job("resize", {"picture": f"{n}.png", "width": width}, retry=Retry(max_attempts=3))
        for n, width in enumerate([100, 200, 0])
    )  # one batch: all of them land, or none
    total = scheduler.push_scheduled(
        Job("collect", {"of": pictures}, execute_at=scheduler.now() + timedelta(milliseconds=200))
    )

    worker = Worker(scheduler)
    worker.register_handler("resize", resize)
    worker.register_handler("collect", collect)
    while scheduler.get(total).state != "done":
        worker.drain()

    for info in map(scheduler.get, pictures):
        print(info.job.args["picture"], info.state, info.result or info.error)
    print("resized:", scheduler.result(total))
