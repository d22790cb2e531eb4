"""Run a function once on traced arguments, and give the program it turned out to be."""

from __future__ import annotations

import inspect
import types
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import NotNumbers, ShapeError, TraceError, TracejitError, UnsupportedError
from ..ir.dims import Dim, symbol_names
from ..ir.graph import Function, Node, operands_of, parameter, substitute
from ..ir.host import Run
from ..ir.op import OPS
from ..ir.term import postorder
from ..ir.types import array_type
from .array import Array
from .capture.bodies import escaped
from .capture.growing import Regrow
from .capture.iterables import Unsized
from .capture.joins import check_choices
from .context import Trace, current_trace, failure, supported_dtype, tracing
from .extents import filled_up, is_computed, scoped
from .hooks import Hooks
from .host import keep_shaped
from .layout import is_unlike_arrays
from .location import is_library_class
from .masked import Selection
from .outside import Generator, argument, draws_numbers
from .program import (
    ArgumentOutput,
    FirstOutput,
    Leaf,
    NodeOutput,
    ObjectOutput,
    Output,
    Program,
    Static,
    Traced,
    ViewOutput,
)
from .promotion import DEFAULT_DTYPES
from .tree import (
    LEAF,
    Structure,
    flatten,
    grafted,
    is_plain_object,
    leaf_paths,
    map_classes,
    unflatten,
)
from .unread import check_unread
from .value import Value, extent_node, literal, node_of
from .views import Storage


def flatten_arguments(args: tuple, kwargs: dict[str, Any]) -> tuple[list, Structure]:
    """The leaves of a call's arguments, positional ones first, and their structure.

    A plain object of a user's class, such as the `self` of a method, is taken apart into its
    attributes.
    """
    try:
        return flatten((args, kwargs), is_opened)
    except ValueError:  # objects that refer to each other in a circle stay whole
        return flatten((args, kwargs))


def is_opened(value: Any) -> bool:
    """Whether an argument is taken apart into its attributes: a plain object of a user's class."""
    return not is_library_class(type(value)) and is_plain_object(value)


def abstract(leaf: Any, symbolic: bool = False) -> Leaf:
    """How an argument leaf is taken: arrays, floats, complex and NumPy scalars are inputs.

    Everything else is static, ints too unless `symbolic`. Raises UnsupportedError for arrays that
    cannot be compiled and for unhashable values.
    """
    kind = type(leaf)
    if isinstance(leaf, Value):
        node_of(leaf)  # which refuses what belongs to another trace
    if isinstance(leaf, np.ndarray) and not isinstance(leaf, Value):
        if is_unlike_arrays(leaf):
            raise failure(
                NotNumbers,
                f"an argument is a {kind.__name__}, which does not behave as plain arrays do",
                "pass np.asarray(argument)",
            )
        return Traced(array_type(leaf.shape, supported_dtype(leaf.dtype)))
    if isinstance(leaf, np.generic):
        if leaf.dtype.kind in "biufc":
            return Traced(array_type((), supported_dtype(leaf.dtype)), is_scalar=True)
        return Static(leaf)
    if kind is float or kind is complex or (kind is int and symbolic):
        return Traced(array_type((), DEFAULT_DTYPES[kind]), is_scalar=True, weak=kind)
    if kind.__hash__ is None:
        raise failure(
            NotNumbers,
            f"an argument is a {kind.__name__}, which is no array and could change unnoticed",
            "pass arrays, numbers, hashable values, or tuples, lists, dicts and dataclasses of these",
        )
    return Static(leaf)


def trace(
    function: Callable[..., Any],
    args: tuple,
    kwargs: dict[str, Any],
    how: Sequence[Leaf] | None = None,
    calls_python: bool = True,
    run: Run | None = None,
    is_strict: bool = False,
    recovers: bool = False,
) -> Program:
    """The program `function(*args, **kwargs)` is; `how` overrides `abstract`, leaf by leaf.

    `calls_python`: functions without a rule are called through Python; `run` has the results of such
    calls that are not to be made again, and gets those of the others. `is_strict`: sums are to be
    NumPy's to the last bit.

    What the function raises passes through unchanged. What it does beside computing (printing,
    appending to a list) it does while it is traced: once per program, not once per call.
    """
    leaves, structure = flatten_arguments(args, kwargs)
    how = tuple(how) if how is not None else tuple(abstract(leaf) for leaf in leaves)
    unrolled: set[Any] = set()
    rolled: set[Any] = set()
    growing: dict[Any, Any] = {}
    tried: set[Any] = set()  # lists that grow though their loops could be unrolled
    leaves_none, packs, checks_late, wraps_ufuncs = False, True, False, False
    while True:
        context = Trace()
        context.packs = packs
        context.calls_python, context.unrolled = calls_python, unrolled
        context.recovers = recovers or calls_python
        context.rolled, context.wraps_ufuncs = rolled, wraps_ufuncs
        context.leaves_none, context.checks_late = leaves_none, checks_late
        context.run = context.run if run is None else run
        context.is_strict, context.growing = is_strict, growing
        try:
            program = _traced(context, function, args, kwargs, leaves, structure, how)
            for guess in [*context.guessed.values()]:
                guess.fit(context)
            return program
        except Regrow as again:
            growing[again.key] = again.note
            if again.is_tried:
                tried.add(again.key)
            run = context.run.again()
        except Exception as error:
            # A loop's body that needs the index as a number is traced for each number in turn.
            loop = context.loop_at_fault(error)
            if tried and error is not context.run.failure:
                growing |= dict.fromkeys(tried)
                tried.clear()
            elif context.to_roll is not None:
                rolled.add(context.to_roll)
            elif getattr(error, "is_about_ndarrays", False) and not wraps_ufuncs:
                wraps_ufuncs = True
            elif isinstance(error, IndexError) and context.region.parent and not checks_late:
                checks_late = True
            elif loop is not None:
                unrolled.add(loop)
            elif not context.rolled_early <= unrolled:
                unrolled |= context.rolled_early
            elif calls_python and getattr(error, "is_about_none", False) and not leaves_none:
                leaves_none = True
            elif context.has_packed and calls_python and error is not context.run.failure:
                packs = False  # something needs to know how many elements are selected
            else:
                _note_what_was_done(context, how, error)
                raise
            run = context.run.again()


def _note_what_was_done(context: Trace, how: Sequence[Leaf], error: Exception) -> None:
    """Let an error say whether NumPy may run the function instead: what was done is not to be done
    again, but what the function wrote, drew or printed before it raised is to be seen."""
    if not isinstance(error, TracejitError) or isinstance(error, ShapeError):
        written = map(_is_written, context.arguments, how)
        wrote = any(written) or any(c.storage.is_written for c in context.captures.values())
        # Where traced values decide about it, it may be that the call never comes there.
        is_open = wrote or context.token is not None or context.region.parent is not None
        error.is_for_numpy = is_open and context.run.is_untouched  # type: ignore[attr-defined]
    elif error.is_about_kinds:
        error.is_about_kinds = context.run.is_untouched


def _traced(
    context: Trace,
    function: Callable[..., Any],
    args: tuple,
    kwargs: dict[str, Any],
    leaves: list,
    structure: Structure,
    how: tuple[Leaf, ...],
) -> Program:
    """A run of the function, to the end."""
    context.outermost = _traced.__code__
    hooks = Hooks(context, function)
    with tracing(context):
        paths = _paths(function, args, kwargs, structure)
        inputs, parameters = _inputs(context, hooks, how, paths)
        context.arguments = inputs
        _keep_values(context, parameters, leaves, how)
        structure = map_classes(structure, hooks.class_)
        traced_args, traced_kwargs = unflatten(structure, inputs)
        result = hooks.hook(function)(*traced_args, **traced_kwargs)
        after, structure_after = flatten_arguments(traced_args, traced_kwargs)
        _check_arguments(structure, inputs, structure_after, after, paths)
        _check_shapes(inputs, paths)
        check_choices(context)
        structure, outputs, results = _outputs(result, inputs, leaves, hooks)
        hooks.finish()
        context.check_captures()
    written = tuple([k for k, value in enumerate(inputs) if _is_written(value, how[k])])
    storages = [inputs[k].storage for k in written]
    storages += [found.storage for found in context.captures.values() if found.storage.is_written]
    _check_overlaps(context)
    check_unread(context, [*[storage.node for storage in storages], *results, *_ordered(context)])
    keep_shaped(context, [*[storage.node for storage in storages], *results, *_ordered(context)])
    results += _ordered(context)
    count = len(storages)
    found = scoped([*[storage.node for storage in storages], *results], context.bindings)
    finals, results = found[:count], found[count:]
    used = set(postorder((*finals, *results), operands_of))
    _check_escapes(context, used, parameters)
    captured = [c for c in context.captures.values() if c.node in used or c.storage.is_written]
    parameters += [found.node for found in captured]
    marked = {s.source: _marked(s.source) for s in storages}
    name = context.unique_name(getattr(function, "__name__", "f"))
    return Program(
        Function(
            name,
            tuple([marked.get(node, node) for node in parameters]),
            substitute((*finals, *results), marked),
        ),
        how,
        written,
        tuple(found.bound for found in captured),
        structure,
        outputs,
        tuple(hooks.guards.values()),
        tuple(hooks.cells.values()),
        tuple(hooks.shadows.snapshots),
        tuple(hooks.shadows.slots),
        tuple(hooks.shadows.others),
        tuple((names, len(names)) for names in hooks.shadows.dicts),
        tuple(context.contents()),
        context.run.done,
        context.has_failed,
        context.handles,
    )


def _ordered(context: Trace) -> list[Node]:
    """The result that is there for the sake of ordered calls, if there are any."""
    return [] if context.token is None else [context.token]


def _check_escapes(context: Trace, used: set[Node], parameters: list[Node]) -> None:
    """Refuse a program in which values of a loop's body were kept where the loop does not see it."""
    if context.region.parent is not None:
        raise failure(
            TraceError,
            "an exception was caught that left a branch or a loop that depends on traced values",
            "let it pass, or test for the condition instead",
        )
    known = {*parameters, *[found.node for found in context.captures.values()]}
    for node in used:
        if node.op is OPS["parameter"] and node not in known:
            raise escaped(node)


def _is_written(value: Any, leaf: Leaf) -> bool:
    """Whether an input is an array that was written, and not one that stands for another."""
    is_array = isinstance(leaf, Traced) and not leaf.is_scalar
    return is_array and leaf.same_as is None and value.storage.is_written


def _marked(node: Node) -> Node:
    """The same parameter, updated."""
    return parameter(node.attrs["name"], node.type, updated=True)


def inline(function: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """Call a function as part of the trace in progress, as calls between jitted functions are."""
    context = current_trace()
    if context is None:
        raise failure(TraceError, "there is no trace to become part of")
    return context.hook(function)(*args, **kwargs)


def _paths(function: Any, args: tuple, kwargs: dict[str, Any], structure: Structure) -> list[str]:
    """The user's names for the leaves: `x`, `params_w`, `rest_0`."""
    names: list[str] = []
    try:
        for item in inspect.signature(function).parameters.values():
            if item.kind is item.VAR_POSITIONAL:
                names.extend(f"{item.name}_{k}" for k in range(len(args) - len(names)))
            elif item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD):
                names.append(item.name)
    except (TypeError, ValueError):  # a callable without a signature
        pass
    names.extend(f"x{k}" for k in range(len(names), len(args)))
    positional, keywords = structure[2:]
    trees = (*zip(names, positional[2:]), *zip(kwargs, keywords[2:]))
    return [path for name, tree in trees for path in leaf_paths(tree, name)]


def _inputs(
    context: Trace, hooks: Hooks, how: Sequence[Leaf], paths: list[str]
) -> tuple[list[Any], list[Node]]:
    """What the function gets for each leaf, and the parameters, one for each that is traced."""
    inputs: list[Any] = []
    parameters: list[Node] = []
    for number, (leaf, path) in enumerate(zip(how, paths)):
        if isinstance(leaf, Static):
            is_generator = draws_numbers(leaf.value)
            hooked = argument(number, leaf.value) if is_generator else hooks.hook(leaf.value, path)
            inputs.append(hooked)
            continue
        node = parameter(context.unique_name(path), leaf.type)
        parameters.append(node)
        if leaf.is_scalar:
            inputs.append(Array(node, True, leaf.weak))
        elif leaf.same_as is not None:
            storage = inputs[leaf.same_as].storage
            inputs.append(Array(storage.node).settle(storage))
        else:
            inputs.append(Array(node).settle(Storage(node, node, leaf.can_write)))
    return inputs, parameters


def _keep_values(context: Trace, parameters: list[Node], leaves: list, how: Sequence[Leaf]) -> None:
    """Let the trace know the arrays behind the parameters, and the extents they have."""
    traced = [(leaf, value) for leaf, value in zip(how, leaves) if isinstance(leaf, Traced)]
    for node, (leaf, value) in zip(parameters, traced):
        array = context.values[node] = np.asarray(value, leaf.type.dtype.numpy)
        for extent, actual in zip(leaf.type.shape, array.shape):
            context.extents.update(dict.fromkeys(symbol_names(extent), actual))
    context.lacks_ints = any(leaf.weak is int for leaf, _ in traced)
    context.is_tentative = bool(context.extents) or context.lacks_ints


def _check_arguments(
    before: Structure, inputs: list, after: Structure, leaves: list, paths: list[str]
) -> None:
    """Refuse a function that changed a container it was given: the caller would not see it."""
    if before == after and all(a is b for a, b in zip(inputs, leaves)):
        return
    changed = [path for a, b, path in zip(inputs, leaves, paths) if a is not b]
    what = changed[0] if before == after else "an argument"
    raise failure(
        UnsupportedError,
        f"{what} was changed: assigning to the items or attributes of an argument is not compiled",
        "return the new value instead",
    )


def _outputs(
    result: Any, inputs: list, leaves: list, hooks: Hooks
) -> tuple[Structure, tuple[Output, ...], list[Node]]:
    found, structure = flatten(result, _holds_values)
    found, structure = grafted(structure, found, _items_of)
    outputs = _Outputs(inputs, found, hooks)
    listed = tuple([outputs.output(leaf) for leaf in found])
    originals = hooks.shadows.originals
    structure = map_classes(structure, lambda cls: originals.get(cls, cls))
    return structure, listed, outputs.results


def _items_of(leaf: Any) -> tuple[list, Structure] | None:
    """What a list is returned as whose length traced values decide; None for anything else."""
    return leaf.returned() if isinstance(leaf, Unsized) else None


def _holds_values(value: Any) -> bool:
    """Whether a returned object must be built anew at each call, as it has arrays in it."""
    if not is_opened(value):
        return False
    leaves, structure = flatten(value, is_opened)
    return structure != LEAF and any(isinstance(leaf, Value | np.ndarray) for leaf in leaves)


_RUNS_LATER = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)


def _check_overlaps(context: Trace) -> None:
    """Refuse to write to a captured array that shares memory with another one."""
    captures = list(context.captures.values())
    for found in [c for c in captures if c.storage.is_written]:
        for other in captures:
            if other is not found and np.may_share_memory(found.array, other.array):
                raise failure(
                    UnsupportedError,
                    f"{found.node.attrs['name']} is written and shares memory with another array "
                    f"from outside, {other.node.attrs['name']}",
                    "use one of them, and views of it made inside the function",
                )


def _check_shapes(inputs: list, paths: list[str]) -> None:
    """Refuse a function that gave an argument another shape."""
    for value, path in zip(inputs, paths):
        if isinstance(value, Array) and not value.is_scalar and value.steps:
            raise failure(
                UnsupportedError,
                f"the shape of the argument {path} was set, which changes the caller's array",
                "work on a view of another shape: x = x.reshape(...)",
            )


class _Outputs:
    """How each leaf of a result is made; `results` are the nodes that are to be computed for it."""

    def __init__(self, inputs: list, found: list, hooks: Hooks):
        self.hooks = hooks
        passed = (Array, Generator)
        self.arguments = {id(a): k for k, a in enumerate(inputs) if type(a) in passed}
        # What memory from outside is known as: an argument, or an object that was captured.
        self.memory: dict[Storage, ArgumentOutput | ObjectOutput] = {
            capture.storage: ObjectOutput(capture.array)
            for capture in hooks.trace.captures.values()
            if capture.bound is capture.array
        }
        for number, value in enumerate(inputs):
            if isinstance(value, Array) and not value.is_scalar:
                self.memory.setdefault(value.storage, ArgumentOutput(number))
        arrays = {id(a): a for a in found if isinstance(a, Array) and not a.is_scalar}
        shared = Counter(a.storage for a in arrays.values())
        self.shared = {storage for storage, count in shared.items() if count > 1}
        self.results: list[Node] = []
        self.positions: dict[Any, int] = {}
        # Numbers of values of which only data tells how long they are.
        self.rooms: dict[Node, int] = {}

    def output(self, leaf: Any) -> Output:
        argument = self.arguments.get(id(leaf))
        if argument is not None:
            return ArgumentOutput(argument)
        own = self.hooks.unhook(leaf)
        if own is not leaf:
            return ObjectOutput(own)
        if isinstance(leaf, Selection):
            rows = self.computed(self.filled(leaf.rows)[0], id(leaf))
            return FirstOutput(rows, self.computed(leaf.count, (leaf.count, int), True, int))
        if isinstance(leaf, Array) and not leaf.is_scalar:
            return self.array(leaf)
        return self.other(leaf)

    def array(self, value: Array) -> Output:
        """An array: a view of memory from outside, one of several of new memory, or all its own."""
        node_of(value)
        storage = value.storage
        if is_computed(value.node.type.shape[:1]):
            padded, count = self.filled(value.node)
            rows = self.computed(padded, id(value))
            return FirstOutput(rows, self.computed(count, (count, int), True, int))
        if is_computed(tuple([attribute for step in value.steps for attribute in step.attributes])):
            return self.computed(value.node, id(value))  # a view of a place that only data tells
        base: Any = self.memory.get(storage)
        if base is None:
            if storage not in self.shared:
                return self.computed(value.node, id(value))
            base = self.computed(storage.node, storage)
        return ViewOutput(base, storage.node.type, value.steps)

    def filled(self, node: Node) -> tuple[Node, Node | None]:
        """Rows of which only data tells the number, in room for as many as there may be, and that number."""
        if not is_computed(node.type.shape[:1]):
            return node, None
        return filled_up(node, self.rooms.setdefault(node, len(self.rooms)))

    def computed(
        self, node: Node, key: Any, is_scalar: bool = False, weak: Any = None
    ) -> NodeOutput:
        """A result; equal keys are one result."""
        index = self.positions.setdefault(key, len(self.results))
        if index == len(self.results):
            self.results.append(node)
        return NodeOutput(index, is_scalar, weak)

    def other(self, leaf: Any) -> Output:
        """Scalars, which may be one result where they are equal, and objects."""
        if isinstance(leaf, _RUNS_LATER):
            raise failure(
                TraceError,
                f"the function returned a {type(leaf).__name__}, which runs only later",
                "return a list; jit what a coroutine calls",
            )
        if isinstance(leaf, Value):
            node = node_of(leaf)
            return self.computed(node, (node, leaf.weak), True, leaf.weak)
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biufc":
            return self.computed(literal(leaf), id(leaf))
        if isinstance(leaf, Dim):
            node = extent_node(leaf)
            return self.computed(node, (node, int), True, int)
        if type(leaf).__hash__ is None:  # it would be one object for all calls
            raise failure(
                NotNumbers,
                f"the function returned a {getattr(leaf, 'described', type(leaf).__name__)}, which "
                "cannot be made anew at each call",
                "return arrays, numbers, or tuples, lists, dicts and dataclasses of these",
            )
        return ObjectOutput(leaf)
