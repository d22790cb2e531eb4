"""Masked selections: `x[mask]`, where only data can tell how many elements that is.

A selection is not computed: it is the whole array and the mask. What is done to its elements is
done to all elements of the whole, which costs less than gathering them; a reduction leaves out the
others, and assigning it by the same mask is a choice between new and old. Masks are nodes, so equal
masks of the same values are one, however often the program writes them.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..errors import TracejitError, UnsupportedError
from ..ir import ops
from ..ir.dims import is_never_negative
from ..ir.graph import Node
from ..ir.types import array_type, bool_, i64
from .advanced import indexed
from .application import apply, split_out, ufunc_method
from .array import Array, to_array, view
from .assigned import assigned_node, is_mask
from .broadcasting import broadcast_to_shape, reshaped_node, stretched
from .context import failure
from .extents import bound
from .host import call_through_python, known
from .mirrors import mirror, side_by_side
from .operators import Operators
from .promotion import cast, constant
from .registry import FUNCTIONS, MASKS, METHODS
from .value import Value, extent_node, known_value, literal, node_of, to_node

# The methods that selections have in common with the NumPy functions of the same names.
_METHODS = (
    "all", "any", "argmax", "argmin", "clip", "dot", "max", "mean", "min", "prod", "round", "std",
    "sum", "var",
)  # fmt: skip
# What does not depend on the elements.
_ABOUT = ("__array_namespace__", "device")


class Selection(Operators):
    """`full[mask]`, for a mask of the first axes of `full`, which is memory of its own.

    Where the elements themselves are needed, side by side, Python gathers them where it may.
    """

    __slots__ = ("full", "mask")
    __array_priority__ = 2000.0

    def __init__(self, full: Array, mask: Node):
        self.owner, self.is_scalar, self.weak = full.owner, False, None
        self.full, self.mask = full, mask

    @property
    def node(self) -> Node:
        return self.gathered("to be used like this").node

    @property
    def packs(self) -> bool:
        """Whether what is gathered is an array of an extent that the program counts."""
        return self.owner.packs and not self.owner.lacks_ints

    def gathered(self, use: str = "for an operation that does not know of masks") -> Array:
        """The elements side by side, in an array that is one memory with the selection."""
        if self.packs:
            found = self.packed()
        else:
            found = self.counted(use)
        mirror(self.full, self.mask, found)
        return found

    def counted(self, use: str) -> Array:
        """The same, by Python, which tells how many there are; the program is for that many."""
        if self.owner.is_tentative or not self.owner.calls_python:
            raise self.refused(use)
        return call_through_python(known(operator.getitem), (self.full, Array(self.mask)), {})

    def packed(self) -> Array:
        """The same, of an extent that the program counts: so it serves whatever data selects."""
        self.owner.has_packed = True
        rows = self.rows
        most, *rest = rows.type.shape
        extent = bound(self.count, 0, most, "selected")
        starts, steps = (0,) * rows.type.ndim, (1,) * rows.type.ndim
        return Array(ops.slice_(rows, start=starts, stop=(extent, *rest), step=steps))

    def refused(self, use: str) -> TracejitError:
        return failure(
            UnsupportedError,
            f"what a mask of type {self.mask.type} selects of {self.full.node.type} would have to be "
            f"gathered {use}; how many elements that is depends on the arguments",
            "combine what the same mask selects, reduce it, assign it by the same mask, or use "
            "np.where(mask, x, other)",
        )

    @property
    def __class__(self) -> type:
        return np.ndarray

    @property
    def kind(self) -> np.dtype:
        return self.dtype

    # Attributes

    @property
    def dtype(self) -> np.dtype:
        return self.full.dtype

    @property
    def ndim(self) -> int:
        return self.full.ndim - self.lead + 1

    @property
    def lead(self) -> int:
        """How many axes of `full` the mask spans."""
        return self.mask.type.ndim

    @property
    def count(self) -> Node:
        """How many elements the mask selects, an i64."""
        return ops.sum_(cast(self.mask, i64), axes=tuple(range(self.lead)))

    @property
    def rows(self) -> Node:
        """The elements side by side, from the first row on, and something after them."""
        return side_by_side(self.full, self.mask)

    @property
    def shape(self) -> tuple:
        return (Array(self.count, True, int), *self.full.shape[self.lead :])

    @property
    def size(self) -> Any:
        size: Any = Array(self.count, True, int)
        for extent in self.full.shape[self.lead :]:
            size = size * extent
        return size

    @property
    def itemsize(self) -> int:
        return self.full.itemsize

    @property
    def real(self) -> Selection:
        return Selection(self.full.real, self.mask)

    @property
    def imag(self) -> Selection:
        return Selection(self.full.imag, self.mask)

    @property
    def T(self) -> Any:
        return self if self.ndim == 1 else self.gathered("to be transposed").T

    @property
    def flat(self) -> Any:
        return self.gathered("for .flat").flat

    @flat.setter
    def flat(self, value: Any) -> None:
        self.flat[:] = value

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS:
            function = FUNCTIONS[getattr(np, name)]
            return lambda *args, **options: function(self, *args, **options)
        if name in _ABOUT:
            return getattr(self.full, name)
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"'numpy.ndarray' object has no attribute '{name}'")
        if name == "resize":
            raise self.refused("to be resized")
        return getattr(self.gathered(f"for .{name}"), name)

    # Copies

    def astype(self, *args: Any, **options: Any) -> Selection:
        return Selection(METHODS["astype"](self.full, *args, **options), self.mask)

    def copy(self, order: str = "C") -> Selection:
        return Selection(Array(self.full.node), self.mask)

    def flatten(self, order: str = "C") -> Any:
        return self.copy() if self.ndim == 1 else self.gathered("to be flattened").flatten(order)

    def ravel(self, order: str = "C") -> Any:
        return self if self.ndim == 1 else self.flatten(order)

    def conjugate(self) -> Any:
        return self.__array_ufunc__(np.conjugate, "__call__", self)

    conj = conjugate
    __copy__ = copy

    def __deepcopy__(self, _: dict) -> Selection:
        return self.copy()

    def fill(self, value: Any) -> None:
        self.full.fill(value)

    # Indexing

    def __getitem__(self, index: Any) -> Any:
        try:
            part, mask = _chosen(self, index)
        except UnsupportedError:
            return self.gathered("to be indexed")[index]
        return Selection(part if mask is self.mask else Array(part.node), mask)

    def __setitem__(self, index: Any, value: Any) -> None:
        try:
            part, mask = _chosen(self, index)
            if mask is self.mask and isinstance(value, Selection) and value.full.is_same_view(part):
                return  # `y[:] += 1` ends by assigning the view to itself
            _assign(part, mask, value)
        except UnsupportedError:
            self.gathered("to be written to")[index] = value

    def __iter__(self) -> Any:
        return iter(self.counted("to be iterated over"))

    def __len__(self) -> int:
        return len(self.counted("for its length, as an int"))

    def __bool__(self) -> bool:
        return bool(self.counted("as a truth value"))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.counted("as an ndarray").__array__(dtype)

    def __repr__(self) -> str:
        return f"Selection({self.full.node.type} by {self.mask.type})"

    # NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            return ufunc_method(ufunc, method, inputs, options)
        if ufunc is np.matmul and len(inputs) == 2 and not options:
            return FUNCTIONS[np.dot](*inputs)
        inputs, out = split_out(ufunc, inputs, options)
        targets = [target for target in out or () if target is not None]
        where = [options["where"]] if "where" in options else []
        try:
            values, mask = aligned(*inputs, *where, *targets)
        except UnsupportedError:
            if targets:
                raise
            return apply(ufunc, *gathered(inputs), **gathered(options))
        if where:
            options["where"] = values[len(inputs)]
        if targets:
            if any(not isinstance(target, Selection) for target in targets):
                raise self.refused("to be written to an array")
            options["out"] = tuple([None if target is None else target.full for target in out])
        values = values[: len(inputs)]
        if ufunc is np.power:
            values = [_harmless(value, mask) for value in values]
        found = apply(ufunc, *values, **options)
        if targets:
            return out[0] if len(out) == 1 else out
        return selected(found, mask)

    __array_function__ = Array.__array_function__


def gathered(values: Any) -> Any:
    """Values with arrays for selections, also inside lists, tuples and dicts."""
    if isinstance(values, Selection):
        return values.gathered()
    if type(values) in (list, tuple):
        return type(values)(gathered(value) for value in values)
    return {k: gathered(v) for k, v in values.items()} if type(values) is dict else values


def selected(found: Any, mask: Node) -> Any:
    """What `mask` selects of an array, or of each in a tuple or list."""
    if type(found) in (tuple, list):
        return type(found)(selected(item, mask) for item in found)
    return Selection(found, mask)


def aligned(*values: Any) -> tuple[list, Node]:
    """Values to combine with one another, with whole arrays for selections; and the mask of these.

    Raises UnsupportedError where the number of selected elements would have to fit something.
    """
    found = [value for value in values if isinstance(value, Selection)]
    first = found[0]
    if any(other.mask is not first.mask or other.ndim != first.ndim for other in found[1:]):
        raise first.refused("to be combined with what another mask selects")
    return [beside(value, first) for value in values], first.mask


def beside(value: Any, selection: Selection) -> Any:
    """A value that is combined with a selection, as one to be combined with the whole array."""
    if isinstance(value, Selection):
        return value.full
    own = value.ndim if isinstance(value, Value) else np.ndim(value) if value is not None else 0
    if own < selection.ndim:
        return value
    value = to_array(value)
    if own == selection.ndim and value.node.type.shape[0] == 1:
        return Array(reshaped_node(value.node, value.node.type.shape[1:]))
    raise selection.refused(f"to be combined with {value.node.type}")


def _harmless(value: Any, mask: Node) -> Any:
    """Operands of an integer power with 1 where nothing is selected: it refuses negative exponents."""
    if not isinstance(value, Array) or value.dtype.kind not in "iu" or value.ndim < mask.type.ndim:
        return value
    return filled_outside(value, mask, 1)


def filled_outside(full: Array, mask: Node, number: Any) -> Array:
    """The whole array with a number where nothing is selected."""
    type = full.node.type
    other = broadcast_to_shape(constant(number, type.dtype), type.shape)
    return Array(ops.where(stretched(mask, type.shape), full.node, other))


# Which part of an array an index selects, and by which mask.


def read(array: Array, index: Any) -> Selection:
    """`array[index]`, for an index with a mask or with positions that a mask selected."""
    if (
        isinstance(index, Selection)
        and index.dtype.kind in "iu"
        and _mask_of_positions(index) is None
    ):
        if array.shape[:1] == (0,):  # in which there is no place for those that are not selected
            return array[index.gathered("to be positions in nothing")]
        inside = filled_outside(index.full, index.mask, 0)
        return Selection(array[inside], index.mask)
    part, mask = _chosen(array, index)
    return Selection(Array(part.node), mask)


def write(array: Array, index: Any, value: Any) -> None:
    """`array[index] = value`, for such an index."""
    _assign(*_chosen(array, index), value)


MASKS["get"], MASKS["set"] = read, write


def _chosen(array: Array | Selection, index: Any) -> tuple[Array, Node]:
    """The view of all that the index chooses apart from its mask, and the mask of first axes."""
    full, lead, mask = array, 0, None
    if isinstance(array, Selection):
        full, lead, mask = array.full, array.lead - 1, array.mask
    items = index if type(index) is tuple else (index,)
    found = _mask_of_positions(*items)
    if found is not None:
        first, rest = found, ()
    else:
        while items and items[0] is Ellipsis and len(items) == full.ndim - lead:
            items = items[1:]  # an ellipsis for no axes
        first, *rest = items or (Ellipsis,)
    if isinstance(array, Selection):
        own, rest = _of_selection(array, first, rest)
    else:
        own = node_of(to_array(first)) if is_mask(first) else first
    if not isinstance(own, Node) or not all(_is_basic(item) for item in rest):
        raise _mixed(array, index)
    _check(own, full)
    whole = (slice(None),) * own.type.ndim
    node, _ = indexed(node_of(full), (*whole, *rest)) if rest else (node_of(full), False)
    part = view(full, node) if rest else full
    return part, own


def _of_selection(selection: Selection, first: Any, rest: list) -> tuple[Any, list]:
    """The mask that an index into a selection leaves of its own."""
    if first is Ellipsis and not rest:
        return selection.mask, []
    if isinstance(first, slice) and first == slice(None):
        return selection.mask, rest
    if isinstance(first, Selection) and first.mask is selection.mask:
        if first.dtype == np.bool_:
            inner = node_of(first.full)
            return ops.logical_and(stretched(selection.mask, inner.type.shape), inner), rest
    raise selection.refused("to be indexed")


def _is_basic(item: Any) -> bool:
    return item is None or item is Ellipsis or isinstance(item, slice | int)


def _mixed(array: Any, index: Any) -> TracejitError:
    return failure(
        UnsupportedError,
        "a mask that depends on the arguments is mixed with other indices in a way that is not compiled",
        "index the first axes by the mask, the others by slices and numbers: x[mask, 1:]",
    )


def _check(mask: Node, array: Array) -> None:
    if mask.type.ndim > array.ndim:
        raise IndexError(
            f"too many indices for array: array is {array.ndim}-dimensional, but "
            f"{mask.type.ndim} were indexed"
        )
    for axis, (have, given) in enumerate(zip(array.shape, mask.type.shape)):
        if have != given:
            raise IndexError(
                f"boolean index did not match indexed array along axis {axis}; size of axis is "
                f"{have} but size of corresponding boolean axis is {given}"
            )


def positions(mask: Node) -> list[Node]:
    """For each axis of a mask, the positions along it, of the mask's shape."""
    shape = mask.type.shape
    return [
        ops.broadcast(ops.iota(extent=extent, dtype=i64), shape=shape, axes=(axis,))
        if len(shape) > 1
        else ops.iota(extent=extent, dtype=i64)
        for axis, extent in enumerate(shape)
    ]


def nonzero(condition: Any) -> tuple[Any, ...]:
    """`np.nonzero(condition)`: for each axis, the positions of what is true."""
    mask = to_node(condition, bool_)
    if mask.type.ndim == 0:
        raise ValueError(
            "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() "
            "instead. If the context of this error is of the form `arr[nonzero(cond)]`, just use "
            "`arr[cond]`."
        )
    known = known_value(mask)
    if known is not None:
        return tuple([Array(literal(found)) for found in np.nonzero(known)])
    return tuple([Selection(Array(found), mask) for found in positions(mask)])


def _mask_of_positions(*items: Any) -> Node | None:
    """The mask whose `nonzero()` the items are, if they are."""
    if not items or not all(isinstance(item, Selection) for item in items):
        return None
    mask = items[0].mask
    if any(item.mask is not mask for item in items) or len(items) != mask.type.ndim:
        return None
    same = all(item.full.node is own for item, own in zip(items, positions(mask)))
    return mask if same else None


def _assign(part: Array, mask: Node, value: Any) -> None:
    """Exchange what `mask` selects of `part` for the value, which may be selected by it, too."""
    selection, type = Selection(part, mask), part.node.type
    try:
        values, _ = aligned(selection, value)
    except UnsupportedError:
        listed = _listed(part, mask, value)
        if listed is None:
            raise
        chosen, node = listed
    else:
        chosen, node = stretched(mask, type.shape), assigned_node(values[1], type)
    part.write(ops.where(chosen, node, part.node))


def _listed(part: Array, mask: Node, value: Any) -> tuple[Node, Node] | None:
    """Values one after the other for what a mask selects, as the mask, once they are seen to be as many, and an
    array that has each at its place; None where that is not what they are."""
    is_selection = isinstance(value, Selection)
    value = value if is_selection else to_array(value)
    if part.ndim != mask.type.ndim or value.ndim != 1:
        return None
    node = value.rows if is_selection else node_of(value)
    size = node.type.shape[0]
    if not is_never_negative(size - 1):
        return None
    own = value.count if is_selection else extent_node(size)
    node = assigned_node(Array(node), array_type((size,), part.node.type.dtype))
    flat = Array(reshaped_node(mask, (mask.type.size,)))
    count = FUNCTIONS[np.cumsum](flat, dtype=np.int64)
    place = apply(np.minimum, count - 1, Array(extent_node(size - 1), True))
    found = Array(node)[apply(np.maximum, place, 0)]
    total = Selection(part, mask).count
    is_fed = ops.equal(ops.fed(total, own), total)
    shape = part.node.type.shape
    chosen = ops.logical_and(mask, broadcast_to_shape(is_fed, shape))
    return chosen, reshaped_node(node_of(found), shape)
