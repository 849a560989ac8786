"""How far each queue is worked off, so that claims need not step over all that was, when nothing can clear it away."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

from goscheds.backends.sql.rows import Values

# There is no place before the first; and of how many priorities places are used, as each is two looks into the index.
FIRST, MANY = -(2**63), 20


class Lines:
    """For each queue and priority the place of the last job claimed here, once a look from the beginning takes long.

    What stood before it is there no more, but for what was committed late, or locked at that moment by a claim that was
    broken off. So a claim looks along the whole line after a while, and before it says that there is nothing. Places
    drawn later are higher, and released jobs, whose places are below zero, are looked for always.
    """

    def __init__(self) -> None:
        self._places: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._whole: defaultdict[str, float] = defaultdict(float)

    def parts(self, queue: str) -> dict[str, list[int]]:
        """Where a claim is to look: from a high priority to a low one, from a place on; nothing if everywhere."""
        if time.monotonic() >= self._whole[queue]:
            return {}
        known = sorted(self._places[queue].copy().items(), reverse=True)[:MANY]
        high = [32767, *(n for priority, _ in known for n in (priority, priority - 1))]
        low = [*(n for priority, _ in known for n in (priority + 1, priority)), -32768]
        return {"high": high, "low": low, "place": [*(n for _, at in known for n in (FIRST, at)), FIRST]}

    def note(self, queue: str, parts: dict[str, list[int]], rows: Sequence[Values]) -> None:
        """Take note of what a claim found there.

        How long it took is the server's word: were it ours, jobs would be overlooked wherever the server is far away.
        """
        if rows and not parts:  # again after 20 times as long, or 5 s, as jobs may be overlooked; and 5 ms are nothing
            self._whole[queue] = time.monotonic() + min(20 * (rows[0][13] / 1_000_000 - 0.005), 5.0)
        if time.monotonic() < self._whole[queue]:
            self._places[queue].update(sorted((row[7], row[12]) for row in rows if row[12] > 0))
