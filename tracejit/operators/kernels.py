"""Operators written as loop nests, in the text of the tensor IR.

Extents that are names in the text are told by the operands. A nest over all elements of its result
that does nothing but store each of them says what the element at an index is: it fuses like NumPy's
own operations. Any other nest stands alone, as a kernel that later passes schedule and thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import IRError, ShapeError
from ..ir import expressions, ops, tensor
from ..ir.dims import Dim, Symbol
from ..ir.expressions import rebuild_apply
from ..ir.graph import Kernel, Module, Node, item
from ..ir.op import MOVEMENT, OPAQUE, OPS, Element, Extern, Op, define
from ..ir.parse import parse
from ..ir.reference import reference
from ..ir.syntax import is_reserved, symbol_names
from ..ir.tensor import (
    Apply,
    Buffer,
    Expression,
    For,
    Index,
    Literal,
    Load,
    Statement,
    Store,
    Table,
    parts,
    statements,
)
from ..ir.term import Term, postorder
from ..ir.types import ArrayType, TupleType, array_type
from ..ir.verify_kernel import unproved, verify_kernel
from ..lower.tensor.rename import Renaming
from ..trace.broadcasting import broadcast_to_shape
from ..trace.promotion import cast
from .calls import Parameters
from .implementation import (
    Application,
    Implementation,
    applied_to,
    as_results,
    type_of,
    unique_name,
)

# What an element costs that reads at other places than its own: stored where that is read so, too.
ELEMENT_COST = 8.0


class KernelText(Implementation):
    """A kernel for operands of any extents that fit its own."""

    def __init__(self, name: str, text: str):
        self.name = name
        entry = parse(text).entry
        if not isinstance(entry, Kernel) or entry.callees:
            raise TypeError(f"op {name}: the text is to be one @kernel, which calls no other")
        if entry.updated:
            raise TypeError(f"op {name}: an op does not change its operands; write to a result")
        self.kernel = entry
        verify_kernel(entry)
        if not entry.fresh:
            raise TypeError(f"op {name}: the kernel writes to nothing; results come after *")
        self.parameters = Parameters.numbered(name, len(entry.inputs))
        self._record = Record(name, self.specialised, entry.results, is_element(entry))

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        if kwargs:
            raise TypeError(f"op {self.name} has no attributes")
        arrays, call = applied_to(list(args), {})
        types = self._fitted(call)
        kernel = self.specialised(Application(types, (), ()))
        fitted = [x.astype(t.dtype.numpy) for x, t in zip(arrays, types)]
        found = reference(Module(kernel), *fitted)
        return as_results(list(found) if isinstance(found, tuple) else [found])

    def nodes(self, operands: tuple[Node, ...], call: Application) -> tuple[Node, ...]:
        types = self._fitted(call)
        fitted = tuple([cast(node, type.dtype) for node, type in zip(operands, types)])
        return self._record.nodes(fitted, Application(types, (), ()))

    def _fitted(self, call: Application) -> tuple[ArrayType, ...]:
        """The types of the operands with the kernel's dtypes, to which they can be cast."""
        own = [buffer.type for buffer in self.kernel.inputs]
        if len(call.types) != len(own):
            raise TypeError(f"op {self.name} takes {len(own)} operands, not {len(call.types)}")
        for k, (given, wanted) in enumerate(zip(call.types, own)):
            if not call.scalar(k) and not np.can_cast(
                given.dtype.numpy, wanted.dtype.numpy, "safe"
            ):
                raise TypeError(f"op {self.name} takes {wanted}, not {given}")
        return tuple([array_type(g.shape, w.dtype) for g, w in zip(call.types, own)])

    def specialised(self, call: Application) -> Kernel:
        """The kernel for operands of these types."""
        extents = self._solved(call.types)
        names: dict[Term, Any] = {Index(n): expressions.extent(v) for n, v in extents.items()}
        taken = {name for value in extents.values() for name in symbol_names(value)}
        buffers = [*self.kernel.parameters]
        for statement in statements(self.kernel.body):
            if isinstance(statement, tensor.Allocate):
                buffers.append(statement.buffer)
            elif isinstance(statement, For) and statement.index.name in taken:
                names[statement.index] = Index(f"{statement.index.name}_own")
        for buffer in buffers:
            shape = tuple([extent_with(n, extents) for n in buffer.type.shape])
            names[buffer] = buffer.replace(type=array_type(shape, buffer.type.dtype))
        kernel = self.kernel.replace(
            parameters=tuple([names[buffer] for buffer in self.kernel.parameters]),
            body=_Specialising(names).body(self.kernel.body),
        )
        check(self.name, kernel)
        return kernel

    def _solved(self, types: tuple[ArrayType, ...]) -> dict[str, Any]:
        """The extents that have names."""
        pairs = [
            (own, given)
            for buffer, type in zip(self.kernel.inputs, types)
            for own, given in zip(buffer.type.shape, type.shape)
        ]
        found: dict[str, Any] = {}
        for own, given in pairs:
            match own:
                case Dim(((1, (Symbol(name),)),)):
                    found.setdefault(name, given)
        for buffer, type in zip(self.kernel.inputs, types):
            wanted = buffer.type.shape
            known = all(symbol_names(n) <= found.keys() for n in wanted)
            if not known or tuple([extent_with(n, found) for n in wanted]) != type.shape:
                listed = ", ".join(map(str, types))
                raise ShapeError(f"op {self.name}: {buffer} does not fit the operands {listed}")
        return found


def extent_with(extent: int | Dim, values: dict[str, Any]) -> int | Dim:
    """An extent in which unknowns are what they are said to be, numbers or other extents."""
    if isinstance(extent, int):
        return extent
    total: int | Dim = 0
    for coefficient, atoms in extent.terms:
        product: int | Dim = coefficient
        for atom in atoms:
            if isinstance(atom, Symbol):
                product = product * values[atom.name]
            else:
                numerator = extent_with(atom.numerator, values)
                product = product * (numerator // extent_with(atom.denominator, values))
        total = total + product
    return total


def check(name: str, kernel: Kernel) -> None:
    """Refuse a kernel that is not legal, or may leave a buffer."""
    try:
        verify_kernel(kernel)
    except IRError as error:
        raise IRError(f"op {name}: {error.message}") from None
    if reads := unproved(kernel):
        raise IRError(
            f"op {name}: {', '.join(reads)} may leave the array",
            hint="clamp the index with minimum and maximum, or check it: checked_index(i, n, axis)",
        )


class _Specialising(Renaming):
    """The same statements for extents that are known."""

    def place(self, buffer: Buffer, indices: tuple[Expression, ...]) -> tuple[Expression, ...]:
        return indices


class Record:
    """The op of a kernel that depends on the types of operands: `kernel_of(call)` gives it."""

    def __init__(
        self,
        name: str,
        kernel_of: Callable[[Application], Kernel],
        results: int,
        is_element: bool,
    ):
        self.name, self.kernel_of = name, kernel_of
        self.results, self.is_element = results, is_element
        self.op = define(
            Op(
                unique_name(f"{name}_kernel", is_reserved),
                MOVEMENT if is_element else OPAQUE,
                self._type,
                self._reference,
                Element(self._element) if is_element else Extern(self._statements),
                cost=ELEMENT_COST if is_element else 1000.0,
            )
        )

    def nodes(self, operands: tuple[Node, ...], call: Application) -> tuple[Node, ...]:
        """The results; where an element depends on those in its place alone, as ops of graphs."""
        if self.is_element:
            pointwise = as_graph(self.kernel_of(call), operands)
            if pointwise is not None:
                return (pointwise,)
        marks = {"scalars": call.scalars} if any(call.scalars) else {}
        node = self.op(*operands, **call.attrs, **marks)
        if isinstance(node.type, TupleType):
            return tuple([item(node, index=k) for k in range(len(node.type.items))])
        return (node,)

    def _kernel(self, types: tuple, scalars: tuple[str, ...], attrs: dict[str, Any]) -> Kernel:
        types = tuple([array_type(type.shape, type.dtype) for type in types])
        return self.kernel_of(Application(types, scalars, tuple(sorted(attrs.items()))))

    def _type(
        self, *types: ArrayType, scalars: tuple[str, ...] = (), **attrs: Any
    ) -> ArrayType | TupleType:
        found = tuple([buffer.type for buffer in self._kernel(types, scalars, attrs).fresh])
        return found[0] if len(found) == 1 else TupleType(found)

    def _reference(self, *arrays: Any, scalars: tuple[str, ...] = (), **attrs: Any) -> Any:
        kernel = self._kernel(tuple(map(type_of, arrays)), scalars, attrs)
        return reference(Module(kernel), *map(np.asarray, arrays))

    def _element(
        self, index: tuple, *operands: Any, type: ArrayType, scalars: Any = (), **attrs: Any
    ) -> Expression:
        kernel = self._kernel(tuple([operand.type for operand in operands]), scalars, attrs)
        return element_at(kernel, index, operands)

    def _statements(
        self, *buffers: Buffer, scalars: tuple[str, ...] = (), **attrs: Any
    ) -> tuple[Statement, ...]:
        inputs = len(buffers) - self.results
        kernel = self._kernel(tuple([b.type for b in buffers[:inputs]]), scalars, attrs)
        return _Specialising(dict(zip(kernel.parameters, buffers))).body(kernel.body)


def is_element(kernel: Kernel) -> bool:
    """Whether a kernel stores each element of its one result, in loops over all of them."""
    if len(kernel.fresh) != 1:
        return False
    (out,), body, indices = kernel.fresh, kernel.body, []
    for extent in out.type.shape:
        match body:
            case (For(index, tensor.ZERO, stop, inner, "serial", 1),) if stop is expressions.extent(
                extent
            ):
                indices.append(index)
                body = inner
            case _:
                return False
    match body:
        case (Store(buffer, where, value),):
            read = {e.buffer for e in postorder((value,), parts) if isinstance(e, Load)}
            return buffer is out and where == tuple(indices) and out not in read
    return False


def _store_of(kernel: Kernel) -> Store:
    body = kernel.body
    while isinstance(body[0], For):
        body = body[0].body
    return body[0]


def element_at(kernel: Kernel, index: tuple, operands: tuple) -> Expression:
    """What a kernel of this kind stores at an index, for operands that are called with indices."""
    store = _store_of(kernel)
    values = dict(zip(kernel.inputs, operands))
    new: dict[Term, Expression] = dict(zip(store.indices, index))
    for e in postorder((store.value,), parts):
        match e:
            case Load(buffer, indices):
                new[e] = values[buffer](tuple([new[i] for i in indices]))
            case Apply(_, below, _):
                new[e] = rebuild_apply(e, tuple([new[operand] for operand in below]))
            case Table(data, at, dtype):
                new[e] = Table(data, new[at], dtype)
            case _:
                new.setdefault(e, e)
    return new[store.value]


def as_graph(kernel: Kernel, operands: tuple[Node, ...]) -> Node | None:
    """The element as ops of graphs, where it depends on nothing but elements at its own index."""
    store = _store_of(kernel)
    shape = kernel.fresh[0].type.shape
    values = dict(zip(kernel.inputs, operands))
    new: dict[Term, Node] = {}

    def below(e: Expression) -> tuple[Expression, ...]:
        return () if isinstance(e, Load) else parts(e)

    for e in postorder((store.value,), below):
        match e:
            case Load(buffer, indices) if not indices:
                new[e] = broadcast_to_shape(values[buffer], shape)
            case Load(buffer, indices) if indices == store.indices and buffer.type.shape == shape:
                new[e] = values[buffer]
            case Literal(value, dtype):
                new[e] = broadcast_to_shape(ops.constant(value=value, dtype=dtype), shape)
            case Apply("cast", (operand,), dtype):
                new[e] = cast(new[operand], dtype)
            case Apply(op, listed, dtype) if op in OPS:
                new[e] = OPS[op](*[new[operand] for operand in listed])
                if new[e].type.dtype is not dtype:
                    return None
            case _:
                return None
    return new[store.value]
