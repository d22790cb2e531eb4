"""NumPy's functions in terms of ops; importing the package fills `trace.registry`."""

from . import (
    calculus,
    contractions,
    creation,
    decompositions,
    diagonals,
    einsum,
    elementwise,
    flat,
    folds,
    fourier,
    grids,
    histograms,
    interpolation,
    joining,
    linear,
    memory,
    namespace,
    nan_reductions,
    norms,
    packing,
    padding,
    partitions,
    polynomials,
    predicates,
    python_math,
    ranks,
    reductions,
    repetition,
    row_by_row,
    scans,
    search,
    selection,
    sets,
    shapes,
    sorting,
    special,
    statistics,
    systems,
    tables,
    writes,
)
from .lists import hook_functions
from .orders import keep_orders
from .outputs import store_outputs
from .selections import select_functions
from .stored import keep_stored

keep_orders()
store_outputs()
keep_stored()
select_functions()
hook_functions()
