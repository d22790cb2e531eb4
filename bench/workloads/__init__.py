"""The work that is timed: each module yields the cases of one section of the report."""

from . import (
    axes,
    cold,
    compile,
    elementwise,
    indexing,
    latency,
    layers,
    layouts,
    library,
    loops,
    math,
    matmul,
    packages,
    programs,
    rows,
    writes,
)

SECTIONS = {
    "latency": latency.cases,
    "elementwise": elementwise.cases,
    "math": math.cases,
    "rows": rows.cases,
    "axes": axes.cases,
    "indexing": indexing.cases,
    "writes": writes.cases,
    "programs": programs.cases,
    "matmul": matmul.cases,
    "layers": layers.cases,
    "layouts": layouts.cases,
    "library": library.cases,
    "loops": loops.cases,
    "packages": packages.cases,
    "compile": compile.cases,
    "cold": cold.cases,
}
