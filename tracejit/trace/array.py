"""`Array`: a traced value that user code handles exactly as it handles an ndarray."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

import numpy as np

from ..errors import TraceError, TracejitError, UnsupportedError
from ..ir import ops
from ..ir.dims import as_number
from ..ir.graph import Node
from .broadcasting import broadcast_to_shape
from .context import current_trace, failure
from .advanced import indexed
from .operators import Operators, needs_value, no_writing
from .promotion import DEFAULT_DTYPES, cast, constant
from .registry import FUNCTIONS, METHODS
from .ufunc import apply_to_nodes, signature_of
from .value import known_value, node_of, to_node, to_operand


class Array(Operators):
    """A traced array, or a traced scalar, with ndarray's attributes, operators and methods.

    Its value is not known while tracing: asking for it raises TraceError, unless it depends on no
    argument. Writing to it is not compiled yet and raises UnsupportedError.
    """

    __slots__ = ()
    __array_priority__ = 1000.0

    def __init__(self, node: Node, scalar: bool = False, weak: type | None = None):
        trace = current_trace()
        if trace is None:
            raise failure(TraceError, "traced values exist only while a function is traced")
        self.node, self.owner, self.is_scalar, self.weak = node, trace, scalar, weak
        trace.locate(node)

    @property
    def __class__(self) -> type:
        """What NumPy would have here, so that `isinstance(x, np.ndarray)` says what it should."""
        if self.weak is not None:
            return self.weak
        return self.node.type.dtype.numpy.type if self.is_scalar else np.ndarray

    # Attributes

    @property
    def shape(self) -> tuple:
        shape = self.node.type.shape
        if any(type(extent) is not int for extent in shape):
            return tuple([as_number(extent) for extent in shape])
        return shape

    @property
    def dtype(self) -> np.dtype:
        return self.node.type.dtype.numpy

    @property
    def ndim(self) -> int:
        return len(self.node.type.shape)

    @property
    def size(self) -> Any:
        return as_number(self.node.type.size)

    @property
    def itemsize(self) -> int:
        return self.node.type.dtype.itemsize

    @property
    def nbytes(self) -> Any:
        return self.size * self.itemsize

    @property
    def T(self) -> Array:
        return self if self.ndim < 2 else _permuted(self, tuple(reversed(range(self.ndim))))

    @property
    def mT(self) -> Array:
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        order = range(self.ndim)
        return _permuted(self, (*order[:-2], order[-1], order[-2]))

    @property
    def real(self) -> Array:
        if self.weak is None and self.dtype.kind != "c":
            return self
        return _part(self, ops.real)

    @property
    def imag(self) -> Array:
        return _part(self, ops.imag)

    def __getattr__(self, name: str) -> Any:
        method = METHODS.get(name)
        if method is not None:
            return MethodType(method, self)
        cls = self.__class__
        if name.startswith("__") or not hasattr(cls, name):
            raise AttributeError(f"'{cls.__name__}' object has no attribute '{name}'")
        if callable(getattr(cls, name)):
            return MethodType(_unsupported_method(name), self)
        raise failure(
            UnsupportedError,
            f"the attribute .{name} describes memory, and a traced array has none",
            "ask for it outside the jitted function",
        )

    @shape.setter
    def shape(self, value: Any) -> None:
        raise no_writing(f"setting the shape of {self.node.type}")

    @dtype.setter
    def dtype(self, value: Any) -> None:
        raise no_writing(f"setting the dtype of {self.node.type}")

    @real.setter
    def real(self, value: Any) -> None:
        raise no_writing(f"assigning to the real part of {self.node.type}")

    @imag.setter
    def imag(self, value: Any) -> None:
        raise no_writing(f"assigning to the imaginary part of {self.node.type}")

    # Indexing

    def __getitem__(self, index: Any) -> Array:
        if self.is_scalar and not _adds_axes(index):
            raise IndexError("invalid index to scalar variable.")
        node, is_scalar = indexed(node_of(self), index)
        return Array(node, is_scalar)

    def __len__(self) -> int:
        if self.ndim == 0:
            kind = (
                "object of type '{}' has no len()" if self.is_scalar else "len() of unsized object"
            )
            raise TypeError(kind.format(self.__class__.__name__))
        return operator.index(self.shape[0])

    def __iter__(self) -> Iterator[Array]:
        if self.ndim == 0:
            kind = "'{}' object is not iterable" if self.is_scalar else "iteration over a 0-d array"
            raise TypeError(kind.format(self.__class__.__name__))
        return (self[position] for position in range(len(self)))

    def __contains__(self, item: Any) -> bool:
        return bool((self == item).any())

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.is_scalar:
            name = self.__class__.__name__
            raise TypeError(f"'{name}' object does not support item assignment")
        raise no_writing(f"assigning to elements of {self.node.type}")

    def __delitem__(self, index: Any) -> None:
        raise ValueError("cannot delete array elements")

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "__call__":
            return apply(ufunc, *inputs, **options)
        return _ufunc_method(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        implementation = FUNCTIONS.get(function)
        if implementation is None:
            raise _no_rule(_name_of(function))
        return implementation(*args, **kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        known = known_value(node_of(self))
        if known is None:
            raise needs_value(self, "as an ndarray", "use astype, or a NumPy function that has a rule")
        return np.array(known, dtype)

    # Where Python needs the value itself

    def __bool__(self) -> bool:
        return bool(_concrete(self, "as a truth value"))

    def __int__(self) -> int:
        return int(_concrete(self, "by int()", "use astype or a NumPy function"))

    def __float__(self) -> float:
        return float(_concrete(self, "by float()", "use astype or a NumPy function"))

    def __complex__(self) -> complex:
        return complex(_concrete(self, "by complex()", "use astype or a NumPy function"))

    def __index__(self) -> int:
        return operator.index(_concrete(self, "as an index or a count"))

    def __round__(self, digits: int | None = None) -> Any:
        return round(_concrete(self, "by round()"), digits)

    def __trunc__(self) -> int:
        return int(_concrete(self, "by math.trunc()"))

    def __floor__(self) -> int:
        return int(np.floor(_concrete(self, "by math.floor()")))

    def __ceil__(self) -> int:
        return int(np.ceil(_concrete(self, "by math.ceil()")))

    def __hash__(self) -> int:
        if not self.is_scalar:
            raise TypeError("unhashable type: 'numpy.ndarray'")
        return hash(_concrete(self, "as a key"))

    def item(self, *index: Any) -> Any:
        """The value as a Python number: only its type changes, it stays traced."""
        if len(index) == 1 and type(index[0]) is tuple:
            index = index[0]
        elif len(index) == 1 and self.ndim != 1:
            return Array(ops.reshape(node_of(self), shape=(self.size,))).item(*index)
        chosen = self[index]
        if not index and self.size == 1:
            chosen = Array(ops.reshape(self.node, shape=()), True)
        if chosen.ndim:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return to_weak(chosen)

    def __repr__(self) -> str:
        weak = "" if self.weak is None else f", {self.weak.__name__}"
        return f"Array({self.node.type}{weak})"

    __str__ = __repr__

    def __format__(self, form: str) -> str:
        if not form:
            return repr(self)
        known = known_value(node_of(self))
        if known is None:
            raise needs_value(self, f"to be formatted as {form!r}", "format the result of the call")
        return format(np.asarray(known)[()] if self.is_scalar else known, form)

    def __reduce_ex__(self, _: Any) -> Any:
        raise failure(TraceError, "a traced value cannot be pickled or stored", "return it instead")

    def __copy__(self) -> Array:
        return Array(node_of(self), self.is_scalar, self.weak)

    def __deepcopy__(self, _: dict) -> Array:
        return self.__copy__()


def wrap(node: Node, scalar: bool = False) -> Array:
    """An Array of the trace in progress; `scalar` where NumPy returns a scalar, not an array."""
    return Array(node, scalar)


def to_array(value: Any, dtype: Any = None) -> Array:
    """What `np.asarray(value)` would be, traced."""
    if type(value) is Array and dtype is None and value.weak is None and not value.is_scalar:
        node_of(value)
        return value
    return Array(to_node(value, dtype))


def to_weak(scalar: Array) -> Array:
    """A traced scalar as the Python number `.item()` gives."""
    kind = scalar.dtype.kind
    weak: type = {"b": bool, "i": int, "u": int, "f": float, "c": complex}[kind]
    return Array(cast(scalar.node, DEFAULT_DTYPES[weak]), True, weak)


def apply(ufunc: np.ufunc, *inputs: Any, **options: Any) -> Any:
    """`ufunc(*inputs, **options)` on anything array-like; a tuple for ufuncs with two results.

    Of the options dtype, casting, signature, order and subok are honoured; out and where are
    refused with UnsupportedError.
    """
    implementation = FUNCTIONS.get(ufunc)
    if implementation is not None:
        return implementation(*inputs, **options)
    signature, casting = _options(ufunc, options) if options else (None, "same_kind")
    operands = []
    for value in inputs:
        operand = to_operand(value)
        if operand is None:
            raise TypeError(
                f"ufunc '{ufunc.__name__}' did not contain a loop with signature matching types: "
                f"an operand is a {type(value).__name__}"
            )
        operands.append(operand)
    if len(operands) != ufunc.nin:
        raise TypeError(
            f"{ufunc.__name__}() takes from {ufunc.nin} to {ufunc.nargs} positional arguments "
            f"but {len(operands)} were given"
        )
    nodes = apply_to_nodes(ufunc, operands, signature, casting)
    results = [Array(node, not node.type.shape) for node in nodes]
    return results[0] if len(results) == 1 else tuple(results)


def _options(ufunc: np.ufunc, options: dict[str, Any]) -> tuple[Any, str]:
    out = options.pop("out", None)
    if out is not None and any(
        item is not None for item in (out if type(out) is tuple else (out,))
    ):
        raise no_writing(f"{ufunc.__name__}(..., out=)")
    where = options.pop("where", True)
    if where is not True:
        raise failure(
            UnsupportedError,
            f"{ufunc.__name__}(..., where=) leaves elements unset and cannot be compiled",
            "use np.where(condition, result, other)",
        )
    dtype, signature = (
        options.pop("dtype", None),
        options.pop("signature", options.pop("sig", None)),
    )
    casting = options.pop("casting", "same_kind")
    options.pop("order", None)
    options.pop("subok", None)
    if options:
        raise TypeError(
            f"{ufunc.__name__}() got an unexpected keyword argument '{next(iter(options))}'"
        )
    return signature_of(ufunc, dtype, signature), casting


_REDUCTIONS = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}
_ACCUMULATIONS = {np.add: np.cumsum, np.multiply: np.cumprod}


def _ufunc_method(ufunc: np.ufunc, method: str, inputs: tuple, options: dict[str, Any]) -> Any:
    if method == "outer":
        first, second = (to_array(value) for value in inputs)
        spread = first.shape + (1,) * second.ndim
        return apply(ufunc, Array(ops.reshape(first.node, shape=spread)), second, **options)
    table = {"reduce": _REDUCTIONS, "accumulate": _ACCUMULATIONS}.get(method, {})
    implementation = FUNCTIONS.get(table.get(ufunc))
    if implementation is None:
        raise _no_rule(f"{ufunc.__name__}.{method}")
    if options.get("out") in (None, (None,)):
        options.pop("out", None)
    options.setdefault("axis", 0)
    return implementation(*inputs, **options)


def _concrete(array: Array, use: str, remedy: str = "use np.where for a choice by value") -> Any:
    known = known_value(node_of(array))
    if known is None:
        raise needs_value(array, use, remedy)
    return np.asarray(known)[()]


def _no_rule(name: str) -> TracejitError:
    return failure(
        UnsupportedError,
        f"{name} has no rule for traced arrays",
        "compute it outside the jitted function, or write it with other NumPy functions",
    )


def _unsupported_method(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise _no_rule(f"ndarray.{name}")

    return refuse


def _name_of(function: Any) -> str:
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{getattr(function, '__name__', function)}"


def _adds_axes(index: Any) -> bool:
    items = index if type(index) is tuple else (index,)
    return all(item is None or item is Ellipsis for item in items)


def _permuted(array: Array, axes: tuple[int, ...]) -> Array:
    return Array(ops.transpose(node_of(array), axes=axes))


def _part(array: Array, op: Any) -> Array:
    """The real or imaginary part; the imaginary part of real numbers is zero."""
    node = node_of(array)
    if node.type.dtype.is_complex:
        weak = None if array.weak is None else float
        return Array(op(node), array.is_scalar, weak)
    if op is ops.real:
        weak = int if array.weak is bool else array.weak
        return Array(cast(node, DEFAULT_DTYPES[weak]), True, weak)
    zero = broadcast_to_shape(constant(0, node.type.dtype), node.type.shape)
    return Array(zero, array.is_scalar, array.weak)
