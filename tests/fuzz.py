"""How much is tried: little and always the same in CI, more and always other things where GOSCHEDS_FUZZ says so.

``GOSCHEDS_FUZZ=100 pytest tests/hostile`` tries a hundred times as much. A failure is printed as the smallest example
that hypothesis found, and with ``@reproduce_failure`` to do it again.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("GOSCHEDS_FUZZ", "0"))


def fuzzed(examples: int) -> settings:
    """So many examples in CI; each takes as long as it takes, and a fixture serves them all."""
    return settings(
        max_examples=examples * (FACTOR or 1),
        derandomize=not FACTOR,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
