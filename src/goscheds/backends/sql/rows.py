"""How the values of the boundary stand in rows: the codes of states, the columns in order, and the way back."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from goscheds.foreign import doubt
from goscheds.record import Claim, Lost, Record, Row, State, Verb

Values = tuple[Any, ...]

STATES = (State.SCHEDULED, State.READY, State.ACTIVE, State.DONE, State.DEAD, State.CANCELLED)
CODES = {state: code for code, state in enumerate(STATES)}

# The state that an outcome asks for; what becomes of a retry depends on the clock.
TARGETS = {Verb.RETRY: 0, Verb.RELEASED: 1, Verb.DONE: 3, Verb.DEAD: 4, Verb.CANCELLED: 5}

_RECORD = "id, name, queue, payload, meta, execute_at, 0 AS delay, priority, timeout, unique_key"
COLUMNS = {
    "claim": f"{_RECORD}, fence, changed_at, seq",
    "row": f"{_RECORD}, {{state}}, fence, {{holder}}, pushed_at, changed_at, result, cancelling",
}

_priority, _place = itemgetter(7), itemgetter(12)  # of a row of ``claim``


def to_claims(rows: Iterable[Values], lost: Lost = Lost.NOT) -> list[Claim]:
    """Rows of ``claim`` in the order of their line (RETURNING promises none)."""
    ordered = sorted(sorted(rows, key=_place), key=_priority, reverse=True)
    return [Claim(job := Record(*row[:10]), row[10], row[11], lost, doubt(job, row[10])) for row in ordered]


def to_row(values: Values) -> Row:
    """A row of ``row``."""
    fence, worker, pushed_at, changed_at, result, cancelling = values[11:17]
    return Row(Record(*values[:10]), STATES[values[10]], fence, worker, pushed_at, changed_at, result, bool(cancelling))
