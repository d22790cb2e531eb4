"""Tests that are the same at every run, unless TRACEJIT_TESTS=random asks for new examples, and more."""

import gc
import os
import signal

# Before tracejit is imported: what is tested is the final code; test_tiers tests the other.
os.environ.setdefault("TRACEJIT_TIERS", "0")
os.environ.setdefault("TRACEJIT_KEEP", "0")  # test_kept tests what is kept

from hypothesis import settings

settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, max_examples=35
)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("random" if os.environ.get("TRACEJIT_TESTS") == "random" else "repeatable")

# What a shell runs in the background ignores interrupts, and so would the processes of tests.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session):
    """What pytest keeps of all tests need not be looked through whenever a test collects garbage."""
    gc.collect()
    gc.freeze()
