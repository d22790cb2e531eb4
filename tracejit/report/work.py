"""What a kernel must do at least: bytes it reads and writes, and arithmetic, counted in its loops.

A value is computed once for each combination of the loop indices, and of the variables set in
loops, that it depends on; what does not depend on the innermost loop is not counted in it. An array
counts once however often it is read, and with no more than the elements that are read. Elementary
functions count as the multiply-adds of their records, two operations each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

from ..ir.dims import highest
from ..ir.expressions import is_seldom
from ..ir.foreign import foreign
from ..ir.host import HostFunction
from ..ir.op import OPS
from ..ir.tensor import (
    Accumulate,
    Apply,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Load,
    Statement,
    Store,
    parts,
    statements,
)
from ..ir.term import postorder
from ..lower.tensor.cost import SELDOM
from ..lower.tensor.turns import average_trips, changing_loops, values_of

# Beyond this an op's cost is that of a polynomial of so many multiply-adds.
SIMPLE_COST = 6.0
# Real operations of one of complex numbers.
OF_COMPLEX = {"add": 2, "subtract": 2, "multiply": 6, "square": 6, "divide": 8, "absolute": 4}


class Work(NamedTuple):
    """`operations` by NumPy's names of dtypes; of what runs in `foreign` functions nothing is known,
    those of `python` among them."""

    operations: dict[str, float]
    read: int
    written: int
    foreign: tuple[str, ...]
    python: tuple[str, ...]

    @property
    def total(self) -> float:
        return sum(self.operations.values())


def work_of(kernel: Kernel) -> Work:
    """The work of one run of a kernel, and of the kernels that it calls."""
    counter = _Counter(kernel)
    counter.body(kernel.body, 1.0)
    inputs, outputs = kernel.inputs, kernel.outputs
    return Work(
        dict(counter.operations),
        sum(counter.touched(buffer, counter.read) for buffer in inputs),
        sum(counter.touched(buffer, counter.written) for buffer in outputs),
        tuple(counter.foreign),
        tuple([name for name, is_python in counter.foreign.items() if is_python]),
    )


def size_of(buffer: Buffer) -> int:
    """Bytes of a buffer, at most; 0 while no bounds of its extents are known."""
    extents = [highest(extent) for extent in buffer.type.shape]
    known = all(isinstance(extent, int) for extent in extents)
    return prod(extents) * buffer.type.dtype.itemsize if known else 0


class _Counter:
    def __init__(self, kernel: Kernel):
        self.loops: list[tuple[For, float]] = []
        self.operations: Counter[str] = Counter()
        self.read: Counter[Buffer] = Counter()
        self.written: Counter[Buffer] = Counter()
        self.foreign: dict[str, bool] = {}
        self.changed = changing_loops(kernel)

    def touched(self, buffer: Buffer, times: Counter[Buffer]) -> int:
        most = size_of(buffer)
        counted = int(times[buffer] * buffer.type.dtype.itemsize)
        return min(most, counted) if most else counted

    def body(self, body: Iterable[Statement], times: float) -> None:
        seen: set[Expression] = set()
        for statement in body:
            match statement:
                case For():
                    count = average_trips(statement, [loop for loop, _ in self.loops])
                    self.loops.append((statement, times * count))
                    self.body(statement.body, times * count)
                    self.loops.pop()
                case If(condition, then, orelse):
                    self.values([condition], seen)
                    if is_seldom(condition):
                        self.seldom(then, times)
                        self.body(orelse, times)
                    else:
                        self.body(max(then, orelse, key=_length), times)
                case Call(kernel, buffers):
                    self.call(kernel, buffers, times)
                case Extern(symbol):
                    self.call_foreign(statement)
                    self.note(symbol)
                case Store(buffer, indices, value):
                    self.values([value, *indices], seen)
                    self.written[buffer] += times
                case _:
                    self.values(values_of(statement), seen)
                    if isinstance(statement, Accumulate):
                        target = statement.target
                        price = _price(statement.op, target)
                        self.operations[target.dtype.numpy.name] += times * price

    def seldom(self, body: Iterable[Statement], times: float) -> None:
        """What is chosen in few of all turns of the loops around it."""
        outer = self.loops
        self.loops = [(loop, turns * SELDOM) for loop, turns in outer]
        self.body(body, times * SELDOM)
        self.loops = outer

    def values(self, roots: Iterable[Expression], seen: set[Expression]) -> None:
        for part in postorder(roots, parts):
            if part in seen:
                continue
            seen.add(part)
            if isinstance(part, Load):
                self.read[part.buffer] += self.times(part)
            elif isinstance(part, Apply) and not _is_index(part):
                self.operations[part.dtype.numpy.name] += self.times(part) * _price(part.op, part)

    def times(self, part: Expression) -> float:
        """How often a value is computed: for each turn of the innermost loop that it changes in."""
        changing = set().union(*[self.changed.get(term, ()) for term in part.free])
        return next((times for loop, times in reversed(self.loops) if loop in changing), 1.0)

    def call(self, kernel: Kernel, buffers: tuple[Buffer, ...], times: float) -> None:
        inner = work_of(kernel)
        for dtype, count in inner.operations.items():
            self.operations[dtype] += times * count
        for own, buffer in zip(kernel.parameters, buffers):
            if own in kernel.inputs:
                self.read[buffer] += size_of(own) // own.type.dtype.itemsize * times
            if own in kernel.outputs:
                self.written[buffer] += size_of(own) // own.type.dtype.itemsize * times
        self.foreign.update({name: name in inner.python for name in inner.foreign})

    def note(self, symbol: str | HostFunction) -> None:
        """What is called: where NumPy takes over, or compiled code asks something, no function is."""
        if isinstance(symbol, str):
            self.foreign[symbol] = False
        elif not symbol.leaves:
            self.foreign[symbol.name] = symbol.is_fallback

    def call_foreign(self, statement: Extern) -> None:
        known = foreign(statement.symbol)
        written = known.written if known is not None else ()
        for position, argument in enumerate(statement.arguments):
            if argument in statement.addresses:
                times = self.written if position in written else self.read
                times[argument.buffer] += size_of(argument.buffer)


def _length(body: tuple[Statement, ...]) -> int:
    return sum(1 for _ in statements(body))


def _is_index(part: Apply) -> bool:
    return part.dtype.numpy.name == "int64" and all(isinstance(term, Index) for term in part.free)


def _price(op: str, value: Any) -> float:
    if op == "cast":
        return 0.0
    if value.dtype.is_complex:
        return OF_COMPLEX.get(op, 2.0)
    if op == "fma":
        return 2.0
    cost = OPS[op].cost if op in OPS else 1.0
    return 2 * cost if cost > SIMPLE_COST else 1.0
