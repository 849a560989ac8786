"""What a type checker must refuse: each such line names the rules by which mypy and pyright do, as `mypy | pyright`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from goscheds import Job, Retry, Scheduler, Worker

scheduler = Scheduler("memory://")
MOMENT = datetime(2027, 1, 1, tzinfo=UTC)


@scheduler.job
def greet(name: str, times: int = 1) -> str:
    """Without parentheses."""
    return name * times


@scheduler.job(queue="mail")
def send_receipt(order_id: int, *, email: str) -> bool:
    """With them."""
    return bool(order_id and email)


@scheduler.job
async def fetch(url: str) -> bytes:
    """An async one."""
    return url.encode()


greet.push()  # refused: call-arg | reportCallIssue
greet.push(7)  # refused: arg-type | reportArgumentType
greet.push("Ada", "2")  # refused: arg-type | reportArgumentType
greet.push(nam="Ada")  # refused: call-arg | reportCallIssue
greet.push("Ada", 2, 3)  # refused: call-arg | reportCallIssue
send_receipt.push(7)  # refused: call-arg | reportCallIssue
send_receipt.push(7, "a@example.org")  # refused: call-arg | reportCallIssue
greet.push_in("Ada")  # refused: arg-type, call-arg | reportCallIssue
greet.push_in(60, "Ada")  # refused: arg-type | reportArgumentType
greet.push_in(timedelta(1), 7)  # refused: arg-type | reportArgumentType
greet.push_at("tomorrow", "Ada")  # refused: arg-type | reportArgumentType
greet.push_at(MOMENT, nam="Ada")  # refused: call-arg | reportCallIssue
greet.job(7)  # refused: arg-type | reportArgumentType
greet(7)  # refused: arg-type | reportArgumentType
greet("Ada").decode()  # refused: attr-defined | reportAttributeAccessIssue
fetch.push(7)  # refused: arg-type | reportArgumentType
fetch("https://example.org").decode()  # refused: attr-defined | reportAttributeAccessIssue
send_receipt.push(7, email="a@example.org").upper().push()  # refused: attr-defined | reportAttributeAccessIssue


async def producer() -> None:
    """The twins are as strict."""
    await greet.apush(7)  # refused: arg-type | reportArgumentType
    await greet.apush_in(timedelta(1), nam="Ada")  # refused: call-arg | reportCallIssue
    await greet.apush_at("tomorrow", "Ada")  # refused: arg-type | reportArgumentType
    greet.apush("Ada").upper()  # refused: attr-defined | reportAttributeAccessIssue
    await greet.push("Ada")  # refused: misc | reportGeneralTypeIssues
    await scheduler.apush("greet")  # refused: arg-type | reportArgumentType


scheduler.push("greet")  # refused: arg-type | reportArgumentType
scheduler.push_many(["greet"])  # refused: list-item | reportArgumentType
scheduler.job(colour="red")  # refused: call-overload | reportCallIssue
scheduler.job(queue=7)  # refused: call-overload | reportArgumentType
Job("greet", {"name": "Ada"}, "mail")  # refused: call-arg | reportCallIssue
Job("greet", queue="mail", retry=5)  # refused: arg-type | reportArgumentType
Retry(attempts=5)  # refused: call-arg | reportCallIssue
Worker(scheduler, lease=10)  # refused: arg-type | reportArgumentType
Worker("memory://")  # refused: arg-type | reportArgumentType


def takes_a_name(name: str) -> None:
    """No handler by name: those take the job."""


worker = Worker(scheduler)
worker.register_handler("greet", takes_a_name)  # refused: arg-type | reportArgumentType
worker.register_handler("greet", lambda: None)  # refused: arg-type | reportArgumentType
