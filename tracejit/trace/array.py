"""`Array`: a traced value that user code handles exactly as it handles an ndarray."""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any

import numpy as np

from ..errors import NotNumbers, TraceError, UnsupportedError
from ..ir import ops
from ..ir.dims import COMPARED, Dim, as_number
from ..ir.graph import Node
from ..ir.term import locate, location_of
from ..ir.types import ArrayType, DType
from .advanced import gather_of, indexed, with_known_places
from .assigned import (
    NO_FIT,
    NO_OPERAND,
    agreed_shape,
    assigned_node,
    is_mask,
    mask_of_last_axes,
    selects,
)
from .broadcasting import broadcast_to_shape, narrowed
from .context import current_trace, failure, for_numpy
from .conversions import Conversions
from .extents import is_computed
from .host import WRAP, call_through_python, known
from .location import user_line
from .operators import needs_value
from .promotion import DEFAULT_DTYPES, cast, constant
from .registry import APPLICATIONS, ATTRIBUTES, MASKS, METHODS, MIRRORS
from .unread import note
from .unruled import apply_function, method_without_rule, write_through_python
from .value import Value, extent_node, known_value, node_of, to_node
from .views import (
    Steps,
    Storage,
    applied,
    can_write,
    is_in_order,
    joined,
    protected,
    reorders,
    steps_between,
    strides_after,
    written,
)


class Array(Conversions):
    """A traced array, or a traced scalar, with ndarray's attributes, operators and methods.

    Its value is not known while tracing: asking for it raises TraceError, unless it depends on no
    argument. An array is a view of a storage, which it gets when it is first viewed or written.
    """

    __slots__ = ("_node", "_storage", "_version", "birth", "steps")
    __array_priority__ = 1000.0

    def __init__(self, node: Node, scalar: bool = False, weak: type | None = None):
        trace = current_trace()
        if trace is None:
            raise failure(TraceError, "traced values exist only while a function is traced")
        self.owner, self.is_scalar, self.weak = trace, scalar, weak
        self._node, self._version = node, 0
        self._storage: Storage | None = None
        self.steps: Steps = ()
        self.birth = trace.births = trace.births + 1
        trace.locate(node)

    # Memory

    @property
    def node(self) -> Node:
        """The value now: what was written to the storage since changes it."""
        storage = self._storage
        if storage is not None and self._version != storage.version:
            self._node, self._version = applied(storage.node, self.steps), storage.version
        return self._node

    @property
    def storage(self) -> Storage:
        """The memory this array is a view of."""
        if self._storage is None:
            self._storage = Storage(self._node, birth=self.birth)
        return self._storage

    def settle(self, storage: Storage, steps: Steps = ()) -> Array:
        """Make this the view of `storage` by these steps."""
        self._storage, self.steps, self._version = storage, steps, storage.version
        return self

    def write(self, value: Node) -> None:
        """Exchange the elements for `value`, a node of this array's own type."""
        storage = self.storage
        if not (storage.can_write and can_write(self.steps)):
            raise ValueError("assignment destination is read-only")
        node_of(self)
        if storage.doubt:
            raise failure(
                UnsupportedError,
                f"whether an array and its {storage.doubt}, and one of them is written",
                "make it of a copy: x.copy().reshape(...)",
            )
        self.owner.will_write(storage)
        storage.node = written(storage.node, self.steps, value)
        self.owner.locate(storage.node)
        storage.version += 1
        self._node, self._version = value, storage.version
        for mirror in storage.mirrors:
            mirror()

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
        return _permuted(self, tuple(reversed(range(self.ndim))))

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

    @property
    def strides(self) -> tuple:
        """In bytes, where it is certain how NumPy has the elements."""
        if not is_in_order(self.storage):
            raise failure(
                UnsupportedError,
                "the attribute .strides of what NumPy may have in either order of memory",
                "ask for it outside the jitted function",
            )
        strides = strides_after(self.storage, self.steps)
        return tuple([as_number(stride * self.itemsize) for stride in strides])

    @property
    def flat(self) -> Any:
        return ATTRIBUTES["flat"](self)

    @flat.setter
    def flat(self, value: Any) -> None:
        self.flat[:] = value

    def __getattr__(self, name: str) -> Any:
        method = METHODS.get(name)
        if method is not None:
            return MethodType(method, self)
        if name in ATTRIBUTES:
            return ATTRIBUTES[name](self)
        cls = self.__class__
        if name.startswith("__") or not hasattr(cls, name):
            raise AttributeError(f"'{cls.__name__}' object has no attribute '{name}'")
        if callable(getattr(cls, name)):
            return MethodType(method_without_rule(name), self)
        raise failure(
            NotNumbers,
            f"the attribute .{name} describes memory, and a traced array has none",
            "ask for it outside the jitted function",
        )

    @shape.setter
    def shape(self, value: Any) -> None:
        new = METHODS["reshape"](self, value)
        if new.storage is not self.storage:
            raise AttributeError(
                "Incompatible shape for in-place modification. Use `.reshape()` to make a copy "
                "with the desired shape."
            )
        self._node, self.steps = new.node, new.steps

    @dtype.setter
    def dtype(self, value: Any) -> None:
        raise failure(
            UnsupportedError,
            f"setting the dtype of {self.node.type} gives its bytes another meaning",
            "convert with astype",
        )

    @real.setter
    def real(self, value: Any) -> None:
        assign(self.real, value)

    @imag.setter
    def imag(self, value: Any) -> None:
        if not self.node.type.dtype.is_complex:
            raise TypeError("array does not have imaginary part to set")
        assign(self.imag, value)

    # Indexing

    def __getitem__(self, index: Any) -> Array:
        if self.is_scalar and not _adds_axes(index):
            raise IndexError("invalid index to scalar variable.")
        if self.storage.mirrors and (whole := MIRRORS["row"](self, index)) is not None:
            return whole[0][whole[1]]
        try:
            if selects(index):
                return MASKS["get"](self, index)
            node, is_scalar = indexed(node_of(self), index)
            if gather_of(node).op is ops.gather:
                note(self.owner, node, sys._getframe(1).f_code)
        except UnsupportedError:  # how many elements there are depends on values
            if self.owner.is_tentative or not self.owner.calls_python:
                raise
            return call_through_python(known(operator.getitem), (self, index), {})
        if is_scalar:
            return Array(node, True)
        found = view(self, node)
        if found.storage is not self.storage:
            MIRRORS["mirror"](self, index, found)
        return found

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
        if is_computed(self.shape[0]):
            raise for_numpy(
                failure(
                    UnsupportedError,
                    f"how many values {self.node.type} has for names depends on the arguments",
                    "take them one by one: x[0], x[1]",
                )
            )
        return (self[position] for position in range(len(self)))

    def __contains__(self, item: Any) -> bool:
        return bool((self == item).any())

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.is_scalar:
            name = self.__class__.__name__
            raise TypeError(f"'{name}' object does not support item assignment")
        if self.storage.mirrors and (whole := MIRRORS["row"](self, index)) is not None:
            self, index = whole
        if MIRRORS["itself"](self, index, value):
            return
        try:
            written = assign_items(self, index, value)
            if written is not None:
                note(self.owner, written, sys._getframe(1).f_code)
        except UnsupportedError:  # it chooses elements in a way that there is no rule for
            is_whole = index is Ellipsis
            if is_whole or self.owner.is_tentative or not self.owner.calls_python:
                raise
            write_through_python(known(operator.setitem), (self, index, value), {})

    def __delitem__(self, index: Any) -> None:
        raise ValueError("cannot delete array elements")

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(value, Value) and value.mask is not None for value in inputs):
            return NotImplemented  # the selection knows how
        if method == "__call__":
            return APPLICATIONS["call"](ufunc, *inputs, **options)
        return APPLICATIONS["method"](ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        return apply_function(function, args, kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        known = known_value(node_of(self))
        if known is None:
            remedy = "use astype, or a NumPy function that has a rule"
            error = for_numpy(needs_value(self, "as an ndarray", remedy))
            error.is_about_ndarrays = True
            raise error
        return np.array(known, dtype)

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

    def __reduce_ex__(self, _: Any) -> Any:
        raise failure(TraceError, "a traced value cannot be pickled or stored", "return it instead")

    def is_same_view(self, other: Array) -> bool:
        """Whether this is, now, the very memory that `other` is."""
        same = self._storage is not None and self._storage is other._storage
        return same and self.steps == other.steps

    def __copy__(self) -> Array:
        return Array(node_of(self), self.is_scalar, self.weak)

    def __deepcopy__(self, _: dict) -> Array:
        return self.__copy__()


def view(array: Array, node: Node) -> Array:
    """`node`, which movement makes of the value of `array`, as what NumPy has there: a view of its
    memory, or a copy where the elements do not lie in order."""
    new = Array(node)
    steps = steps_between(node, array.node)
    if steps is None:
        return new
    is_doubtful = reorders(steps) and not is_in_order(array.storage)
    steps = joined(array.steps, steps)
    if strides_after(array.storage, steps) is not None:
        new.settle(array.storage, steps)
    if is_doubtful:
        doubt(
            array, new, "reshape share memory depends on the order in which NumPy has the elements"
        )
    return new


def doubt(array: Array, other: Array, what: str) -> None:
    """Let neither be written: NumPy has, or may have, a view where this is a value of its own."""
    array.storage.doubt = other.storage.doubt = what


def view_or_doubt(array: Array, value: Array, what: str, can_write: bool = True) -> Array:
    """What NumPy has as a view of `array`, if it can be one here; else neither may be written."""
    new = view(array, value.node)
    if new.storage is not array.storage:
        doubt(array, new, f"{what} share memory is not told")
    elif not can_write:
        new.settle(array.storage, protected(new.steps, new.node.type.shape))
    return new


def viewing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a NumPy function whose results are views of its first argument, where they can be."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        source = args[0] if args else next(iter(kwargs.values()), None)
        return _as_views(result, source)

    return run


def _as_views(result: Any, source: Any) -> Any:
    if not isinstance(source, Array) or source.is_scalar:
        return result
    if type(result) in (tuple, list):
        return type(result)(_as_views(item, source) for item in result)
    if result is source or not isinstance(result, Array) or result.is_scalar:
        return result
    return view(source, result.node)


def assign(target: Array, value: Any, casting: str = "unsafe") -> None:
    """`target[...] = value`: cast and stretched to the array's type, and written to its memory."""
    if isinstance(value, Array) and value.is_same_view(target):
        return  # `a[1:] += b` ends by assigning the view to itself
    target = agreeing(target, value)
    node = assigned_node(value, target.node.type, casting)
    target.write(node)


def agreeing(target: Array, value: Any) -> Array:
    """The part of `target` that `value` is known to fit, which is all of it if the program goes on."""
    shape = target.node.type.shape
    if not is_computed(shape) and not (isinstance(value, Value) and is_computed(value.node.type)):
        return target
    if isinstance(value, Value | np.ndarray):
        shape = agreed_shape(value, shape)
    part = narrowed(target.node, shape)
    return target if part is target.node else view(target, part)


def assign_items(target: Array, index: Any, value: Any) -> Node | None:
    """`target[index] = value`; gives the node that writes at positions, where they are computed."""
    chosen = mask_of_last_axes(index, target.node.type.shape)
    if chosen is not None and np.ndim(value) == 0:
        node = assigned_node(value, target.node.type)
        target.write(ops.where(chosen, node, target.node))
        return None
    if selects(index) or is_mask(index):
        MASKS["set"](target, index, value)
        return None
    node, _ = indexed(node_of(target), index)
    part = view(target, node)
    if part.storage is target.storage:
        assign(part, value)
        return None
    return scatter(target, node, value)


def scatter(
    target: Array, part: Node, value: Any, combine: tuple[str, DType] | None = None
) -> Node:
    """Write `value` to elements of `target` at computed positions: to those that `part` is read from.

    With `combine`, an op and its dtype, they are combined with what is there instead, one by one.
    """
    gather = gather_of(part)
    window = view(target, gather.operands[0])
    name, dtype = combine or (None, part.type.dtype)
    own = ArrayType(part.type.shape, dtype, None)
    stored = assigned_node(value, own, problem=NO_FIT if combine is None else NO_OPERAND)
    stored = written(gather, steps_between(part, gather) or (), stored)
    one = with_known_places(gather)
    if one is not gather:
        gather, window = one, view(target, one.operands[0])
        stored = ops.reshape(stored, shape=one.type.shape)
    indices, axes = gather.operands[1:], gather.attrs["axes"]
    new = ops.scatter(window.node, stored, *indices, axes=axes, combine=name)
    locate(new, location_of(gather) or user_line() or "")
    window.write(new)
    return new


WRAP[:] = [Array]


def _compared(relation: str, one: Dim, other: int | Dim) -> Array:
    """A comparison of what only data tells, as the program makes it."""
    return Array(_RELATIONS[relation](extent_node(one), extent_node(other)), True, bool)


_RELATIONS = {
    "<": ops.less, "<=": ops.less_equal, ">": ops.greater, ">=": ops.greater_equal,
    "==": ops.equal, "!=": ops.not_equal,
}  # fmt: skip


COMPARED[:] = [_compared]


def wrap(node: Node, scalar: bool = False) -> Array:
    """An Array of the trace in progress; `scalar` where NumPy returns a scalar, not an array."""
    return Array(node, scalar)


def to_array(value: Any, dtype: Any = None) -> Array:
    """What `np.asarray(value)` would be, traced."""
    if type(value) is Array and value.weak is None and not value.is_scalar:
        if dtype is None or node_of(value).type.dtype is dtype:
            node_of(value)
            return value
    return Array(to_node(value, dtype))


def to_weak(scalar: Array) -> Array:
    """A traced scalar as the Python number `.item()` gives."""
    kind = scalar.dtype.kind
    weak: type = {"b": bool, "i": int, "u": int, "f": float, "c": complex}[kind]
    return Array(cast(scalar.node, DEFAULT_DTYPES[weak]), True, weak)


def _adds_axes(index: Any) -> bool:
    items = index if type(index) is tuple else (index,)
    return all(item is None or item is Ellipsis or _is_truth(item) for item in items)


def _is_truth(item: Any) -> bool:
    """Whether it says if there is an element: NumPy has such masks without axes for scalars, too."""
    return np.ndim(item) == 0 and getattr(item, "dtype", type(item)) in (bool, np.bool_)


def _permuted(array: Array, axes: tuple[int, ...]) -> Array:
    node = node_of(array)
    if axes == tuple(range(len(axes))):
        return array if array.is_scalar else view(array, node)
    return view(array, ops.transpose(node, axes=axes))


def _part(array: Array, op: Any) -> Array:
    """The real or imaginary part; the imaginary part of real numbers is zero."""
    node = node_of(array)
    if node.type.dtype.is_complex:
        weak = None if array.weak is None else float
        return Array(op(node), True, weak) if array.is_scalar else view(array, op(node))
    if op is ops.real:
        weak = int if array.weak is bool else array.weak
        return Array(cast(node, DEFAULT_DTYPES[weak]), True, weak)
    zero = broadcast_to_shape(constant(0, node.type.dtype), node.type.shape)
    return Array(zero, array.is_scalar, array.weak)
