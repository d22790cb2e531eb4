"""A draw in the making: its numbers, as many as are asked for, and parameters that are legal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..ir import ops
from ..ir.dims import Dim
from ..ir.graph import Node, item
from ..ir.numpy_random import DISTRIBUTIONS, can_draw, pairs_offset
from ..ir.types import DType, f64, i64
from .array import Array, wrap
from .broadcasting import broadcast_shapes
from .context import Trace, current_trace, tracing
from .numpy.arguments import static_shape
from .numpy.building import as_array, broadcast, choose, converted, number
from .promotion import constant
from .tree import flatten, unflatten
from .value import Value, known_value, node_of, value_at_hand


class Source(Protocol):
    """A generator in traced code."""

    trial: Any

    def address(self, in_pairs: bool) -> Node: ...


class NotDrawn(Exception):
    """The numbers are to be drawn through Python; nothing has been done."""


# For each kind of parameter: when it is legal, and one that is.
Legal = tuple[Callable[[Array], Any], float]
ANY: Legal = (lambda x: None, 0.0)
NOT_NEGATIVE: Legal = (lambda x: ~(np.signbit(x) & ~np.isnan(x)), 1.0)
POSITIVE: Legal = (lambda x: ~(x <= 0.0), 1.0)
FINITE_WIDTH: Legal = (lambda x: np.isfinite(x) & ~np.signbit(x), 1.0)
ANY_WIDTH: Legal = (lambda x: np.isfinite(x), 1.0)
OF_POISSON: Legal = (lambda x: (x >= 0.0) & (x <= 9.0e18), 1.0)
ABOVE_ONE: Legal = (lambda x: x > 1.0, 2.0)
PROBABILITY: Legal = (lambda x: (x >= 0.0) & (x <= 1.0), 0.5)
SURE: Legal = (lambda x: (x > 0.0) & (x <= 1.0), 0.5)
UNSURE: Legal = (lambda x: (x >= 0.0) & (x < 1.0), 0.5)
COUNT: Legal = (lambda x: x >= 0, 1)


class Draw:
    """A draw in the making: of a source, for arguments of NumPy's method of this name."""

    def __init__(self, source: Source, method: str, args: tuple, kwargs: dict[str, Any]):
        self.source, self.method, self.args, self.kwargs = source, method, args, kwargs
        trace = current_trace()
        assert trace is not None
        self.trace: Trace = trace

    def __call__(
        self,
        name: str,
        size: Any,
        parameters: Sequence[Any] = (),
        legal: Sequence[Legal] = (),
        in_pairs: bool = False,
        trial: tuple[str, tuple] | None = None,
    ) -> Array:
        """Numbers of the distribution `name`; of `size`, or as many as the parameters are.

        `trial`: the method and the arguments that give these numbers, if not those of the call.
        """
        known = DISTRIBUTIONS[name]
        if not can_draw(name) or (in_pairs and pairs_offset() is None):
            raise NotDrawn
        values = [
            _as_parameter(p, dtype, own)
            for p, dtype, own in zip(parameters, known.parameters, legal)
        ]
        shape = _shape(size, [x.shape for x in values])
        fitted = [x if x.ndim == 0 else broadcast(x, shape) for x in values]
        trace = self.trace
        found = self._at_hand(known.result.numpy, shape, trial)
        token = constant(0, i64) if trace.token is None else trace.token
        operands = [self.source.address(in_pairs), token, *map(node_of, fitted)]
        node = ops.draw(*operands, distribution=name, shape=shape)
        trace.locate(node)
        numbers, trace.token = item(node, index=0), item(node, index=1)
        for part in (numbers, trace.token):
            trace.locate(part)
        trace.values[numbers], trace.values[trace.token] = found, np.zeros((), np.int64)
        is_scalar = shape == () and size is None
        weak = {"f": float, "i": int}[known.result.kind] if is_scalar else None
        return Array(numbers, is_scalar, weak)

    def _at_hand(self, dtype: np.dtype, shape: tuple, trial: Any) -> np.ndarray:
        """What the method gives for the arguments at hand, by a generator that is the trace's own.

        Raises what it raises where no argument is traced: else it may be where the program never
        comes to.
        """
        method, *arguments = (*trial, {}) if trial else (self.method, self.args, self.kwargs)
        leaves, structure = flatten(tuple(arguments))
        is_traced = [isinstance(leaf, Value | Dim) for leaf in leaves]
        given = [_number_at_hand(leaf) if own else leaf for leaf, own in zip(leaves, is_traced)]
        args, kwargs = unflatten(structure, given)
        try:
            with tracing(None):
                return np.asarray(getattr(self.source.trial, method)(*args, **kwargs), dtype)
        except Exception as error:
            if not any(is_traced):
                self.trace.has_failed, self.trace.run.failure = True, error
                raise
            return np.zeros([n if type(n) is int else 1 for n in shape], dtype)


def _shape(size: Any, shapes: list[tuple]) -> tuple:
    """The shape of what is drawn, which NumPy judges where it does not fit the parameters."""
    try:
        shape = broadcast_shapes((), *shapes) if size is None else static_shape(size)
        if broadcast_shapes(shape, *shapes) == shape:
            return shape
    except ValueError:
        pass
    raise NotDrawn


def _number_at_hand(leaf: Any) -> Any:
    value = value_at_hand(as_array(leaf).node)
    return value[()] if isinstance(leaf, Dim) or leaf.is_scalar else value


def _as_parameter(value: Any, dtype: DType, legal: Legal) -> Array:
    """A parameter, which the program looks at where the trace cannot."""
    x = as_array(value)
    if x.dtype.kind not in ("biuf" if dtype is f64 else "biu") or x.dtype == np.uint64:
        raise NotDrawn
    x = converted(x, dtype.numpy)
    is_legal, replacement = legal
    return checked(x, is_legal(x), replacement)


def checked(x: Array, condition: Any, replacement: float) -> Array:
    """`x` where the condition holds; where it does not, the program ends."""
    if condition is None:
        return x
    condition = node_of(as_array(condition))
    known = known_value(condition)
    if known is None:
        return choose(wrap(ops.legal(condition)), x, number(replacement, x.dtype))
    if not np.all(known):
        raise NotDrawn  # NumPy says what is wrong
    return x
