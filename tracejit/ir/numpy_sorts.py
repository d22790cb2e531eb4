"""NumPy's sorting functions for one row in memory, which programs call as foreign functions.

`sort(row, n, 0)` sorts in place; `argsort(row, order, n, 0)` rearranges `order`, which holds
positions, by the row's elements there. The last argument is of use to dtypes alone that no program
has. Of each there is one that NumPy takes by default, and one that keeps the order of equals.
"""

from __future__ import annotations

from math import log2
from typing import Any, NamedTuple

import numpy as np

from .types import DTYPES, DType

# The place of each kind among a dtype's functions.
KINDS = {"quicksort": 0, "stable": 2}


class Sorting(NamedTuple):
    """A sorting function: `sort` or `argsort`, of a kind, for rows of a dtype."""

    name: str
    kind: str
    dtype: DType

    @property
    def symbol(self) -> str:
        return f"numpy_{self.name}_{self.kind}_{self.dtype}"

    @property
    def written(self) -> tuple[int, ...]:
        return (0,) if self.name == "sort" else (1,)

    def cycles(self, *arguments: int | None) -> float:
        """An estimate, from the arguments of a call where they are numbers."""
        n = arguments[-2]
        n = 512 if n is None else n
        is_fast = self.kind == "quicksort" and self.dtype.itemsize in (2, 4, 8)
        return 20.0 + n * log2(n + 2) * ((1.0 if is_fast else 10.0) + (self.name == "argsort"))

    def run(self, *arguments: Any) -> None:
        """A call, as NumPy makes it."""
        *arrays, last, n, _ = arguments
        ordered = _row(last, int(n))
        if self.name == "sort":
            ordered.sort(kind=self.kind)
        elif n > 0:
            row = _row(arrays[0], int(ordered.max()) + 1)
            ordered[...] = ordered[row[ordered].argsort(kind=self.kind)]


def _row(start: np.ndarray, n: int) -> np.ndarray:
    """So many elements of the memory behind the first of them."""
    return np.lib.stride_tricks.as_strided(start, (n,), (start.itemsize,))


SORTINGS = {
    sorting.symbol: sorting
    for sorting in [
        Sorting(name, kind, dtype)
        for name in ("sort", "argsort")
        for kind in KINDS
        for dtype in DTYPES.values()
    ]
}
