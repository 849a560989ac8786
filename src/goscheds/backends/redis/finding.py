"""Looking at jobs: page by page through the structures that hold the states asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import msgpack

from goscheds.backends.redis.codec import REMARK, Fields, to_row
from goscheds.record import Page, Query, Row, State

SCAN = 500  # tickets that one script looks at
Run = Callable[..., Any]
Source = tuple[int, State, str, str]  # rank of the state, state, key, kind: sorted as pages go through them


def find(run: Run, query: Query) -> Page:
    """The jobs that a query asks for."""
    if query.ids:
        rows = map(to_row, run("rows", msgpack.encode(tuple(dict.fromkeys(query.ids))), query.queue, query.name))
        return Page(tuple(row for row in rows if row.state in (query.states or State)))
    found: list[Row] = []
    cursors: list[str] = []
    for cursor, row in _rows(run, query):
        if len(found) == query.limit:
            return Page(tuple(found), cursors[-1])
        found.append(to_row(row))
        cursors.append(cursor)
    return Page(tuple(found))


def _rows(run: Run, query: Query) -> Iterator[tuple[str, Fields]]:
    """The rows after the query's cursor, each with its own: its source's rank and key, then score and place."""
    rank, key, position = query.after.split("\n") if query.after else ("0", "", "")
    for source in _sources(run, query):
        if source[0] < int(rank) or (source[0] == int(rank) and source[2] < key):
            continue
        begin = position if (str(source[0]), source[2]) == (rank, key) else "-1 -1"
        while begin:
            _, state, name, kind = source
            scan = min(SCAN, query.limit + 1) if not query.name and not query.queue else SCAN
            reached, rows = run("page", name, kind, state, *begin.split(), scan, query.queue, query.name)
            begin = reached.decode()
            for row in rows:
                yield f"{source[0]}\n{name}\n{row[REMARK].decode()}", row


def _sources(run: Run, query: Query) -> list[Source]:
    """The structures to look through. A job between BLMOVE and its claim is ready, and in its worker's list."""
    lines, lists = run("structures", query.queue)
    keys = {
        State.READY: [("line", key.decode()) for key in lines] + [("list", key.decode()) for key in lists],
        State.ACTIVE: [("list", key.decode()) for key in lists],
    }
    return sorted(
        (rank, state, key, kind)
        for rank, state in enumerate(State)
        if state in (query.states or State)
        for kind, key in keys.get(state, [("index", state.value)])
    )
