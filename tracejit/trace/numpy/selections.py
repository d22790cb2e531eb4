"""NumPy's functions on masked selections: elementwise ones, and reductions that leave elements out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import UnsupportedError
from ...ir import ops
from ...ir.expressions import identity
from ...ir.numpy_code import is_found
from ...ir.ops.ordered import ordered_loop
from ...ir.types import i64, to_dtype
from ..application import apply
from ..array import wrap
from ..broadcasting import broadcast_to_shape
from ..context import current_trace
from ..masked import Selection, aligned, beside, filled_outside, gathered, selected, stretched
from ..promotion import cast
from ..registry import CREATIONS, FUNCTIONS
from ..value import node_of
from .arguments import UNSET, all_axes, one_axis, option, refuse_out
from .building import choose, number, reshaped
from .reductions import of_something
from .statistics import EXACT_IN_FLOAT32, divided

# Functions of single elements, all of whose arguments are combined with one another.
ELEMENTWISE = {
    np.where, np.clip, np.round, np.around, np.fix, np.nan_to_num, np.select, np.angle, np.real,
    np.imag, np.isneginf, np.isposinf, np.isreal, np.iscomplex, np.isclose, np.i0, np.sinc,
    np.copy, np.astype, np.asarray, np.array, np.zeros_like, np.ones_like, np.empty_like,
    np.full_like,
}  # fmt: skip
# Functions of the elements of one argument alone, and the position of it.
OF_ONE = {np.interp: 0, np.digitize: 0, np.isin: 0, np.polyval: 1, np.searchsorted: 1}
# Functions that ask for what is known of a selection.
ABOUT = {np.shape, np.ndim, np.iscomplexobj, np.isrealobj, len}
# Reductions with `where=`, and those that have no result of nothing.
REDUCTIONS = {
    np.sum, np.prod, np.mean, np.var, np.std, np.any, np.all, np.max, np.amax, np.min, np.amin,
    np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd,
}  # fmt: skip
EXTREMA = {np.max: "maximum", np.amax: "maximum", np.min: "minimum", np.amin: "minimum"}


def _selections(values: Any) -> Iterator[Selection]:
    for value in values:
        if isinstance(value, Selection):
            yield value
        elif type(value) in (list, tuple):
            yield from _selections(value)


def select_functions() -> None:
    """Let every function of the tables see selections among its arguments."""
    for table in (FUNCTIONS, CREATIONS):
        for function, implementation in table.items():
            if inspect.isroutine(implementation) and not isinstance(function, np.ufunc):
                if type(function) is not type:
                    table[function] = _aware(function, implementation)


def _aware(function: Any, implementation: Callable[..., Any]) -> Callable[..., Any]:
    """The function without selections, which Python gathers where there is no other way."""

    @functools.wraps(implementation)
    def run(*args: Any, **options: Any) -> Any:
        found = next(_selections((*args, *options.values())), None)
        if found is None or function in ABOUT:
            return implementation(*args, **options)
        try:
            return _on_selections(function, implementation, args, options, found)
        except UnsupportedError:
            if not (found.owner.calls_python or found.owner.packs):
                raise
            return implementation(*gathered(args), **gathered(options))

    return run


def _on_selections(
    function: Any, implementation: Any, args: tuple, options: dict[str, Any], found: Selection
) -> Any:
    if function in ELEMENTWISE and (function is not np.where or len(args) == 3):
        return _on_elements(implementation, args, options)
    if function in OF_ONE and isinstance(args[OF_ONE[function]], Selection):
        return _of_one(implementation, OF_ONE[function], args)
    own = OWN.get(function)
    if args and isinstance(args[0], Selection):
        if function in REDUCTIONS:
            return _reduced(function, implementation, args, options)
        if own is not None:
            return own(*args, **options)
    raise found.refused(f"for {getattr(function, '__name__', function)}")


def _on_elements(implementation: Callable[..., Any], args: tuple, options: dict[str, Any]) -> Any:
    """The function on whole arrays; lists are of arrays, such as the choices of `np.select`."""
    listed: list[Any] = []
    for value in (*args, *options.values()):
        listed.extend(value if type(value) is list else [value])
    values, mask = aligned(*[value for value in listed if not _is_dtype(value)])
    known = dict(zip([id(v) for v in listed if not _is_dtype(v)], values))

    def whole(value: Any) -> Any:
        return [whole(v) for v in value] if type(value) is list else known.get(id(value), value)

    found = implementation(*map(whole, args), **{k: whole(v) for k, v in options.items()})
    return selected(found, mask)


def _is_dtype(value: Any) -> bool:
    return value is UNSET or isinstance(value, np.dtype | type | str)


def _of_one(implementation: Callable[..., Any], place: int, args: tuple) -> Any:
    selection = args[place]
    rest = (*args[:place], *args[place + 1 :])
    other = next(_selections(rest), None)
    if other is not None:
        raise other.refused("for one of the arguments")
    found = implementation(*args[:place], selection.full, *args[place + 1 :])
    return Selection(found, selection.mask)


def _reduced(function: Any, implementation: Any, args: tuple, options: dict[str, Any]) -> Any:
    """Along the selected axis, the function reduces what the mask selects; along others, all."""
    given = inspect.signature(implementation).bind(*args, **options).arguments
    x: Selection = given.pop(next(iter(given)))
    options = {**given, **given.pop("kwargs", {})}
    axes = all_axes(options.pop("axis", None), x.ndim)
    inner = tuple([axis + x.lead - 1 for axis in axes if axis])
    where = options.pop("where", UNSET)
    if where is not UNSET:
        where = beside(where, x)
    if 0 not in axes:
        found = implementation(x.full, axis=inner, where=where, **options)
        return Selection(found, x.mask)
    keepdims = bool(option(options.pop("keepdims", UNSET), False))
    if where is UNSET and not keepdims and (total := _in_order(function, x, options)) is not None:
        return total
    if _has_order(function, x, options):
        raise x.refused("to be added up in NumPy's order")
    mask = wrap(stretched(x.mask, x.full.node.type.shape))
    if where is not UNSET:
        mask = apply(np.logical_and, mask, where)
    neutral, is_checked = None, function in EXTREMA and options.get("initial", UNSET) is UNSET
    if is_checked and where is UNSET:
        neutral = options["initial"] = identity(EXTREMA[function], to_dtype(x.dtype))
    found = implementation(x.full, axis=(*range(x.lead), *inner), where=mask, **options)
    if neutral is not None:
        found = of_something(found, x.count, EXTREMA[function], neutral)
    if keepdims:
        extents = x.full.shape[x.lead :]
        kept = [1 if axis in axes else extents[axis - 1] for axis in range(1, x.ndim)]
        found = reshaped(found, (1, *kept))
    return found


def _in_order(function: Any, x: Selection, options: dict[str, Any]) -> Any:
    """A sum, product or mean to NumPy's last bit: of the selected elements side by side, by its loop.

    None where it need not be so, or where NumPy itself has to add up.
    """
    trace = current_trace()
    size, name = x.mask.type.size, "prod" if function is np.prod else "sum"
    is_plain = all(value in (UNSET, None) for value in options.values())
    is_of_numbers = x.ndim == 1 and x.dtype.char in "fd"
    if trace is None or not trace.is_strict or not is_plain or not is_of_numbers:
        return None
    loop = ordered_loop(np.multiply if name == "prod" else np.add, to_dtype(x.dtype))
    is_small = type(size) is int and size <= EXACT_IN_FLOAT32
    if function not in (np.sum, np.prod, np.mean) or not is_small or not is_found(loop.symbol):
        return None
    total = wrap(ops.FIRST_IN_ORDER[name](x.rows, x.count), True)
    return divided(total, wrap(x.count)) if function is np.mean else total


def _has_order(function: Any, x: Selection, options: dict[str, Any]) -> bool:
    """Whether the last bit depends on the order in which the selected elements are added up, and counts."""
    trace = current_trace()
    if trace is None or not trace.is_strict or function in (*EXTREMA, np.any, np.all):
        return False
    is_total = function in (np.sum, np.prod) and options.get("dtype", UNSET) in (UNSET, None)
    return not is_total or x.dtype.kind in "fc"


# Functions with a way of their own.


def _count_nonzero(a, axis=None, *, keepdims=False):
    return FUNCTIONS[np.sum](a.astype(bool), axis, keepdims=keepdims)


def _ptp(a, axis=None, out=None, keepdims=UNSET):
    refuse_out("ptp", out)
    largest = FUNCTIONS[np.max](a, axis, keepdims=keepdims)  # which refuses to be of nothing
    start = identity("minimum", to_dtype(a.dtype))
    return largest - FUNCTIONS[np.min](a, axis, keepdims=keepdims, initial=start)


def _size(a, axis=None):
    return a.size if axis is None else a.shape[one_axis(axis, a.ndim)]


def _average(a, axis=None, weights=None, returned=False, *, keepdims=UNSET):
    if weights is None and not returned:
        return FUNCTIONS[np.mean](a, axis, keepdims=keepdims)
    if not isinstance(weights, Selection) or returned or weights.ndim != a.ndim:
        raise a.refused("for np.average")
    least = (np.float64,) if a.dtype.kind in "biu" else ()
    dtype = np.result_type(a.dtype, weights.dtype, *least)
    weighted = np.multiply(a, weights, dtype=dtype)
    total, scale = (
        FUNCTIONS[np.sum](part, axis, dtype, keepdims=keepdims) for part in (weighted, weights)
    )
    return apply(np.true_divide, total, scale)


def _nan_extremum(function: Any, best: str) -> Callable[..., Any]:
    """What is nan counts only where there is nothing else."""

    def run(a, axis=None, out=None, keepdims=UNSET):
        refuse_out("nanmax", out)
        if a.dtype.kind not in "fc":
            return FUNCTIONS[function](a, axis, keepdims=keepdims)
        is_nan = np.isnan(a)
        neutral = number(identity(best, to_dtype(a.dtype)), a.dtype)
        result = FUNCTIONS[function](np.where(is_nan, neutral, a), axis, keepdims=keepdims)
        nothing = FUNCTIONS[np.all](is_nan, axis, keepdims=keepdims)
        if isinstance(result, Selection):
            return np.where(nothing, number(np.nan, a.dtype), result)
        chosen = choose(nothing, number(np.nan, a.dtype), result)
        return chosen if chosen.shape else chosen[()]

    return run


def _position(function: Any, reduction: str, best: str) -> Callable[..., Any]:
    """The first best element: its place among all, and how many are selected before that."""

    def run(a, axis=None, out=None, *, keepdims=UNSET):
        refuse_out(reduction, out)
        if a.ndim != 1 or option(keepdims, False):
            raise a.refused(f"for {reduction}")
        one_axis(0 if axis is None else axis, 1)
        full = filled_outside(a.full, a.mask, identity(best, to_dtype(a.dtype)))
        flat, mask = (reshaped(x, (x.size,)) for x in (full, wrap(a.mask)))
        place = FUNCTIONS[function](flat)
        before = ops.less(
            ops.iota(extent=flat.node.type.size, dtype=i64),
            broadcast_to_shape(node_of(place), flat.node.type.shape),
        )
        rank = ops.sum_(cast(ops.logical_and(before, mask.node), i64), axes=(0,))
        return of_something(wrap(rank, True), a.count, reduction, 0)

    return run


def _dot(a, b, out=None):
    """Of two selected vectors, or of selected rows and an array."""
    refuse_out("dot", out)
    if isinstance(a, Selection) and isinstance(b, Selection) and a.ndim == b.ndim == 1:
        product = np.multiply(a, b)
        return FUNCTIONS[np.sum](product, dtype=product.dtype)
    if isinstance(a, Selection) and not isinstance(b, Selection) and a.lead == 1 and a.ndim == 2:
        return Selection(FUNCTIONS[np.dot](a.full, b), a.mask)
    found = a if isinstance(a, Selection) else b
    raise found.refused("for a product")


OWN: dict[Any, Callable[..., Any]] = {
    np.count_nonzero: _count_nonzero,
    np.ptp: _ptp,
    np.size: _size,
    np.average: _average,
    np.nanmax: _nan_extremum(np.max, "maximum"),
    np.nanmin: _nan_extremum(np.min, "minimum"),
    np.argmax: _position(np.argmax, "argmax", "maximum"),
    np.argmin: _position(np.argmin, "argmin", "minimum"),
    np.dot: _dot,
    np.ravel: lambda a, order="C": a.ravel(order),
}
