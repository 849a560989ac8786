"""Async handlers: hundreds at a time on one event loop, beside a sync one in a thread of its own queue."""

import asyncio
import threading

from goscheds import Scheduler, Worker

scheduler = Scheduler("sqlite:///jobs.db", namespace="async")
together = most = 0


@scheduler.job(queue="web")
async def fetch(page: int) -> str:
    """Stands for a request to a slow server: it waits, and waiting costs no thread."""
    global together, most  # noqa: PLW0603 - one event loop runs them all, so there is no race
    together += 1
    most = max(most, together)
    await asyncio.sleep(0.2)
    together -= 1
    return f"page {page}"


@scheduler.job(queue="cpu")
def count_primes(below: int) -> int:
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, below))


async def produce(worker: Worker) -> None:
    """Every producer's verb has an awaitable twin with the prefix ``a``."""
    pages = [await fetch.apush(page) for page in range(100)]
    primes = await count_primes.apush(10_000)
    print(await scheduler.aresult(primes, timeout=60), "primes below 10,000")
    for id in pages:
        await scheduler.aresult(id, timeout=60)
    print(len(pages), "pages,", most, "of them at a time at most")
    worker.stop()


if __name__ == "__main__":
    worker = Worker(scheduler, queues={"web": 100, "cpu": 1})
    producer = threading.Thread(target=lambda: asyncio.run(produce(worker)))
    producer.start()
    worker.run()  # in the main thread, where it hears SIGTERM and Ctrl-C
    producer.join()
