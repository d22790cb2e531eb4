"""Foreign functions of numbers, applied to arrays element by element, as NumPy's ufuncs are.

Like a ufunc such an operator has loops, one for each signature it was given: the first to which the
operands can be cast without loss is taken, and operands broadcast. A definition in LLVM IR becomes
an expression (llvm_ir.py) where it can, which is to be inlined; other functions are called, once
for each element, inside of the loops that the operator is fused into.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.expressions import replace_expressions
from ..ir.foreign import ScalarFunction, define_foreign
from ..ir.graph import Node
from ..ir.op import ELEMENTWISE, OPS, Element, Op, define
from ..ir.syntax import is_reserved
from ..ir.tensor import Apply, Expression
from ..ir.term import postorder
from ..ir.types import ArrayType, DType, array_type
from ..trace.broadcasting import broadcast_shapes, broadcast_to_shape
from ..trace.promotion import cast
from .calls import Parameters, weak_type
from .implementation import (
    FOREIGN,
    Application,
    Implementation,
    applied_to,
    as_results,
    unique_name,
)
from .llvm_ir import read_definition, translated, variables
from .signature import Signature
from .symbols import Symbol, compiled_by_numba

# What a call costs, in multiply-adds, when nothing is known of it.
CALL_COST = 20.0
_C_NUMBERS = {
    np.dtype(kind): kind
    for kind in (
        ctypes.c_bool, ctypes.c_int8, ctypes.c_int16, ctypes.c_int32, ctypes.c_int64, ctypes.c_uint8,
        ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_float, ctypes.c_double,
    )
}  # fmt: skip


class Loop:
    """One function with one signature, as an op of its own."""

    def __init__(self, name: str, symbol: Symbol, signature: Signature | None, thread_safe: bool):
        self.dtypes, self.result = _signature_of(name, symbol, signature)
        for dtype in (*self.dtypes, self.result):
            if dtype.numpy not in _C_NUMBERS:
                raise TypeError(f"op {name}: {dtype} is no number that C functions take by value")
        kinds = [_C_NUMBERS[dtype.numpy] for dtype in (self.result, *self.dtypes)]
        call = ctypes.CFUNCTYPE(*kinds)(symbol.address)
        self.run = np.vectorize(call, otypes=[self.result.numpy])
        self.expression = _expression_of(symbol, self.dtypes)
        self.name = unique_name(f"{name}_{FOREIGN}", is_reserved)
        self.record = define(
            Op(
                self.name,
                ELEMENTWISE,
                self.type,
                self._reference,
                Element(self._element),
                cost=CALL_COST if self.expression is None else _cost_of(self.expression),
            )
        )
        is_safe = thread_safe or symbol.is_thread_safe or self.expression is not None
        define_foreign(
            self.name,
            ScalarFunction(self.dtypes, self.result, symbol.address, symbol, is_safe),
        )

    def type(self, *types: ArrayType) -> ArrayType:
        """The op's type rule: the very dtypes, and one shape."""
        if tuple([type.dtype for type in types]) != self.dtypes:
            raise TypeError(f"{self.name} takes {', '.join(map(str, self.dtypes))}")
        if len({type.shape for type in types}) > 1:
            raise ValueError(f"{self.name} takes operands of one shape")
        return array_type(types[0].shape, self.result)

    def takes(self, call: Application) -> bool:
        """Whether the operands can be cast without loss."""
        pairs = zip(call.types, self.dtypes, strict=True)
        return all(_fits(type, own, call.scalar(k)) for k, (type, own) in enumerate(pairs))

    def _reference(self, *arrays: Any) -> Any:
        with np.errstate(all="ignore"):
            return self.run(*arrays)

    def _element(self, index: tuple, *operands: Any, type: ArrayType) -> Expression:
        values = [operand(index) for operand in operands]
        if self.expression is None:
            return Apply(self.name, tuple(values), self.result)
        inside = dict(zip(variables(self.dtypes), values))
        return replace_expressions((self.expression,), inside)[self.expression]


class ForeignScalars(Implementation):
    """The loops of an operator. `loops` are functions; a Numba function makes one for any dtypes."""

    kind = FOREIGN

    def __init__(self, name: str, loops: Sequence[Loop], make: Callable[..., Loop] | None = None):
        self.name, self.loops, self._make = name, list(loops), make
        counts = {len(loop.dtypes) for loop in loops}
        if len(counts) > 1:
            raise TypeError(f"op {name}: its functions take different numbers of operands")
        self.parameters = Parameters.numbered(name, counts.pop()) if counts else None
        self._lock = threading.RLock()

    @classmethod
    def by_numba(cls, name: str, dispatcher: Any) -> ForeignScalars:
        """A Numba function, compiled for the dtypes it meets."""

        def make(dtypes: Sequence[DType]) -> Loop:
            return Loop(name, compiled_by_numba(dispatcher, dtypes), None, True)

        found = cls(name, (), make)
        found.parameters = Parameters.of(name, dispatcher.py_func, True)
        return found

    def run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        assert self.parameters is not None
        given, attrs = self.parameters.split(args, kwargs)
        arrays, call = applied_to(given, attrs)
        loop = self.loop(call)
        cast_to = [x.astype(dtype.numpy) for x, dtype in zip(arrays, loop.dtypes)]
        return as_results([np.asarray(loop.run(*cast_to))])

    def nodes(self, operands: tuple[Node, ...], call: Application) -> tuple[Node, ...]:
        loop = self.loop(call)
        shape = broadcast_shapes(*[node.type.shape for node in operands], what=f"op {self.name}")
        fitted = [
            broadcast_to_shape(cast(node, dtype), shape)
            for node, dtype in zip(operands, loop.dtypes)
        ]
        return (loop.record(*fitted),)

    def loop(self, call: Application) -> Loop:
        """The loop for these operands. Raises TypeError where there is none."""
        if call.attributes:
            names = ", ".join([key for key, _ in call.attributes])
            raise TypeError(
                f"op {self.name} is a function of numbers; {names} must be float or array"
            )
        with self._lock:
            same = [loop for loop in self.loops if len(loop.dtypes) == len(call.types)]
            if self._make is not None:
                dtypes = tuple([type.dtype for type in call.types])
                found = next((loop for loop in same if loop.dtypes == dtypes), None)
                if found is None:
                    found = self._make(dtypes)
                    self.loops.append(found)
                return found
            found = next((loop for loop in same if loop.takes(call)), None)
        if found is None:
            listed = ", ".join(map(str, call.types))
            known = "; ".join([", ".join(map(str, loop.dtypes)) for loop in self.loops])
            raise TypeError(f"op {self.name} has no loop for {listed}; it takes {known}")
        return found


def _fits(type: ArrayType, own: DType, scalar: str) -> bool:
    weak = weak_type(scalar)
    if weak is not None and weak is not bool:
        return np.result_type(own.numpy, weak(0)) == own.numpy
    return np.can_cast(type.dtype.numpy, own.numpy, "safe")


def _signature_of(
    name: str, symbol: Symbol, signature: Signature | None
) -> tuple[tuple[DType, ...], DType]:
    """The dtypes of operands and result, from the symbol and from what is given, which agree."""
    given = None
    if signature is not None:
        items = (*signature.operands, *signature.results)
        if len(signature.results) != 1 or any(item.dtype is None for item in items):
            raise TypeError(f'op {name}: {signature.text!r} should be as in "f64, f64 -> f64"')
        given = [item.dtype for item in items]
    if symbol.parameters is None:
        if given is None:
            raise TypeError(
                f"op {name}: what {symbol.name} takes is not known; set argtypes and restype, or "
                'give type="f64 -> f64"'
            )
        found = given
    else:
        if symbol.result is None:
            raise TypeError(
                f"op {name}: {symbol.name} returns nothing, and has no arrays to write to"
            )
        found = [*symbol.parameters, symbol.result]
        if given is not None and not _same_kinds(given, found, symbol):
            shown = f"{', '.join(map(str, found[:-1]))} -> {found[-1]}"
            raise TypeError(f"op {name}: {symbol.name} is {shown}, not {signature.text}")
        found = given or found
    if len(found) < 2:
        raise TypeError(f"op {name}: {symbol.name} takes no operands")
    return tuple(found[:-1]), found[-1]


def _same_kinds(given: list, found: list, symbol: Symbol) -> bool:
    """Whether two signatures are one; LLVM does not tell signed integers from unsigned ones."""
    if symbol.ir is None:
        return given == found
    pairs = list(zip(given, found))
    return len(given) == len(found) and all(
        a is b or (a.itemsize == b.itemsize and a.is_integer and b.is_integer) for a, b in pairs
    )


def _expression_of(symbol: Symbol, dtypes: tuple[DType, ...]) -> Expression | None:
    if symbol.ir is None:
        return None
    definition = read_definition(symbol.ir.text, symbol.ir.symbol)
    return None if definition is None else translated(definition, dtypes)


def _cost_of(expression: Expression) -> float:
    ops = [e.op for e in postorder((expression,)) if isinstance(e, Apply)]
    return max(sum([OPS[op].cost if op in OPS else 1.0 for op in ops]), 1.0)
