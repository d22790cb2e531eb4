"""A machine with caches of a few lines and threads that cost nothing: what is done for large arrays is done
for small ones, which tests can afford."""

import importlib

LOWER = "tracejit.lower."
# What says from which size on, or in pieces of which size, something is done.
SIZES = {
    "machine": {"LEAST_FORK": 1e-9, "WORTHWHILE": 1.0},
    "graph.beside": {"FAR": 1 << 8},
    "graph.chains": {"BLOCK_ROWS": 12, "STRIP_ROWS": 8, "NEAR_BYTES": 4096, "LEAST_BYTES": 256},
    "tensor.blocks": {"ROWS": 8},
    "tensor.columns": {
        "NARROW_BYTES": 16,
        "SHARED_BYTES": 2048,
        "NEAR_BYTES": 512,
        "LEAST_ROWS": 8,
        "NARROW_ROWS": 4,
        "CHUNK_BYTES": 1024,
        "CHUNK_ROWS": 8,
        "BLOCK_BYTES": 256,
    },
    "tensor.distribute": {"BLOCK": 16, "WORTHWHILE": 1.0},
    "tensor.extrema": {"LEAST_ROWS": 2},
    "tensor.interleave": {"FEWEST_COLUMNS": 8},
    "tensor.interrupt": {"SHORT_CYCLES": 100.0, "PAUSE_CYCLES": 50.0, "LEAST_CYCLES": 50.0},
    "tensor.parallelize": {"CHUNK": 2e-8},
    "tensor.prefetch": {"LEAST_ROW": 64, "MOST_ROW": 1 << 20},
    "tensor.prefixes": {"CHUNK_BYTES": 256},
    "tensor.repeat": {"LEAST_TRIPS": 4},
    "tensor.scan": {"LARGE_BYTES": 256, "LEAST_BLOCK": 64, "MOST_BLOCK": 128},
    "tensor.sections": {"LEAST_FORKS": 0.0},
    "tensor.stacks": {"WORTHWHILE": 1e-8, "CHUNK": 1e-8},
    "tensor.strips": {"COLUMNS": 32, "NEAR_LINES": 16},
    "tensor.strips_of_groups": {
        "FEWEST_MULTIPLY_ADDS": 100,
        "LENGTHS": (8, 4, 2),
        "MOST_ROWS": 8,
        "FEWEST_ROWS": 2,
    },
    "tensor.tile_time": {"FEWEST_ROWS": 2, "LEAST_CHUNK": 1},
    "tensor.tiles": {"COPIED_BYTES": 1024, "COPIED_RUN": 16, "PAGE_BYTES": 128, "BLOCK": 2},
    "tensor.contract.chunks": {"CHUNK_SECONDS": 1e-8},
    "tensor.contract.matrix": {
        "PACKED_BYTES": 1 << 12,
        "ROWS": 12,
    },
    "tensor.contract.packing": {
        "DEPTH_BYTES": 64,
        "FEW_ROWS": 16,
        "MANY_PACKED": 128,
        "MANY_USES": 2,
        "SHARED_USES": 2,
    },
    "tensor.contract.pairs": {"FEWEST": 4},
    "tensor.contract.panels": {"STRIP_ROWS": 8},
    "tensor.contract.prefer": {"FEWEST_BYTES": 256},
    "tensor.contract.products": {"LONG_DEPTH": 64, "STRIP": 16, "WORTHWHILE": 1e-8},
    "tensor.contract.unfold": {
        "MOST_COLUMNS": 16,
        "FEWEST_ROWS": 2,
        "FEWEST_CHUNKS": 2,
        "WORTHWHILE": 1e-8,
    },
    "tensor.contract.unknown": {"MULTIPLY_ADDS": 100, "COPIES": 50},
    "tensor.contract.vectors": {"ROWS_AT_ONCE": 4, "WORTHWHILE": 1e-8},
}


def make_small(monkeypatch) -> None:
    """Let programs be compiled for such a machine."""
    stages = importlib.import_module("tracejit.stages")
    for name, values in SIZES.items():
        module = importlib.import_module(LOWER + name)
        for constant, value in values.items():
            monkeypatch.setattr(module, constant, value)
    small = stages.schedule_parameters()._replace(
        l1_bytes=1 << 11, l2_bytes=1 << 13, l3_bytes=1 << 15, fork_seconds=1e-9
    )
    monkeypatch.setattr(stages, "schedule_parameters", lambda: small)
