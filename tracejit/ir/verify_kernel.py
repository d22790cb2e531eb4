"""Is this kernel legal? Scopes, dtypes, ranks, bounds, and loops whose iterations are independent."""

from __future__ import annotations

from collections.abc import Collection
from typing import NoReturn
from weakref import WeakKeyDictionary

from ..errors import IRError
from . import tensor
from .affine import linear
from .bounds import Bounds, unknowns_of
from .foreign import POLL, foreign, needs_one_thread
from .host import HostFunction
from .packing import packing_of
from .places import are_apart, is_chosen_by_data, keeps_order
from .running import running_of
from .sections import sections_of, shared_by
from .show import line_of, show_statement
from .syntax import scalar_dtype, symbol_names
from .tensor import (
    Accumulate,
    Address,
    Allocate,
    Apply,
    Assign,
    Break,
    Buffer,
    Call,
    Expression,
    Extern,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Table,
    Variable,
    parts,
    start_of,
    statements,
)
from .term import Term, postorder
from .types import ArrayType, bool_, i64

MARKS = ("serial", "ordered", "vector", "parallel", "unroll", "apart")
ASSOCIATIVE = frozenset(
    """add multiply maximum minimum fmax fmin logical_and logical_or logical_xor
    bitwise_and bitwise_or bitwise_xor gcd lcm logaddexp logaddexp2 hypot""".split()
)


# Where parameters may be: inputs, and results.
PARAMETER_SPACES = ((tensor.ARGUMENT, tensor.UPDATED), (tensor.ARGUMENT,))

# The unknowns that each kernel was found legal with: most passes leave most kernels as they are.
_legal: WeakKeyDictionary[Kernel, set[frozenset[str]]] = WeakKeyDictionary()


def verify_kernel(kernel: Kernel, known: Collection[str] = ()) -> None:
    """Raise IRError, naming the kernel and the statement, unless `kernel` is legal."""
    before = _legal.setdefault(kernel, set())
    if frozenset(known) not in before:
        _Checker(kernel, known).run()
        before.add(frozenset(known))


def unproved(kernel: Kernel) -> list[str]:
    """The accesses, as text, that could not be proved to stay inside their buffers."""
    checker = _Checker(kernel)
    checker.run()
    return checker.unproved


def _same_memory(given: ArrayType, wanted: ArrayType) -> bool:
    """Equal types, or contiguous arrays of one dtype and size: a kernel sees memory."""
    if given is wanted:
        return True
    contiguous = given.layout is None and wanted.layout is None
    return contiguous and given.dtype is wanted.dtype and given.size == wanted.size


class _Checker:
    """Walks a kernel with what is in scope at each point."""

    def __init__(self, kernel: Kernel, known: Collection[str] = ()):
        self.kernel = kernel
        self.buffers: set[Buffer] = set(kernel.parameters)
        self.variables: set[Variable] = set()
        self.loops: list[For] = []
        self.own = symbol_names(tuple(b.type for b in kernel.parameters))
        self.known = set(known)
        self.written: set[Buffer] = set()
        self.unproved: list[str] = []
        self.checked: set[Expression] = set()
        # How many conditions, of choices and of loops that end early, statements depend on here.
        self.conditions = 0
        self.bounds = Bounds((), unknowns=unknowns_of(kernel))
        self.current: Statement | None = None

    def fail(self, problem: str) -> NoReturn:
        if self.current is None:
            raise IRError(f"kernel {self.kernel.name}: {problem}")
        message = f"kernel {self.kernel.name}: `{show_statement(self.current)}` {problem}"
        raise IRError(message, line_of(self.kernel, self.current) or None)

    def run(self) -> None:
        kernel = self.kernel
        if not 0 <= kernel.results <= len(kernel.parameters):
            self.fail(f"{kernel.results} of {len(kernel.parameters)} parameters as results")
        if len({b.name for b in kernel.parameters}) < len(kernel.parameters):
            self.fail("two parameters have one name")
        for buffer in kernel.parameters:
            if buffer.space not in PARAMETER_SPACES[buffer in kernel.fresh]:
                self.fail(f"the parameter {buffer} is in the space {buffer.space!r}")
        self.body(kernel.body)
        self.current = None
        for buffer in kernel.fresh:
            if buffer not in self.written and 0 not in buffer.type.shape:
                self.fail(f"the output {buffer} is never written")

    def body(self, body: tuple[Statement, ...], ends: bool = False) -> None:
        """`ends`: a Break may end it."""
        buffers, variables, bounds = set(self.buffers), set(self.variables), self.bounds
        for position, statement in enumerate(body, 1):
            self.current = statement
            if isinstance(statement, Break) and not (ends and position == len(body)):
                self.fail("a break ends the body of an ordered loop")
            self.statement(statement)
        self.buffers, self.variables, self.bounds = buffers, variables, bounds

    def statement(self, statement: Statement) -> None:
        match statement:
            case For():
                self.loop(statement)
            case If():
                self.choice(statement)
            case Break(condition):
                self.expression(condition, bool_)
            case Let(Index() as index, value):
                self.expression(value, i64)
                self.bind(index)
                self.bounds = self.bounds.naming(index, value)
            case Let(variable, value):
                self.expression(value, variable.dtype)
                self.variables.add(variable)
            case Assign(variable, value):
                self.variable(variable)
                self.expression(value, variable.dtype)
            case Accumulate(target, op, value):
                if op not in ASSOCIATIVE:
                    self.fail(f"{op} is not associative")
                self.expression(value, target.dtype)
                if isinstance(target, Variable):
                    self.variable(target)
                else:
                    self.write(target.buffer, target.indices)
            case Store(buffer, indices, value):
                self.expression(value, buffer.type.dtype)
                self.write(buffer, indices)
            case Allocate(buffer):
                self.allocate(buffer)
            case Call():
                self.call(statement)
            case Extern():
                self.extern(statement)
            case _:
                self.fail("not a statement")

    def loop(self, loop: For) -> None:
        if loop.mark not in MARKS:
            self.fail(f"unknown mark {loop.mark!r}")
        if type(loop.lanes) is not int or loop.lanes < 1:
            self.fail(f"{loop.lanes!r} lanes")
        if loop.mark in ("vector", "parallel") and any(l.mark == "vector" for l in self.loops):
            self.fail(f"a {loop.mark} loop in a vector loop")
        self.bind(loop.index)
        self.expression(loop.start, i64)
        self.expression(loop.stop, i64)
        if loop.mark in ("vector", "parallel"):
            self.independent(loop)
        breaks = isinstance(loop.body[-1], Break) if loop.body else False
        bounds, checked = self.bounds, self.checked
        self.loops.append(loop)
        self.conditions += breaks
        self.bounds, self.checked = bounds.inside(loop), set()
        self.body(loop.body, loop.mark == "ordered")
        self.loops.pop()
        self.conditions -= breaks
        self.bounds, self.checked, self.current = bounds, checked, loop

    def choice(self, statement: If) -> None:
        self.expression(statement.condition, bool_)
        bounds, checked = self.bounds, self.checked
        self.conditions += 1
        for holds, body in ((True, statement.then), (False, statement.orelse)):
            self.bounds, self.checked = bounds.where(statement.condition, holds), set()
            self.body(body)
        self.conditions -= 1
        self.bounds, self.checked, self.current = bounds, checked, statement

    def bind(self, index: Index) -> None:
        """An Index that is bound from here on; one name means one thing at a time. A caller's index that
        has the name is another one."""
        if self.is_bound_here(index) or index.name in self.own:
            self.fail(f"{index.name} is already bound")

    def is_bound_here(self, index: Index) -> bool:
        return index in self.bounds.loops or index in self.bounds.named

    def is_bound(self, index: Index) -> bool:
        return self.is_bound_here(index) or index.name in self.own or index.name in self.known

    def variable(self, variable: Variable) -> None:
        if variable not in self.variables:
            self.fail(f"{variable.name}: {variable.dtype} is not declared here")

    def buffer(self, buffer: Buffer) -> None:
        if buffer not in self.buffers:
            self.fail(f"{buffer} is not declared here")

    def allocate(self, buffer: Buffer) -> None:
        if buffer.space not in ("local", "kept", "register"):
            self.fail(f"{buffer} cannot be allocated in the space {buffer.space!r}")
        if buffer.space == "register" and symbol_names(buffer.type):
            self.fail(f"registers have a known size, {buffer} has not")
        unknown = [n for n in symbol_names(buffer.type) if not self.is_bound(Index(n))]
        if unknown:
            self.fail(f"the extents {sorted(unknown)} are unknown here")
        self.buffers.add(buffer)

    def is_read_only(self, buffer: Buffer) -> bool:
        return buffer in self.kernel.inputs and buffer.space != tensor.UPDATED

    def write(self, buffer: Buffer, indices: tuple[Expression, ...]) -> None:
        self.buffer(buffer)
        if self.is_read_only(buffer):
            self.fail(f"{buffer} is an input")
        self.written.add(buffer)
        for index in indices:
            self.expression(index, i64)
        self.access(buffer, indices)

    def call(self, call: Call) -> None:
        kernel, buffers = call.kernel.signature, call.buffers
        wanted = [b.type for b in kernel.parameters]
        fits = len(buffers) == len(wanted)
        if not fits or not all(_same_memory(b.type, type) for b, type in zip(buffers, wanted)):
            self.fail(f"{kernel.name} takes ({', '.join(map(str, wanted))})")
        for buffer in buffers:
            self.buffer(buffer)
        for buffer in call.written:
            if self.is_read_only(buffer) or buffers.count(buffer) > 1:
                self.fail(f"{buffer} cannot also be written")
            self.written.add(buffer)

    def extern(self, statement: Extern) -> None:
        known = foreign(statement.symbol)
        if known is None:
            self.fail(f"{statement.symbol} is not a foreign function that is known")
        for position, argument in enumerate(statement.arguments):
            if not isinstance(argument, Address):
                self.expression(argument, argument.dtype)
            elif argument is start_of(argument.buffer) or 0 in argument.buffer.type.shape:
                self.whole(argument.buffer, position in known.written)
            elif isinstance(statement.symbol, HostFunction):
                self.fail(f"a part of {argument.buffer} is passed")
            elif position in known.written:
                self.write(argument.buffer, argument.indices)
            else:
                self.buffer(argument.buffer)
                self.expression(Load(argument.buffer, argument.indices), argument.buffer.type.dtype)

    def whole(self, buffer: Buffer, is_written: bool) -> None:
        """A buffer is handed over, which may have no elements."""
        self.buffer(buffer)
        if is_written:
            if self.is_read_only(buffer):
                self.fail(f"{buffer} is an input")
            self.written.add(buffer)

    # Expressions.

    def expression(self, expression: Expression, dtype: object) -> None:
        self.leaves(expression)
        if expression.dtype is not dtype:
            self.fail(f"{expression.dtype} where {dtype} is wanted")
        checked = self.checked
        for e in postorder((expression,), lambda e: () if e in checked else parts(e)):
            if e not in checked:
                self.inner(e)
                checked.add(e)

    def leaves(self, e: Expression) -> None:
        for term in e.free:
            if isinstance(term, Variable):
                self.variable(term)
            elif isinstance(term, Buffer):
                self.buffer(term)
            elif isinstance(term, Index) and not self.is_bound(term):
                self.fail(f"the index {term.name} is not bound here")

    def inner(self, e: Expression) -> None:
        match e:
            case Load(buffer, indices):
                for index in indices:
                    if index.dtype is not i64:
                        self.fail(f"an index of dtype {index.dtype} into {buffer}")
                self.access(buffer, indices)
            case Table(data, index, _):
                self.inside(index, len(data), e)
            case Apply("cast", operands, _):
                if len(operands) != 1:
                    self.fail(f"cast takes one operand, not {len(operands)}")
            case Apply(op, operands, dtype):
                dtypes = tuple([operand.dtype for operand in operands])
                expected = scalar_dtype(op, dtypes)
                if expected is not dtype:
                    rule = f"gives {expected}" if expected else "has no rule"
                    self.fail(f"{op}({', '.join(map(str, dtypes))}) {rule}, here {dtype}")
            case Literal(value, dtype) if type(value) is bool and dtype is not bool_:
                self.fail(f"the literal {value} as {dtype}")

    # Bounds.

    def access(self, buffer: Buffer, indices: tuple[Expression, ...]) -> None:
        if len(indices) != buffer.type.ndim:
            self.fail(f"{len(indices)} indices into {buffer}")
        for index, extent in zip(indices, buffer.type.shape):
            self.inside(index, extent, Load(buffer, indices))

    def inside(self, index: Expression, extent: object, access: Expression) -> None:
        if self.bounds.is_below(index, extent):
            return
        text = show_statement(access)
        if self.certainly_reaches(index, extent):
            self.fail(f"{text} leaves an axis of extent {extent}")
        if text not in self.unproved:
            self.unproved.append(text)

    def certainly_reaches(self, index: Expression, extent: object) -> bool:
        """Whether an index outside the extent is taken for sure: all is known and all loops run."""
        if self.conditions:
            return False
        low, high = self.bounds.interval(index)
        atoms, _ = linear(index)
        exact = all(isinstance(atom, Index) for atom in atoms)
        ranges = [self.bounds.interval(loop.index) for loop in self.loops]
        fixed = all(
            isinstance(loop.start, Literal) and isinstance(loop.stop, Literal)
            for loop in self.loops
        )
        runs = fixed and all(first <= last for first, last in ranges)
        return exact and runs and type(low) is int and (low < 0 or not self.fits(high, extent))

    @staticmethod
    def fits(high: object, extent: object) -> bool:
        return type(high) is not int or type(extent) is not int or high < extent

    # Independence.

    def independent(self, loop: For) -> None:
        """Iterations must not read or overwrite what others write, but for Accumulate in vectors."""
        if loop.mark == "parallel" and needs_one_thread((loop,)):
            self.fail("calls a function in a parallel loop that is not said to be thread-safe")
        if sections := sections_of(loop):
            if (shared := shared_by(sections)) is not None:
                self.fail(f"sections of a parallel loop meet at {shared}")
            return
        own = _own(loop)
        packing = packing_of(loop) if loop.mark == "vector" else None
        if packing is not None:
            own.update(part.place for part in packing.packings)
        running = running_of(loop) if loop.mark == "vector" else None
        if running is not None:
            own.add(running.total)
        inner = {s.index for s in statements(loop.body) if isinstance(s, For)}
        packed = _packed_alone(loop) if loop.mark == "parallel" else ()
        stores: list[tuple[Buffer, tuple[Expression, ...]]] = []
        for statement in statements(loop.body):
            self.current = statement
            match statement:
                case Assign(term, _) if term not in own:
                    self.fail(f"changes {term.name} in every iteration of a {loop.mark} loop")
                case Accumulate(Variable() as term, _, _) if term not in own:
                    if loop.mark == "parallel":
                        self.fail(f"accumulates into {term.name} across a parallel loop")
                case Store(buffer, indices, _) if buffer not in own:
                    if packing and any(statement is part.store for part in packing.packings):
                        continue
                    if statement in packed:
                        continue
                    if is_chosen_by_data(indices) and not are_apart(loop, indices):
                        if loop.mark == "parallel" or not keeps_order(loop, statement):
                            self.fail(f"data says where iterations of a {loop.mark} loop store")
                    stores.append((buffer, indices))
                case Accumulate(Load(buffer, indices), _, _) if buffer not in own:
                    if loop.mark == "parallel":
                        stores.append((buffer, indices))
                case If(_, _, orelse) if loop.mark == "vector" and orelse:
                    self.fail("lanes go two ways")
                case If() if loop.mark == "vector":
                    self.masked(statement)
                case For(_, start, stop) if loop.mark == "vector":
                    if not (own - inner).isdisjoint(start.free | stop.free):
                        self.fail("lanes run a loop inside differently often")
                    if any(isinstance(s, Break) for s in statement.body):
                        self.masked(statement)
                case Call():
                    shared = [b for b in statement.written if b not in own]
                    if shared:
                        self.fail(f"writes {shared[0]} in every iteration of a {loop.mark} loop")
                case Extern(symbol) if loop.mark == "vector" and symbol not in ("prefetch", POLL):
                    self.fail("calls a foreign function in a vector loop")
        roots = [e for s in statements(loop.body) for e in tensor.expressions_of(s)]
        loads = [e for e in postorder(roots, parts) if isinstance(e, Load)]
        varying = own | {buffer for buffer, _ in stores}
        for buffer, indices in stores:
            for other in (indices, *[e.indices for e in loads if e.buffer is buffer]):
                if _collides(loop, indices, other, varying):
                    self.current = loop
                    place = show_statement(Load(buffer, indices))
                    self.fail(f"iterations of a {loop.mark} loop meet at {place}")
        self.current = loop

    def masked(self, statement: If | For) -> None:
        """Lanes that have no part in what is under an If, or are done, leave memory as it is."""
        for inner in statements((statement,)):
            if not isinstance(inner, Store):
                continue
            kept = Load(inner.buffer, inner.indices)
            match inner.value:
                case Apply("where", (_, _, other)) if other is kept:
                    pass
                case value if value is not kept:
                    self.current = inner
                    self.fail("lanes store that have no part in it")


def _packed_alone(loop: For) -> set[Store]:
    """Stores of what vector loops inside pack, and of nothing else: what was counted before says where, so that
    iterations fill stretches of their own."""
    inner = [s for s in statements(loop.body) if isinstance(s, For) and s.mark == "vector"]
    found = [packing for packing in map(packing_of, inner) if packing is not None]
    return {part.store for packing in found for part in packing.packings if part.is_exact}


def _own(loop: For) -> set[Term]:
    """What each iteration has for itself: its index, what it declares, and inner indices whose
    range depends on these."""
    own: set[Term] = {loop.index}
    for statement in statements(loop.body):
        match statement:
            case Let(term, _) | Allocate(term):
                own.add(term)
            case For(index, start, stop) if not own.isdisjoint(start.free | stop.free):
                own.add(index)
    return own


def _collides(
    loop: For, one: tuple[Expression, ...], two: tuple[Expression, ...], varying: set[Term]
) -> bool:
    """Whether two different iterations certainly use one element: at `one` here, at `two` there."""
    distances: set[int] = set()
    for a, b in zip(one, two):
        (atoms_a, constant_a), (atoms_b, constant_b) = linear(a), linear(b)
        scale = atoms_a.pop(loop.index, 0)
        if atoms_b.pop(loop.index, 0) != scale or atoms_a != atoms_b:
            return False
        if any(not varying.isdisjoint(atom.free) for atom in atoms_a):
            return False
        gap = constant_a - constant_b
        if gap % (scale or abs(gap) + 1):
            return False
        if scale:
            distances.add(gap // scale)
    if isinstance(loop.start, Literal) and isinstance(loop.stop, Literal):
        trips = loop.stop.value - loop.start.value
        if trips < 2 or any(abs(distance) >= trips for distance in distances):
            return False
    return not distances or (len(distances) == 1 and distances != {0})
