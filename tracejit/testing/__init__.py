"""Tests of compiled functions: what they compile to, and that they do what they do in NumPy.

    from tracejit.testing import assert_kernels, assert_matches_numpy

    def test_softmax():
        assert_matches_numpy(softmax, (x,))
        assert_kernels(softmax, (x,), at_most=1)

`strategies` and `programs` draw arguments, and whole programs, with hypothesis. The pytest plugin,
tracejit.pytest_plugin, is there as soon as tracejit is installed.
"""

from ..events import Compile, compiles
from .comparing import assert_matches_numpy
from .contracts import assert_compiles_once, assert_kernels, assert_no_copy, assert_no_fallback
from .layouts import LAYOUTS
from .programs import Program, programs
from .strategies import arrays, dtypes, shapes, specials, types

__all__ = [
    "LAYOUTS",
    "Compile",
    "Program",
    "arrays",
    "assert_compiles_once",
    "assert_kernels",
    "assert_matches_numpy",
    "assert_no_copy",
    "assert_no_fallback",
    "compiles",
    "dtypes",
    "programs",
    "shapes",
    "specials",
    "types",
]
