"""What only looks: pages of jobs along an index, counts, workers."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

from goscheds.backends.sql.rows import CODES, STATES, Values, to_row
from goscheds.backends.sql.statements import render
from goscheds.foreign import Foreign
from goscheds.record import Counts, Page, Query, State, WorkerInfo

SCAN = 10_000
"""Jobs that are looked at for a page, at most."""

PLACE = ("p0", "p1", "p2", "id")


class Looking:
    """The half of a store that changes nothing."""

    sql: SimpleNamespace
    parameter = r":\1"  # how the driver writes one
    _query: Callable[..., list[Values]]

    def find(self, query: Query) -> Page:
        ids = {f"id{number}": id for number, id in enumerate(query.ids)}
        states = [CODES[state] for state in {*(query.states or State)}]
        pages = getattr(self.sql, "find_ids" if ids else "find" if len(states) > 1 else f"find_{query.states[0]}")
        most = len(ids) or query.limit
        scan = SCAN if ids or query.queue or query.name or 1 < len(states) < len(State) else most + 1
        first = [-(2**63), -(2**63), 0, ""] if states != [1] else [query.queue, 2**63 - 1, -(2**63), ""]
        place = json.loads(query.after) if query.after else first  # it may be of a row that somebody else wrote
        asked = {"queue": query.queue, "name": query.name, "states": sum(1 << state for state in states), **ids}
        asked |= zip(PLACE, (Foreign(part) if isinstance(part, str) else part for part in place), strict=True)
        marks = render(", ".join(map(":{}".format, ids)), {}, self.parameter)
        found = self._query(pages.replace("{ids}", marks), **asked, state=states[0], scan=scan, most=most)
        rows = [values for values in found if values[-5]]
        last = rows[most - 1] if len(rows) > most else found[-1] if found and found[-1][-4] == scan else None
        return Page(tuple(map(to_row, rows[:most])), json.dumps((*last[-3:], last[0])) if last else "")

    def counts(self) -> Counts:
        jobs = {(queue, STATES[state]): int(count) for queue, state, count in self._query(self.sql.counts)}
        return Counts(jobs, frozenset(queue for (queue,) in self._query(self.sql.paused)))

    def workers(self) -> list[WorkerInfo]:
        return [WorkerInfo(*values) for values in self._query(self.sql.workers)]
