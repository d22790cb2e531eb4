"""Functions without a rule: the program calls them through Python, with real arrays, in their place.

The types of the results must be known while tracing, and the arguments of the first call are at
hand: the operands are computed from them with NumPy, and the function is called. What it gave the
program is then made for. Whether later results are like it is checked at every call (ir/host.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from ..errors import NotNumbers, TracejitError, UnsupportedError
from ..ir import ops
from ..ir.dims import Dim, symbol
from ..ir.graph import Node, item, operands_of
from ..ir.host import NOT_CALLED, HostFunction, ResultChanged
from ..ir.term import locate, location_of, postorder
from ..ir.types import ArrayType, TupleType, array_type, i64
from .context import Trace, current_trace, failure, supported_dtype, tracing
from .layout import is_unlike_arrays
from .operators import needs_value
from .promotion import constant
from .tree import LEAF, Structure, flatten, unflatten
from .value import Value, to_node, value_at_hand

# Leaves of a result beyond which it is no program's result but data in a container.
MOST_RESULTS = 64
# What makes a traced value of a node: Array, which is above.
WRAP: list[Callable[..., Any]] = []
_PLAIN = (type(None), str, bytes, type, np.dtype)


@dataclass(frozen=True)
class Callee:
    """A Python function as a program calls it.

    `find(objects)` gives the callable, where `objects` are those that earlier calls of the same run
    have made; `trial`, if there is one, is called in its stead while tracing, as it has no effects.
    `has_effects`: it may, or it depends on those of others. `is_known`: it neither keeps
    nor changes its arguments.
    """

    name: str
    find: Callable[[dict], Callable[..., Any]]
    has_effects: bool = False
    is_known: bool = True
    trial: Callable[..., Any] | None = None


def known(function: Any, name: str = "") -> Callee:
    """A function of NumPy, or of another library, without effects."""
    return Callee(name or name_of(function), _Always(function))


def no_result(*args: Any, **kwargs: Any) -> None:
    """The trial of functions that give nothing, whatever they are called with."""


@dataclass(frozen=True)
class _Always:
    """Finds one function, whatever the objects are."""

    function: Any

    def __call__(self, objects: dict) -> Any:
        return self.function


class Outcome(NamedTuple):
    """What a result is made of: containers, and for each leaf a kind or, of kind `None`, itself.

    Kinds are np.ndarray, np.generic, and the types of Python's numbers.
    """

    structure: Structure
    kinds: tuple[type | None, ...]
    statics: tuple[Any, ...]


class Arguments(NamedTuple):
    """The arguments of a call: their containers, and leaves that are operands, or never change.

    `is_flat`: there are no containers, and no keywords.
    """

    structure: Structure
    positions: tuple[int, ...]
    kinds: tuple[type, ...]
    statics: tuple[Any, ...]
    is_flat: bool

    def call(
        self,
        function: Callable[..., Any],
        arrays: Sequence[np.ndarray],
        is_known: bool,
        views: set[tuple[int, int]] | None = None,
    ) -> Any:
        """Call with these operands. A function that is not known gets copies, which it may keep, and
        what it gives is copied, as that it may keep as well.

        `views` gets the numbers of operands and of leaves of what it gives that share memory.
        """
        leaves = list(self.statics)
        given = arrays if is_known else [array.copy() for array in arrays]
        for position, kind, array in zip(self.positions, self.kinds, given):
            leaves[position] = _as_kind(array, kind)
        if self.is_flat:
            result = function(*leaves)
        else:
            args, kwargs = unflatten(self.structure, leaves)
            result = function(*args, **kwargs)
        if views is not None:
            pairs = itertools.product(enumerate(given), enumerate(flatten(result)[0]))
            views.update((k, n) for (k, a), (n, b) in pairs if _share_memory(a, b))
        if not is_known:
            result = _copied(result)
        for array, own in zip(arrays, given):
            if own is not array and not _is_same(own, array):
                raise UnsupportedError(
                    "a function that was called through Python has changed an argument",
                    hint="let it change a copy, and return it",
                )
        return result


def _share_memory(operand: np.ndarray, leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.ndim > 0 and np.may_share_memory(operand, leaf)


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of one type hold the same bits, nan or not; without copies where it can be."""
    if a.itemsize > 8:
        return a.tobytes() == b.tobytes()
    bits = f"u{a.itemsize}"
    return np.array_equal(a.view(bits), b.view(bits))


def call_through_python(callee: Callee, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The results of `callee(*args, **kwargs)`, traced.

    Raises what the function raises for the arguments at hand; UnsupportedError where Python may
    not be called, or where the result is not made of arrays and numbers.
    """
    trace = current_trace()
    assert trace is not None
    if not trace.calls_python or trace.attempts:
        raise no_rule(callee.name)
    if callee.has_effects and not _may_have_effects_here(trace, callee):
        raise failure(
            UnsupportedError,
            f"{callee.name} is called in a branch or a loop that traced values decide about, and it "
            "may have effects",
            "call it before, and choose among what it gives",
        )
    leaves, structure = flatten((args, kwargs))
    positions = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Value | Dim)]
    nodes = [to_node(leaves[k]) for k in positions]
    statics = [None if k in positions else trace.unhook(leaf) for k, leaf in enumerate(leaves)]
    for k, node in zip(positions, nodes) if callee.trial is not no_result else ():
        if not node.type.shape and trace.is_counted(node):  # there may be a rule for each number
            raise needs_value(leaves[k], f"by {callee.name}")
    kinds = tuple([_kind_of(leaves[k]) for k in positions])
    is_flat = not kwargs and all(child == LEAF for child in structure[2][2:])
    arguments = Arguments(structure, tuple(positions), kinds, tuple(statics), is_flat)
    views: set[tuple[int, int]] = set()
    result = _result_at_hand(trace, callee, arguments, nodes, views)
    found, structure = flatten(result)
    if len(found) > MOST_RESULTS:
        raise _not_compiled(callee, f"{len(found)} values in containers")
    result_kinds = tuple([_kind_of_result(callee, leaf) for leaf in found])
    types = [
        array_type(_general(trace, np.shape(leaf)), supported_dtype(np.asarray(leaf).dtype))
        for leaf, kind in zip(found, result_kinds)
        if kind is not None
    ]
    statics = [None if kind else leaf for leaf, kind in zip(found, result_kinds)]
    outcome = Outcome(structure, result_kinds, tuple(statics))
    called = _call(trace, callee, arguments, outcome, nodes, types)
    computed = [np.asarray(leaf) for leaf, kind in zip(found, result_kinds) if kind is not None]
    trace.values.update(zip(called, [*computed, np.zeros((), np.int64)]))
    values = iter(called)
    results = [
        leaf if kind is None else WRAP[0](next(values), kind is not np.ndarray, _weak(kind))
        for leaf, kind in zip(found, result_kinds)
    ]
    for number, place in views:
        _doubt_view(callee, leaves[positions[number]], results[place])
    return unflatten(structure, results)


def _doubt_view(callee: Callee, operand: Any, result: Any) -> None:
    """Let a result that is given as a view of an operand, and that, not be written."""
    array = getattr(operand, "full", operand)  # of which a mask selects
    if hasattr(array, "storage"):
        told = f"{callee.name} of it share memory is not told"
        array.storage.doubt = result.storage.doubt = told


def _may_have_effects_here(trace: Trace, callee: Callee) -> bool:
    """Whether a call with effects can be part of the program where it stands.

    In a body it is made as often as the body runs, so what was made while tracing cannot be handed
    to the run, call by call: that is right if nothing was, as there were trials of all calls.
    """
    if trace.region.parent is not None:
        trace.run.is_repeated |= callee.trial is not None
        return callee.trial is not None and trace.run.is_untouched
    return callee.trial is not None or not trace.run.is_repeated


def refuse_through_python(name: str, fail: Callable[[dict], None] | None = None) -> None:
    """A call, in the order of the program, that fails: the function itself then runs, with NumPy,
    and raises what it raises for these arguments."""
    trace = current_trace()
    assert trace is not None

    def refuse(objects: dict) -> None:
        raise UnsupportedError(f"{name} that was raised in a compiled program")

    token = constant(0, i64) if trace.token is None else trace.token
    function = HostFunction(name, fail or refuse, lambda result: [], 0, 0, True, False, leaves=True)
    trace.token = ops.host_call(token, function=function, results=(array_type((), i64),))
    trace.locate(trace.token)


def ask_python(callee: Callee, nodes: list[Node]) -> Node:
    """An int that Python tells compiled code; not before these nodes are computed."""
    trace = current_trace()
    assert trace is not None
    structure = flatten((tuple(nodes), {}))[1]
    positions = tuple(range(len(nodes)))
    kinds = (int,) * len(nodes)
    arguments = Arguments(structure, positions, kinds, (None,) * len(nodes), True)
    function = _host_function(callee, arguments, Outcome(LEAF, (int,), (None,)))
    function.is_fallback = False
    node = ops.host_call(*nodes, function=function, results=(array_type((), i64),))
    trace.locate(node)
    return node


def _call(
    trace: Trace,
    callee: Callee,
    arguments: Arguments,
    outcome: Outcome,
    nodes: list[Node],
    types: list[ArrayType],
) -> tuple[Node, ...]:
    """The node of the call, taken apart into its results."""
    function = _host_function(callee, arguments, outcome)
    # Whatever the program makes of the shapes has become part of it, and the call must tell of others.
    is_shaped = not function.is_ordered and any(type.shape for type in types)
    if is_shaped and trace.region.parent is not None:
        function = function.ordered()
    if function.is_ordered:
        nodes = [*nodes, constant(0, i64) if trace.token is None else trace.token]
        types = [*types, array_type((), i64)]
    node = ops.host_call(*nodes, function=function, results=tuple(types))
    trace.locate(node)
    results: tuple[Node, ...] = (node,)
    if isinstance(node.type, TupleType):
        results = tuple([item(node, index=k) for k in range(len(types))])
    if function.is_ordered:
        trace.token = results[-1]
    elif is_shaped:
        trace.shaped.append(node)
    return results


def keep_shaped(trace: Trace, results: Sequence[Node]) -> None:
    """Order the calls of pure functions that these results do not need: of what they gave, the shape
    at most was asked for, which every run must check.

    In bodies it is not known before the end what is needed, so there all of them are ordered at once.
    """
    needed = set(postorder(results, operands_of))
    for node in reversed(trace.shaped):
        if node in needed:
            continue
        function, types = node.attrs["function"].ordered(), node.attrs["results"]
        token = constant(0, i64) if trace.token is None else trace.token
        types = (*types, array_type((), i64))
        kept = ops.host_call(*node.operands, token, function=function, results=types)
        locate(kept, location_of(node) or "")
        trace.token = item(kept, index=len(types) - 1)
        needed.update([node, *postorder(node.operands, operands_of)])


def _result_at_hand(
    trace: Trace,
    callee: Callee,
    arguments: Arguments,
    nodes: list[Node],
    views: set[tuple[int, int]],
) -> Any:
    """What the function gives for the arguments that are being traced, and what of it are `views`."""
    result = trace.run.next_result() if callee.has_effects else NOT_CALLED
    is_made_now = callee.has_effects and callee.trial is None
    if callee.trial is no_result:
        result = None
        trace.run.done.append(NOT_CALLED)
    elif result is NOT_CALLED:
        arrays = [_protected(value_at_hand(node)) for node in nodes]
        function = callee.find(trace.run.objects) if callee.trial is None else callee.trial
        try:
            with tracing(None):
                result = arguments.call(function, arrays, callee.is_known, views)
        except BaseException as error:
            trace.has_failed, trace.run.failure = True, error
            raise
        if callee.has_effects:
            trace.run.done.append(result if is_made_now else NOT_CALLED)
    else:
        trace.run.done.append(result)
    return result


def _general(trace: Trace, shape: tuple[int, ...]) -> tuple[int | Dim, ...]:
    """A shape that was found for the arguments at hand, for others too.

    An extent that is, or is near, what an unknown extent comes to is taken to be computed from
    that. Where it is not, `ResultChanged` will say so.
    """
    known: dict[int, Dim] = {}
    for form in _FORMS:
        for name, extent in trace.extents.items():
            known.setdefault(form(extent), form(symbol(name)))
    return tuple([known.get(extent, extent) for extent in shape])


# What extents of results are made of: those of NumPy's real Fourier transforms, and differences.
_FORMS: tuple[Callable[[Any], Any], ...] = (
    lambda n: n,
    lambda n: n // 2 + 1,
    lambda n: 2 * (n - 1),
    lambda n: n - 1,
    lambda n: n + 1,
)


def _copied(result: Any) -> Any:
    leaves, structure = flatten(result)
    owned = [leaf.copy() if isinstance(leaf, np.ndarray) else leaf for leaf in leaves]
    return unflatten(structure, owned)


def _protected(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


_functions: WeakValueDictionary[Any, HostFunction] = WeakValueDictionary()


def _host_function(callee: Callee, arguments: Arguments, outcome: Outcome) -> HostFunction:
    """What stands for such calls; calls without effects that are equal are one."""
    if callee.has_effects:
        return _new_function(callee, arguments, outcome)
    key = (callee, arguments, outcome, *map(_exact, (*arguments.statics, *outcome.statics)))
    try:
        found = _functions.get(key)
    except TypeError:  # an argument is not hashable
        return _new_function(callee, arguments, outcome)
    if found is None:
        found = _functions[key] = _new_function(callee, arguments, outcome)
    return found


def _exact(value: Any) -> Any:
    """What tells numbers apart that Python says are equal."""
    return (type(value), repr(value) if isinstance(value, float | complex) else None)


def _new_function(callee: Callee, arguments: Arguments, outcome: Outcome) -> HostFunction:
    def run(objects: dict, *arrays: np.ndarray) -> Any:
        return arguments.call(callee.find(objects), arrays, callee.is_known)

    is_one_array = outcome.structure == LEAF and outcome.kinds == (np.ndarray,)

    def unpack(result: Any) -> list[Any]:
        if is_one_array and type(result) is np.ndarray:
            return [result]
        leaves, structure = flatten(result)
        same = structure == outcome.structure and all(
            type(leaf) is type(static) and leaf == static if kind is None else _is_kind(leaf, kind)
            for leaf, kind, static in zip(leaves, outcome.kinds, outcome.statics)
        )
        if not same:
            raise ResultChanged(
                f"{callee.name} gave {result!r:.80}, which is unlike its first result"
            )
        return [leaf for leaf, kind in zip(leaves, outcome.kinds) if kind is not None]

    count = sum(kind is not None for kind in outcome.kinds)
    name = callee.name + _shown(arguments)
    # What is part of the program, not computed by it, must be looked at in every run.
    is_ordered = callee.has_effects or None in outcome.kinds
    arity = len(arguments.positions)
    lasts = callee.has_effects and callee.trial is None
    return HostFunction(name, run, unpack, arity, count, is_ordered, callee.has_effects, lasts)


def _shown(arguments: Arguments) -> str:
    """The arguments that are no operands, for reading."""
    shown = [
        "_" if position in arguments.positions else f"{static!r:.24}".replace("\n", " ")
        for position, static in enumerate(arguments.statics)
    ]
    return "" if all(text == "_" for text in shown) else f"({', '.join(shown)})"


# Kinds.


def _kind_of(value: Any) -> type:
    if isinstance(value, Dim):
        return int
    return value.weak or (np.generic if value.is_scalar else np.ndarray)


def _as_kind(array: np.ndarray, kind: type) -> Any:
    if kind is np.ndarray:
        return array
    return array[()] if kind is np.generic else kind(array[()])


_NUMBERS = (bool, int, float, complex)


def _weak(kind: type) -> type | None:
    return kind if kind in _NUMBERS else None


def _is_kind(leaf: Any, kind: type) -> bool:
    return type(leaf) is kind if kind in _NUMBERS else isinstance(leaf, kind)


def _kind_of_result(callee: Callee, leaf: Any) -> type | None:
    """The kind of a result's leaf; None if it can be nothing but itself."""
    if isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind in "biufc":
        if not isinstance(leaf, np.ndarray):
            return np.generic
        if not is_unlike_arrays(leaf):
            return np.ndarray
    if type(leaf) in _NUMBERS:
        return type(leaf)
    if isinstance(leaf, _PLAIN):
        return None
    what = (
        f"an array of {leaf.dtype}" if isinstance(leaf, np.ndarray) else f"a {type(leaf).__name__}"
    )
    raise _not_compiled(callee, what)


def _not_compiled(callee: Callee, what: str) -> TracejitError:
    return failure(
        NotNumbers,
        f"{callee.name} was called through Python, and gave {what}, which cannot be in a program",
        "compute it outside the jitted function",
    )


class NoRule(UnsupportedError):
    """There is no rule, whatever the sizes and numbers are."""


def no_rule(name: str) -> TracejitError:
    """The error for a function that may not be called through Python."""
    return failure(
        NoRule,
        f"{name} has no rule for traced arrays",
        "compute it outside the jitted function, or write it with other NumPy functions",
    )


def name_of(function: Any) -> str:
    """A function's full name."""
    module = getattr(function, "__module__", None) or "numpy"
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    return f"{module}.{name or type(function).__name__}"
