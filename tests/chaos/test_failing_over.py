"""The rig on a Postgres that fails over to its synchronous standby, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from servers.replicas import Pair, find_replicating
from test_rig import PLAN, short
from trouble import extra

from goscheds.chaos.report import report
from goscheds.chaos.rig import run


@contextmanager
def failed_over(pair: Pair) -> Iterator[None]:
    """SIGKILL of the primary and promotion of its standby, which is alone until the other has joined it again."""
    alone = not pair.standby.running
    if not alone:
        pair.fail_over()
    yield
    if not alone:
        pair.rejoin()


@short
@pytest.mark.slow
def test_postgres_failing_over():
    pair = Pair(find_replicating())
    try:
        result = run(pair.url, PLAN, [extra("fail over", partial(failed_over, pair), 0.5, 2.0)])
        assert not result.violations, report(result)
    finally:
        pair.remove()
