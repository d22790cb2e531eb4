"""NumPy's functions in terms of ops; importing this package fills the tables of `trace.registry`."""

from . import (
    contractions,
    diagonals,
    einsum,
    linear,
    nan_reductions,
    norms,
    reductions,
    scans,
    search,
    shapes,
    statistics,
)
from .lists import hook_functions

hook_functions()
