"""The tensor IR: a closed grammar of loop nests over buffers, consumed by `match`.

    expression = Literal(value, dtype)             2.0, i32(7)
               | Index(name)                       a loop index or a symbolic extent; an i64
               | Variable(name, dtype)             a mutable scalar register
               | Load(buffer, indices)             x[i, j]
               | Table(data, index, dtype)         f64((0.5, 1.5))[i]
               | Apply(op, operands, dtype)        sin(e), e + e, where(e, e, e), f64(e)
    statement  = For(index, start, stop, body, mark, lanes)
               | If(condition, then, orelse)       if e: ... else: ...
               | Break(condition)                  if e: break
               | Let(variable, value)              s: f64 = 0.0
               | Let(index, value)                 m: index = e
               | Assign(variable, value)           s = e
               | Accumulate(target, op, value)     s += e; order is free
               | Store(buffer, indices, value)     y[i, j] = e
               | Allocate(buffer)                  t: f64[1024] = local()
               | Call(kernel, buffers)             k0(x, t, y)
               | Extern(symbol, arguments)         extern("cblas_dgemm", 101, x[i:, 0:], ...)
    argument   = expression | Address(buffer, indices)

Expressions are built with `ir.expressions`, which folds index arithmetic.

Marks say how a loop runs: `serial`, which passes may turn into another mark; `ordered`, which stays
as it is, each iteration after the one before; `vector` (`lanes` iterations at once, all of its
iterations independent up to Accumulate); `parallel` (iterations independent, by threads); `unroll`;
`apart` (the body is machine code of its own, whose registers are not those of what is around it).
A Variable or a register buffer declared inside a vector loop has one value per lane. What is under
an If there runs in all lanes if it holds in one, and a Break leaves its loop once it holds in all of
them: the statements say themselves what lanes keep that have no part in it.

A Break is the last statement of an ordered loop's body: where it holds, this iteration is the last.
So the first iteration of a loop that is not empty always runs whole, and `while c` is
`if c: for k in ordered(0, ENDLESS): ...; if not c: break`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from .dims import symbol_names
from .host import HostFunction
from .term import Term, postorder
from .types import ArrayType, DType, i64

EMPTY: frozenset[Term] = frozenset()
ARGUMENT, UPDATED = "argument", "updated"


class Buffer(Term):
    """A named piece of memory. `space`: `argument`, `updated`, `local` (workspace), `kept` or `register`.

    An `updated` buffer is an argument whose elements the kernel may change, too. What is `kept` is
    computed by calls of the entry that need not be made again for the same constants.
    """

    __slots__ = ("name", "type", "space")
    name: str
    type: ArrayType
    space: str

    def __repr__(self) -> str:
        return f"{self.name}: {self.type}"


class Expression(Term):
    """Base of the expressions; `free` holds the Indexes, Variables and Buffers it depends on."""

    __slots__ = ("free",)
    parts = ()

    def check(self) -> None:
        object.__setattr__(self, "free", self._free())

    def _free(self) -> frozenset[Term]:
        return EMPTY

    @staticmethod
    def apply(op: Any, operands: tuple, attrs: dict[str, Any]) -> Expression:
        """What calling an op on expressions builds: a scalar operation."""
        return APPLY_OP[0](op, operands, attrs)


# How an op is applied to expressions; set by ir.syntax, which is above and knows the dtypes.
APPLY_OP: list[Callable[..., Expression]] = []


# The expressions that one is computed from; asked for more often than anything else.
parts: Callable[[Expression], tuple[Expression, ...]] = attrgetter("parts")


class Literal(Expression):
    """A constant."""

    __slots__ = ("value", "dtype")
    value: int | float | complex | bool
    dtype: DType


ZERO, ONE = Literal(0, i64), Literal(1, i64)


class Index(Expression, plain=True):
    """A loop index or a symbolic extent."""

    __slots__ = ("name",)
    name: str

    def _free(self) -> frozenset[Term]:
        return frozenset((self,))

    @property
    def dtype(self) -> DType:
        return i64


class Variable(Expression, plain=True):
    """A mutable scalar, declared by a Let."""

    __slots__ = ("name", "dtype")
    name: str
    dtype: DType

    def _free(self) -> frozenset[Term]:
        return frozenset((self,))


class Load(Expression, plain=True):
    """The element of a buffer at an index."""

    __slots__ = ("buffer", "indices")
    buffer: Buffer
    indices: tuple[Expression, ...]

    def check(self) -> None:
        if len(self.indices) != self.buffer.type.ndim:
            raise TypeError(f"{self.buffer} has {self.buffer.type.ndim} axes: {self.indices}")
        super().check()

    def _free(self) -> frozenset[Term]:
        return frozenset((self.buffer,)).union(*[index.free for index in self.indices])

    @property
    def dtype(self) -> DType:
        return self.buffer.type.dtype


Load.parts = Load.indices


class Table(Expression):
    """The element of a small constant array at a flat index."""

    __slots__ = ("data", "index", "dtype")
    data: tuple
    index: Expression
    dtype: DType

    def _free(self) -> frozenset[Term]:
        return self.index.free

    @property
    def parts(self) -> tuple[Expression, ...]:
        return (self.index,)


class Apply(Expression, plain=True):
    """A scalar operation, named like the elementwise op; `cast` converts to `dtype`."""

    __slots__ = ("op", "operands", "dtype")
    op: str
    operands: tuple[Expression, ...]
    dtype: DType

    def _free(self) -> frozenset[Term]:
        return EMPTY.union(*[operand.free for operand in self.operands])


Apply.parts = Apply.operands


class Nest(Term):
    """Base of the statements with bodies.

    `has_control`: whether it, or what is inside, says in which order, how often or whether others run;
    `is_scheduled`: whether it is decided how some loop of it runs.
    """

    __slots__ = ("has_control", "is_scheduled")

    def derive(self, control: bool, scheduled: bool, inside: tuple[Statement, ...]) -> None:
        control, scheduled = control or has_control(inside), scheduled or is_scheduled(inside)
        object.__setattr__(self, "has_control", control)
        object.__setattr__(self, "is_scheduled", scheduled)


class For(Nest, plain=True):
    """`for index in range(start, stop)`, run as `mark` says."""

    __slots__ = ("body", "index", "lanes", "mark", "start", "stop")
    index: Index
    start: Expression
    stop: Expression
    body: tuple[Statement, ...]
    mark: str
    lanes: int

    def check(self) -> None:
        self.derive(self.mark == "ordered", self.mark not in ("serial", "ordered"), self.body)


class If(Nest, plain=True):
    """Run `then` where the condition holds, else `orelse`; either may be empty."""

    __slots__ = ("condition", "orelse", "then")
    condition: Expression
    then: tuple[Statement, ...]
    orelse: tuple[Statement, ...]

    def check(self) -> None:
        self.derive(True, False, self.then + self.orelse)


class Break(Term, plain=True):
    """Leave the loop around it, which it ends, where the condition holds."""

    __slots__ = ("condition",)
    condition: Expression


class Let(Term, plain=True):
    """Declare a variable, or name an i64 that stays as it is, for the rest of the enclosing body."""

    __slots__ = ("variable", "value")
    variable: Variable | Index
    value: Expression


class Assign(Term, plain=True):
    """Give a variable a new value."""

    __slots__ = ("variable", "value")
    variable: Variable
    value: Expression


class Accumulate(Term, plain=True):
    """Combine into a Variable or a register buffer's element; iterations may be reordered."""

    __slots__ = ("target", "op", "value")
    target: Variable | Load
    op: str
    value: Expression


class Store(Term, plain=True):
    """Write an element of a buffer."""

    __slots__ = ("buffer", "indices", "value")
    buffer: Buffer
    indices: tuple[Expression, ...]
    value: Expression


class Allocate(Term, plain=True):
    """Memory for a local or register buffer, for the rest of the enclosing body."""

    __slots__ = ("buffer",)
    buffer: Buffer


class Call(Term):
    """Run a kernel on buffers; or a graph Function, until it is lowered to one."""

    __slots__ = ("kernel", "buffers")
    kernel: Any
    buffers: tuple[Buffer, ...]

    @property
    def written(self) -> tuple[Buffer, ...]:
        """The buffers the kernel writes to."""
        signature = self.kernel.signature
        outputs = signature.outputs
        pairs = zip(signature.parameters, self.buffers)
        return tuple([buffer for own, buffer in pairs if own in outputs])


class Address(Term, plain=True):
    """The memory of a buffer from an element on, as an argument of foreign functions."""

    __slots__ = ("buffer", "indices")
    buffer: Buffer
    indices: tuple[Expression, ...]


def start_of(buffer: Buffer) -> Address:
    """The memory of a whole buffer."""
    return Address(buffer, (ZERO,) * buffer.type.ndim)


class Extern(Term):
    """Call the foreign function `symbol`; each argument has its C type by its dtype.

    `ir.foreign.foreign` says which arguments it writes and what NumPy does instead. A HostFunction
    takes addresses only, those of whole buffers; the address of a whole buffer may be that of
    nothing at all.
    """

    __slots__ = ("symbol", "arguments")
    symbol: str | HostFunction
    arguments: tuple[Expression | Address, ...]

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple([a for a in self.arguments if isinstance(a, Address)])

    @property
    def extents(self) -> tuple[str, ...]:
        """The unknown extents of the arrays it is given, by name."""
        shapes = [extent for address in self.addresses for extent in address.buffer.type.shape]
        return tuple(dict.fromkeys([name for extent in shapes for name in symbol_names(extent)]))


Statement = For | If | Break | Let | Assign | Accumulate | Store | Allocate | Call | Extern


class Kernel(Term):
    """A loop program; its last `results` parameters are written, the others read, or updated.

    What it computes are its `outputs`: the new values of the updated parameters, then the results.
    """

    __slots__ = ("_callees", "name", "parameters", "results", "body")
    name: str
    parameters: tuple[Buffer, ...]
    results: int
    body: tuple[Statement, ...]

    @property
    def inputs(self) -> tuple[Buffer, ...]:
        return self.parameters[: len(self.parameters) - self.results]

    @property
    def updated(self) -> tuple[Buffer, ...]:
        """The inputs that are changed in place."""
        return tuple([buffer for buffer in self.inputs if buffer.space == UPDATED])

    @property
    def fresh(self) -> tuple[Buffer, ...]:
        """The outputs in memory of their own."""
        return self.parameters[len(self.parameters) - self.results :]

    @property
    def outputs(self) -> tuple[Buffer, ...]:
        return (*self.updated, *self.fresh)

    @property
    def signature(self) -> Kernel:
        """What callers see; of a graph Function, too."""
        return self

    @property
    def callees(self) -> tuple[Kernel, ...]:
        try:
            return self._callees
        except AttributeError:  # not asked for yet
            found = {s.kernel: None for s in statements(self.body) if isinstance(s, Call)}
            object.__setattr__(self, "_callees", tuple(found))
            return self._callees

    def __repr__(self) -> str:
        return f"<Kernel {self.name}({', '.join(str(b.type) for b in self.parameters)})>"


def statements(body: Iterable[Statement]) -> Iterable[Statement]:
    """Every statement, outer before inner."""
    pending = [*body][::-1]
    while pending:
        statement = pending.pop()
        yield statement
        if isinstance(statement, For):
            pending += statement.body[::-1]
        elif isinstance(statement, If):
            pending += statement.orelse[::-1] + statement.then[::-1]


def bodies_of(statement: Statement) -> tuple[tuple[Statement, ...], ...]:
    """The bodies inside a statement: a loop has one, a choice two, others none."""
    match statement:
        case For(_, _, _, body):
            return (body,)
        case If(_, then, orelse):
            return (then, orelse)
    return ()


def map_bodies(
    statement: Statement, change: Callable[[tuple[Statement, ...]], tuple[Statement, ...]]
) -> Statement:
    """The statement with every body inside it changed."""
    match statement:
        case For(_, _, _, body):
            return statement.replace(body=change(body))
        case If(condition, then, orelse):
            return If(condition, change(then), change(orelse))
    return statement


def is_shared(statement: Statement) -> bool:
    """Whether threads share it."""
    return isinstance(statement, For) and statement.mark == "parallel"


def by_one_thread(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The statements with a plain loop for every one that threads would share."""
    found = [map_bodies(statement, by_one_thread) for statement in body]
    return tuple([s.replace(mark="serial") if is_shared(s) else s for s in found])


def has_control(body: Iterable[Statement]) -> bool:
    """Whether some statement says in which order, how often or whether others run."""
    return any([s.has_control for s in body if isinstance(s, Nest)])


def is_scheduled(body: Iterable[Statement]) -> bool:
    """Whether it is decided how some loop runs."""
    return any([s.is_scheduled for s in body if isinstance(s, Nest)])


def expressions_of(statement: Statement) -> tuple[Expression, ...]:
    """The expressions a statement itself evaluates: bounds, indices, then the value."""
    match statement:
        case For(_, start, stop):
            return (start, stop)
        case If(condition) | Break(condition):
            return (condition,)
        case Let(_, value) | Assign(_, value):
            return (value,)
        case Accumulate(Load(_, indices), _, value) | Store(_, indices, value):
            return (*indices, value)
        case Accumulate(_, _, value):
            return (value,)
        case Extern(_, arguments):
            lists = [a.indices if isinstance(a, Address) else (a,) for a in arguments]
            return tuple([expression for list in lists for expression in list])
    return ()


def loads_of(body: Iterable[Statement]) -> list[Load]:
    """Every distinct Load in the statements."""
    roots = [e for statement in statements(body) for e in expressions_of(statement)]
    return [e for e in postorder(roots, parts) if isinstance(e, Load)]


def change_kernels(kernel: Kernel, change: Callable[[Kernel], Kernel]) -> Kernel:
    """Apply `change` to the kernels that `kernel` calls, callees first, and then to it."""
    done: dict[Term, Any] = {}

    def visit(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        new = []
        for statement in body:
            if isinstance(statement, Call):
                statement = Call(done[statement.kernel], statement.buffers)
            new.append(map_bodies(statement, visit))
        return tuple(new)

    for part in postorder((kernel,), lambda k: k.callees if isinstance(k, Kernel) else ()):
        if not isinstance(part, Kernel):
            done[part] = part
            continue
        is_rewired = any([done[callee] is not callee for callee in part.callees])
        done[part] = change(part.replace(body=visit(part.body)) if is_rewired else part)
    return done[kernel]
