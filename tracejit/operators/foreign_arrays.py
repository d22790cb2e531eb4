"""Foreign functions of arrays: they are given where operands and results lie, and the extents.

A signature such as `"(n,k),(k,m)->(n,m)"` tells what the extents are; before these axes there may be
batches, for which the function is called in loops. Unless `arguments` says otherwise, the
function's pointers are operands and then results, its integers the extents in the order in which
the signature first names them, and its floats the operands without axes. Arrays are contiguous:
what lies otherwise is copied first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..ir import expressions, tensor
from ..ir.foreign import UNKNOWN, Foreign, define_foreign
from ..ir.graph import Node, item
from ..ir.op import OPAQUE, Extern, Op, define
from ..ir.ops.gufunc import copied, nested
from ..ir.syntax import is_reserved
from ..ir.tensor import Address, Allocate, Buffer, Expression, Index, Load, Statement
from ..ir.types import ArrayType, DType, TupleType, array_type, i64
from ..trace.promotion import cast
from .calls import Parameters
from .implementation import FOREIGN as KIND
from .implementation import (
    Application,
    Implementation,
    applied_to,
    as_results,
    contiguous,
    type_of,
    unique_name,
)
from .signature import Signature, extent_of
from .symbols import Pointer, Symbol

Argument = int | str


class ForeignArrays(Implementation):
    """A C function of pointers and extents."""

    kind = KIND

    def __init__(
        self,
        name: str,
        symbol: Symbol,
        signature: Signature,
        arguments: Sequence[Argument] | None,
        thread_safe: bool,
    ):
        self.name, self.signature = name, signature
        items = (*signature.operands, *signature.results)
        self.arguments = _arguments(name, symbol, signature, arguments)
        self.kinds = _kinds(name, symbol, signature, self.arguments)
        self.dtypes = tuple([_dtype(name, k, self) for k in range(len(items))])
        self.parameters = Parameters.numbered(name, len(signature.operands))
        self._call = ctypes.CFUNCTYPE(None, *map(_c_kind, self.kinds))(symbol.address)
        self.symbol = unique_name(f"{name}_{KIND}", is_reserved)
        count = len(signature.operands)
        written = [k for k, a in enumerate(self.arguments) if isinstance(a, int) and a >= count]
        known = Foreign(
            self._run_foreign,
            tuple(written),
            _cycles,
            address=symbol.address,
            keep=(symbol, self._call),
            is_thread_safe=thread_safe or symbol.is_thread_safe,
        )
        define_foreign(self.symbol, known)
        rule = Extern(self._statements)
        self._record = define(
            Op(self.symbol, OPAQUE, self._type, self._reference, rule, cost=1000.0)
        )

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        given, attrs = self.parameters.split(args, kwargs)
        if attrs:
            raise TypeError(f"op {self.name} takes arrays, not {', '.join(attrs)}")
        arrays, call = applied_to(given, attrs)
        arrays = [x.astype(type.dtype.numpy) for x, type in zip(arrays, self._fitted(call))]
        found = self._reference(*arrays)
        return as_results(list(found) if isinstance(found, tuple) else [found])

    def nodes(self, operands: tuple[Node, ...], call: Application) -> tuple[Node, ...]:
        types = self._fitted(call)
        node = self._record(*[cast(o, type.dtype) for o, type in zip(operands, types)])
        if isinstance(node.type, TupleType):
            return tuple([item(node, index=k) for k in range(len(node.type.items))])
        return (node,)

    def _fitted(self, call: Application) -> tuple[ArrayType, ...]:
        """The operands' types with the function's dtypes, to which they can be cast."""
        self.signature.solve(call.types, f"op {self.name}")
        for k, (type, dtype) in enumerate(zip(call.types, self.dtypes)):
            if not call.scalar(k) and not np.can_cast(type.dtype.numpy, dtype.numpy, "safe"):
                raise TypeError(f"op {self.name}: operand {k} is of {dtype}, not {type.dtype}")
        return tuple([array_type(t.shape, d) for t, d in zip(call.types, self.dtypes)])

    # The record.

    def _type(self, *types: ArrayType) -> ArrayType | TupleType:
        count = len(self.signature.operands)
        if [type.dtype for type in types] != [*self.dtypes[:count]]:
            raise TypeError(f"{self.symbol} takes {', '.join(map(str, self.dtypes[:count]))}")
        found = self.signature.types(types, self.dtypes[count:], self.symbol)
        return found[0] if len(found) == 1 else TupleType(found)

    def _reference(self, *arrays: Any) -> Any:
        types = tuple([type_of(x) for x in arrays])
        batch, extents = self.signature.solve(types, self.symbol)
        items = (*self.signature.operands, *self.signature.results)
        shapes = [[extent_of(axis, extents) for axis in part.axes] for part in items]
        results = [
            np.zeros((*batch, *shape), dtype.numpy)
            for shape, dtype in zip(shapes[len(arrays) :], self.dtypes[len(arrays) :])
        ]
        spread = [
            np.ascontiguousarray(np.broadcast_to(x, (*batch, *shape)))
            for x, shape in zip(arrays, shapes)
        ]
        for place in np.ndindex(*batch):
            given = [array[(*place, ...)] for array in (*spread, *results)]
            self._run_foreign(*[
                given[a] if isinstance(a, int) else extents[a] for a in self.arguments
            ])  # fmt: skip
        return results[0] if len(results) == 1 else tuple(results)

    def _run_foreign(self, *arguments: Any) -> None:
        """Call the function on memory of NumPy's."""
        self._call(*[
            np.asarray(value).ctypes.data if isinstance(kind, Pointer) else np.asarray(value).item()
            for value, kind in zip(arguments, self.kinds)
        ])  # fmt: skip

    def _statements(self, *buffers: Buffer) -> tuple[Statement, ...]:
        count = len(self.signature.operands)
        types = [contiguous(buffer.type) for buffer in buffers[:count]]
        batch, extents = self.signature.solve(types, self.symbol)
        before: list[Statement] = []
        memory: list[Buffer] = []
        for k, buffer in enumerate(buffers):
            if k < count and buffer.type.layout is not None:
                own = Buffer(f"c{k}", contiguous(buffer.type), "local")
                before += [Allocate(own), *copied(buffer, own)]
                buffer = own
            memory.append(buffer)
        index = tuple([Index(f"b{axis}") for axis in range(len(batch))])
        items = (*self.signature.operands, *self.signature.results)
        places = [_place(b, len(part.axes), index) for b, part in zip(memory, items)]
        arguments = [
            self._argument(argument, kind, memory, places, extents)
            for argument, kind in zip(self.arguments, self.kinds)
        ]
        call = tensor.Extern(self.symbol, tuple(arguments))
        return (*before, *nested(index, batch, (call,)))

    def _argument(
        self, argument: Argument, kind: Any, memory: list, places: list, extents: dict
    ) -> Expression | Address:
        if isinstance(argument, str):
            return expressions.cast(expressions.extent(extents[argument]), kind)
        buffer, place = memory[argument], places[argument]
        if isinstance(kind, Pointer):
            return Address(buffer, place)
        return expressions.cast(Load(buffer, place), kind)


def _place(buffer: Buffer, count: int, index: tuple[Index, ...]) -> tuple[Expression, ...]:
    """Where in a buffer the part of a batch begins; batches of extent 1 are for all."""
    outer = buffer.type.shape[: buffer.type.ndim - count]
    own = index[len(index) - len(outer) :]
    first = [tensor.ZERO if extent == 1 else i for extent, i in zip(outer, own)]
    return (*first, *[tensor.ZERO] * count)


def _cycles(*numbers: Any) -> float:
    """An estimate: so much for each element of what the extents span."""
    extents = [n for n in numbers if isinstance(n, int)]
    return 200.0 + prod(extents) if extents else 200.0 + UNKNOWN


def _c_kind(kind: Any) -> Any:
    return ctypes.c_void_p if isinstance(kind, Pointer) else np.ctypeslib.as_ctypes_type(kind.numpy)


def _arguments(
    name: str, symbol: Symbol, signature: Signature, given: Sequence[Argument] | None
) -> tuple[Argument, ...]:
    """What each parameter of the function is: the number of an operand or result, or an extent."""
    count = len(signature.operands) + len(signature.results)
    if given is not None:
        for argument in given:
            if not (argument in signature.names or argument in range(count)):
                raise TypeError(
                    f"op {name}: the argument {argument!r} is no extent of {signature.text}, and no "
                    f"number of an operand or a result, which are 0 to {count - 1}"
                )
        found = tuple(given)
    elif symbol.parameters is None:
        found = (*range(count), *signature.names)
    else:
        floats = [p for p in symbol.parameters if isinstance(p, DType) and not p.is_integer]
        by_value = [k for k, part in enumerate(signature.operands) if not part.axes]
        by_value = by_value if floats else []
        memory = iter([k for k in range(count) if k not in by_value])
        values, names = iter(by_value), iter(signature.names)
        listed = []
        for kind in symbol.parameters:
            source = memory if isinstance(kind, Pointer) else names if kind.is_integer else values
            listed.append(next(source, None))
        if None in listed or next(memory, None) is not None:
            raise TypeError(
                f"op {name}: {symbol.name} takes {_shown(symbol.parameters)}, which does not fit "
                f"{signature.text}: a pointer for each array, an integer for each extent; say what "
                'they are: arguments=("n", 0, 1)'
            )
        found = tuple(listed)
    missing = [k for k in range(count) if k not in found]
    if missing:
        raise TypeError(f"op {name}: {symbol.name} is not given operands or results {missing}")
    return found


def _kinds(
    name: str, symbol: Symbol, signature: Signature, arguments: tuple[Argument, ...]
) -> tuple[Any, ...]:
    """The C types of the arguments."""
    if symbol.result is not None:
        raise TypeError(
            f"op {name}: {symbol.name} returns a {symbol.result}, which nobody would look at; set "
            "restype = None if it may be ignored, or call it by op(..., python=True)"
        )
    if symbol.parameters is None:
        items = (*signature.operands, *signature.results)
        return tuple([Pointer(items[a].dtype) if isinstance(a, int) else i64 for a in arguments])
    if len(symbol.parameters) != len(arguments):
        raise TypeError(
            f"op {name}: {symbol.name} takes {len(symbol.parameters)} arguments, not {len(arguments)}"
        )
    for argument, kind in zip(arguments, symbol.parameters):
        is_result = isinstance(argument, int) and argument >= len(signature.operands)
        is_number = isinstance(kind, DType)
        wrong = is_number and (is_result or (isinstance(argument, str) != kind.is_integer))
        if wrong or (isinstance(kind, Pointer) and isinstance(argument, str)):
            raise TypeError(f"op {name}: {symbol.name} takes {kind} where {argument!r} is passed")
    return symbol.parameters


def _dtype(name: str, position: int, owner: ForeignArrays) -> DType:
    """The dtype of an operand or result, as the function and the signature say, which agree."""
    signature = owner.signature
    said = (*signature.operands, *signature.results)[position].dtype
    kinds = [kind for a, kind in zip(owner.arguments, owner.kinds) if a == position]
    known = [kind.dtype if isinstance(kind, Pointer) else kind for kind in kinds]
    found = {dtype for dtype in (said, *known) if dtype is not None}
    if len(found) != 1:
        problem = " and ".join(map(str, found)) if found else "of no dtype that is known"
        raise TypeError(
            f"op {name}: operand or result {position} is {problem}; let argtypes and "
            f"{signature.text!r} agree, as in f64(n)"
        )
    return found.pop()


def _shown(parameters: tuple[Any, ...]) -> str:
    return ", ".join(
        f"{kind.dtype or 'void'}*" if isinstance(kind, Pointer) else str(kind)
        for kind in parameters
    )
