"""Operators that say what their element at an index is: `f(i, j, x)`, where `x(i, j + 1)` reads.

The function is traced for indices that are not known, as code over NumPy's scalars, and the kernel
that loops over all elements of the result is made of what it gives (kernels.py). An index that is
computed from the indices must be proved to stay inside of what it reads; one that comes from data
is checked when the program runs, as NumPy checks it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import IRError, ShapeError, TraceError, UnsupportedError
from ..ir import expressions, ops, tensor
from ..ir.bounds import Bounds, unknowns_of
from ..ir.expressions import rebuild_apply
from ..ir.graph import Kernel, Module, Node
from ..ir.op import CONTROL, ELEMENTWISE, Op, define
from ..ir.reference import reference
from ..ir.show import show_statement
from ..ir.tensor import ARGUMENT, Apply, Buffer, Expression, Index, Load, Store, parts
from ..ir.term import Term, location_of, postorder
from ..ir.types import ArrayType, array_type, i64
from ..lower.elements import Composer, axis_indices
from ..lower.tensor.loops import nest
from ..registered import Applied
from ..trace.array import Array
from ..trace.context import current_trace, failure
from ..trace.location import with_source
from ..trace.program import Program, Static, Traced
from ..trace.tracing import flatten_arguments, trace
from ..trace.value import to_node
from .calls import Parameters, weak_type
from .implementation import Application, Implementation, applied_to, as_results, to_types
from .kernels import Record, check
from .signature import Signature

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _read_type(*indices: ArrayType, operand: int, shape: tuple, dtype: Any) -> ArrayType:
    return array_type((), dtype)


def _no_reference(*_: Any, **__: Any) -> Any:
    raise IRError("an operand of an element function has no value of its own")


# The element of an operand of an element function at an index.
_read = define(Op("element_of_operand", CONTROL, _read_type, _no_reference))


class Operand(Applied):
    """An operand of an element function while that is traced: called with indices it is an element."""

    def __init__(self, name: str, position: int, type: ArrayType):
        self._name, self._position, self._type = name, position, type

    @property
    def shape(self) -> tuple:
        return self._type.shape

    @property
    def dtype(self) -> np.dtype:
        return self._type.dtype.numpy

    @property
    def ndim(self) -> int:
        return self._type.ndim

    def __len__(self) -> int:
        return self._type.shape[0]

    def __call__(self, *index: Any) -> Array:
        if len(index) != self.ndim:
            raise failure(
                ShapeError,
                f"{self._name} has {self.ndim} axes, and is called with {len(index)} indices",
                "give an index for each axis",
            )
        nodes = []
        for part in index:
            node = to_node(part)
            if not node.type.dtype.is_integer or node.type.shape:
                raise failure(
                    TraceError, f"{self._name} is called with {node.type}, which is no index"
                )
            nodes.append(node if node.type.dtype is i64 else ops.cast(node, dtype=i64))
        node = _read(*nodes, operand=self._position, shape=self._type.shape, dtype=self._type.dtype)
        return Array(node, True)

    def __getitem__(self, index: Any) -> Array:
        return self(*index) if isinstance(index, tuple) else self(index)


class ElementFunction(Implementation):
    """An element function of so many indices; `type` says the shape of the result, else it is that
    of the first operand."""

    def __init__(self, name: str, function: Callable[..., Any], axes: int, type: Any):
        self.name, self.function, self.axes, self.type = name, function, axes, type
        signature = inspect.signature(function)
        listed = list(signature.parameters.values())
        indices = [p for p in listed if p.kind in _POSITIONAL][:axes]
        if len(indices) < axes:
            raise TypeError(
                f"op {name}: an element function of {axes} axes takes {axes} indices, then operands"
            )
        rest = [p for p in listed if p not in indices]
        self.parameters = Parameters(name, signature.replace(parameters=rest))
        self._kernels: dict[Application, tuple[Kernel, Program]] = {}
        self._record = Record(name, self.kernel, 1, True)

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        given, attrs = self.parameters.split(args, kwargs)
        arrays, call = applied_to(given, attrs)
        kernel = self.kernel(call)
        return as_results([np.asarray(reference(Module(kernel), *arrays))])

    def nodes(self, operands: tuple[Node, ...], call: Application) -> tuple[Node, ...]:
        return self._record.nodes(operands, call)

    def types(self, call: Application) -> tuple[ArrayType, ...]:
        return (self.kernel(call).fresh[0].type,)

    def kernel(self, call: Application) -> Kernel:
        """The loops over all elements, for operands of these types."""
        found = self._kernels.get(call)
        if found is None or not found[1].is_current():
            found = self._kernels[call] = self._made(call)
        outer = current_trace()
        if outer is not None:
            outer.adopt(found[1])
        return found[0]

    def _made(self, call: Application) -> tuple[Kernel, Program]:
        program = self._traced(call)
        (result,) = program.function.results
        shape = self._shape(call, result)
        inputs = tuple([Buffer(f"x{k}", type, ARGUMENT) for k, type in enumerate(call.types)])
        indices = axis_indices(self.axes)
        out = Buffer("out", array_type(shape, result.type.dtype), ARGUMENT)
        names = dict(zip(program.function.parameters[: self.axes], indices))
        scalars = [k for k in range(len(inputs)) if call.scalar(k)]
        numbers = dict(zip(program.function.parameters[self.axes :], [inputs[k] for k in scalars]))
        value = _Reader(self, inputs, names, numbers, shape).value(result)
        body = nest(indices, shape, (Store(out, indices, value),))
        kernel = Kernel(self.name, (*inputs, out), 1, body)
        check(self.name, kernel)
        return kernel, program

    def _traced(self, call: Application) -> Program:
        names = [p.name for p in self.parameters.signature.parameters.values()]
        stand_ins: list[Any] = []
        for k, type in enumerate(call.types):
            name = names[min(k, len(names) - 1)]
            is_number = bool(call.scalar(k))
            stand_ins.append(
                np.zeros((), type.dtype.numpy) if is_number else Operand(name, k, type)
            )
        indices = [np.zeros((), np.int64) for _ in range(self.axes)]
        args, kwargs = self.parameters.join(stand_ins, call.attrs)
        args = (*indices, *args)
        known = {id(index): Traced(array_type((), i64), True) for index in indices}
        for k, own in enumerate(stand_ins):
            if isinstance(own, np.ndarray):
                known[id(own)] = Traced(call.types[k], True, weak_type(call.scalar(k)))
        leaves, _ = flatten_arguments(args, kwargs)
        how = [known.get(id(leaf)) or Static(leaf) for leaf in leaves]
        program = trace(self.function, args, kwargs, how, calls_python=False)
        results = program.function.results
        if len(results) != 1 or results[0].type.shape or program.captures:
            raise failure(
                UnsupportedError,
                f"op {self.name}: an element function returns one number, and reads operands alone",
                "index with x(i, j), and pass what it reads as operands",
            )
        return program

    def _shape(self, call: Application, result: Node) -> tuple:
        what = f"op {self.name}"
        if isinstance(self.type, Signature):
            (type,) = self.type.types(call.types, (result.type.dtype,), what)
        elif self.type is not None:
            args, kwargs = self.parameters.join(call.types, call.attrs)
            (type,) = to_types(self.type(*args, **kwargs), f"the type rule of {what}")
        elif call.types:
            type = call.types[0]
        else:
            raise TypeError(f"{what} has no operands; give its type")
        if type.ndim != self.axes:
            raise failure(
                ShapeError,
                f"{what} has {self.axes} indices, and its result is {type}",
                "let element= be the number of axes of the result, and type= its shape",
            )
        return type.shape


class _Reader:
    """Makes an expression of what a trace found, over loads from the operands' buffers."""

    def __init__(
        self,
        owner: ElementFunction,
        inputs: tuple[Buffer, ...],
        indices: dict[Node, Index],
        numbers: dict[Node, Buffer],
        shape: tuple,
    ):
        self.owner, self.inputs, self.indices, self.numbers = owner, inputs, indices, numbers
        self.composer = Composer(self.stored)
        self.shape = ", ".join(map(str, shape))
        loops = nest(axis_indices(len(shape)), shape, ())
        self.loops = []
        while loops:
            self.loops.append(loops[0])
            loops = loops[0].body

    def value(self, node: Node) -> Expression:
        for found in postorder((node,), lambda n: n.operands):
            is_known = found in self.indices or found in self.numbers or found.op is _read
            if not is_known and not (found.op.kind in (ELEMENTWISE, "creation", "movement")):
                raise UnsupportedError(
                    f"op {self.owner.name}: {found.op.name} is not done for one element",
                    with_source(location_of(found)),
                    "use NumPy's elementwise functions, and np.where for a choice",
                )
        return self.composer.value(node, ())

    def stored(self, node: Node, at: tuple) -> Expression | None:
        if node in self.indices:
            return self.indices[node]
        if node in self.numbers:
            return Load(self.numbers[node], ())
        if node.op is not _read:
            return None
        buffer = self.inputs[node.attrs["operand"]]
        places = []
        for axis, operand in enumerate(node.operands):
            index = _folded(self.composer.value(operand, ()))
            places.append(self.inside(index, buffer, axis, node))
        return Load(buffer, tuple(places))

    def inside(self, index: Expression, buffer: Buffer, axis: int, node: Node) -> Expression:
        """An index that certainly is inside: proved to be, or checked as it comes from data."""
        extent = buffer.type.shape[axis]
        kernel = Kernel("", (*self.inputs,), 0, ())
        if Bounds(self.loops, unknowns=unknowns_of(kernel)).is_below(index, extent):
            return index
        if any(isinstance(e, Load) for e in postorder((index,), parts)):
            return Apply(
                "checked_index", (index, expressions.extent(extent), expressions.integer(axis)), i64
            )
        shown = show_statement(index)
        raise UnsupportedError(
            f"op {self.owner.name}: the index {shown} may leave axis {axis} of {buffer.type}, where "
            f"the indices run over {self.shape}",
            with_source(location_of(node)),
            "clamp it: np.clip(i + 1, 0, n - 1), or let the result be smaller: type=",
        )


def _folded(index: Expression) -> Expression:
    """The same index, its sums and products in the form that tells most of it."""
    new: dict[Term, Expression] = {}
    for e in postorder((index,), parts):
        match e:
            case Apply("subtract", (a, b), _) if _is_plain(a) and _is_plain(b):
                new[e] = expressions.subtract(new[a], new[b])
            case Apply("absolute", (a,), _) if _is_plain(a):
                # As what proofs know: the greater of both signs, which is at least 0.
                either = expressions.maximum(new[a], expressions.subtract(tensor.ZERO, new[a]))
                new[e] = expressions.maximum(either, tensor.ZERO)
            case Apply(_, operands, _):
                new[e] = rebuild_apply(e, tuple([new[operand] for operand in operands]))
            case _:
                new[e] = e
    return new[index]


def _is_plain(e: Expression) -> bool:
    return e.dtype is i64 and all(isinstance(term, Index) for term in e.free)
