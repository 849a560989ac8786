"""Looking at jobs: page by page through the structures that hold the states asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from goscheds.backends.redis.codec import rows
from goscheds.record import Page, Query, Row, State

SCAN = 500  # tickets that one script looks at


def find(run: Callable[..., Any], query: Query) -> Page:
    """The jobs that a query asks for."""
    if query.ids:
        found = rows(run("rows", query.queue, query.name, *dict.fromkeys(query.ids)))
        return Page(tuple(row for _, row in found if row.state in (query.states or State)))
    states = "".join(str(n) for n, state in enumerate(State, 1) if state in (query.states or State))
    listed: list[tuple[str, Row]] = []
    scan = min(SCAN, query.limit + 1) if not query.name and not query.queue else SCAN
    after: str | bytes | None = query.after
    while after is not None and len(listed) <= query.limit:
        after, found = run("page", after, scan, states, query.queue, query.name)
        listed += rows(found, lines=3)
    page = listed[: query.limit]
    return Page(tuple(row for _, row in page), page[-1][0] if len(listed) > query.limit else "")
