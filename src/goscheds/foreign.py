"""What somebody else has written into a store: as values that pass for ours, and what is wrong with them."""

from __future__ import annotations

from goscheds.record import Record

BITS = 53
"""Of a whole number that every store can hold: Lua's are doubles."""
TOP = 100
"""The highest priority."""


def texts(*found: bytes) -> tuple[list[str], bool]:
    """Names as they are stored, with half surrogate pairs for bytes that are no UTF-8; whether there are such."""
    try:
        return list(map(bytes.decode, found)), False
    except UnicodeDecodeError:
        return [name.decode("utf-8", "surrogateescape") for name in found], True


class Foreign(str):
    """One of them where it leads back to its row: to a driver of SQL it is the same bytes, which a statement casts."""

    __slots__ = ()

    def __conform__(self, protocol: object) -> bytes:
        return stored(self)


def text(found: bytes) -> str:
    """A name as it is stored, ``Foreign`` if it is no UTF-8."""
    (name,), odd = texts(found)
    return Foreign(name) if odd else name


def stored(name: str) -> bytes:
    """The bytes that ``texts`` made a name of."""
    return name.encode("utf-8", "surrogateescape")


def flaw(job: Record, fence: int) -> str:
    """What of a stored job goscheds never writes, for its claim; nothing if there is nothing."""
    texts = {"id": job.id, "name": job.name, "queue": job.queue, "unique key": job.unique_key}
    numbers = {"fence": fence, "execute_at": job.execute_at, "timeout": job.timeout}
    odd = [
        f"its {what} is {name!r:.80}" for what, name in texts.items() if any("\ud800" <= c <= "\udfff" for c in name)
    ]
    odd += [f"its {what} is {number}" for what, number in numbers.items() if number >> BITS]
    odd += [f"its priority is {job.priority}"] if abs(job.priority) > TOP else []
    return f"Job {job.id!r:.80} was not written by goscheds: {' and '.join(odd)}." if odd else ""


def doubt(job: Record, fence: int) -> str:
    """``flaw`` where its texts come from ``text`` and numbers are checked before; hardly anything for a job of ours."""
    ours = job.id.__class__ is job.name.__class__ is job.unique_key.__class__ is str and fence < 1 << BITS
    return "" if ours else flaw(job, fence)
