"""Values as batches for the scripts, and the scripts' rows as values.

A batch is one argument, however many jobs it has. A row is the prelude's FIELDS in their order, the id, and a remark.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw, msgpack
from msgspec.structs import asdict

from goscheds.record import Claim, Lost, Move, Outcome, Record, Row, State

Fields = Sequence[bytes]
ID, REMARK = 16, 17
BYTES = {"payload", "meta", "result"}


def batch(values: Sequence[Record] | Sequence[Outcome] | Sequence[Move]) -> bytes:
    """Values as one argument for a script."""
    return msgpack.encode([_fields(value) for value in values])


def _fields(value: Record | Outcome | Move) -> dict[str, object]:
    fields = asdict(value)
    for name in BYTES & fields.keys():
        fields[name] = _string(fields[name])
    if isinstance(value, Outcome):
        fields["jobs"] = [_fields(record) for record in value.jobs]
    return fields


def _string(data: bytes) -> Raw:
    """Bytes as a MessagePack string: the servers' cmsgpack refuses the newer type for bytes."""
    return Raw(b"\xdb" + len(data).to_bytes(4, "big") + data)


def to_record(row: Fields) -> Record:
    """The job as it was pushed, with what outcomes have changed since."""
    return Record(
        id=row[ID].decode(),
        name=row[9].decode(),
        queue=row[4].decode(),
        payload=row[11],
        meta=row[12],
        execute_at=int(row[10]),
        priority=int(row[5]),
        timeout=int(row[6]),
        unique_key=row[7].decode(),
    )


def to_claim(row: Fields) -> Claim:
    """The job in its holder's hands."""
    lost = Lost(row[REMARK].decode()) if len(row) > REMARK else Lost.NOT
    return Claim(to_record(row), int(row[1]), int(row[14]), lost)


def to_row(row: Fields) -> Row:
    """The job as it stands. Fields that were never written are None."""
    return Row(
        record=to_record(row),
        state=State(row[0].decode()),
        fence=int(row[1]),
        worker=(row[2] or b"").decode(),
        pushed_at=int(row[13]),
        changed_at=int(row[14]),
        result=row[15] or b"",
        cancelling=row[8] == b"1",
    )
