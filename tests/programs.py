"""How many programs tests draw; the programs themselves are tracejit.testing's."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from samples import EXHAUSTIVE

from tracejit.testing.programs import DTYPES, programs, small_numbers

__all__ = ["DTYPES", "examples", "programs", "small_numbers"]


def examples(count: int) -> settings:
    """Settings for a test of so many programs; fifty times as many when EXHAUSTIVE is set."""
    return settings(
        max_examples=count * 50 if EXHAUSTIVE else count,
        deadline=None,
        derandomize=not EXHAUSTIVE,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )
