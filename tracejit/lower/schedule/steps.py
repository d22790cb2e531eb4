"""The steps of a schedule: functions from a kernel, and what the step is told, to a kernel.

Each looks whether what it is asked keeps the meaning of the kernel, and raises IRError, saying why
not, where it cannot prove that. Loops keep the names of their indices; new ones are named in the
step, or after what they are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from ...errors import IRError
from ...ir import expressions, tensor
from ...ir.expressions import integer
from ...ir.tensor import (
    Accumulate,
    Allocate,
    Assign,
    Break,
    Buffer,
    For,
    If,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Statement,
    Store,
    Variable,
    loads_of,
    map_bodies,
    statements,
)
from ...ir.types import array_type
from ..tensor.substitute import substitute
from .dependences import accesses, backward, carried, declared, memory_of
from .places import Body, Place, exchanged, find, find_all, walk

# Registers hold no more than this many bytes of a tile.
REGISTER_BYTES = 4096


def split(kernel: Kernel, loop: str, size: int, outer: str = "", inner: str = "") -> Kernel:
    """One loop as two: `outer` over tiles of `size` iterations, `inner` over those of a tile."""
    place = find(kernel, loop)
    found = _schedulable(place.loop)
    outer, inner = outer or f"{found.index.name}_outer", inner or f"{found.index.name}_inner"
    _refuse_taken(kernel, outer, inner)
    if size < 1:
        raise IRError(f"a tile has at least one iteration, not {size}")
    trips = expressions.subtract(found.stop, found.start)
    a, b = Index(outer), Index(inner)
    begin = expressions.multiply(a, integer(size))
    tiles = expressions.floor_divide(expressions.add(trips, integer(size - 1)), integer(size))
    stop: tensor.Expression = integer(size)
    if not (isinstance(trips, Literal) and trips.value % size == 0):
        stop = expressions.minimum(stop, expressions.subtract(trips, begin))
    here = {found.index: expressions.add(found.start, expressions.add(begin, b))}
    body = substitute(found.body, here)
    tile = For(b, tensor.ZERO, stop, body, "serial", 1)
    return _put(kernel, place, (For(a, tensor.ZERO, tiles, (tile,), "serial", 1),))


def interchange(kernel: Kernel, outer: str, inner: str) -> Kernel:
    """Two loops, one directly inside the other, the other way round."""
    place = find(kernel, outer)
    a = _schedulable(place.loop)
    b = _schedulable(_only_loop_in(a))
    if find(kernel, inner).loop is not b:
        raise IRError(
            f"directly in the loop {a.index.name} is the loop {b.index.name}, not {inner}"
        )
    if a.index in b.start.free | b.stop.free:
        raise IRError(f"the range of {b.index.name} depends on {a.index.name}")
    if (reason := carried(a)) is not None and (other := carried(b)) is not None:
        raise IRError(
            f"both loops carry something: {a.index.name}: {reason}; {b.index.name}: {other}"
        )
    return _put(kernel, place, (b.replace(body=(a.replace(body=b.body),)),))


def _only_loop_in(loop: For) -> For:
    if len(loop.body) != 1 or not isinstance(loop.body[0], For):
        name = loop.index.name
        raise IRError(
            f"the loop {name} has more in it than one loop",
            hint=f"distribute({name!r}) gives each statement in it a loop of its own",
        )
    return loop.body[0]


def reorder(kernel: Kernel, *loops: str) -> Kernel:
    """A nest of loops, each directly inside the one before, in this order, by interchanges."""
    wanted = [find(kernel, loop) for loop in loops]
    names = [place.loop.index.name for place in wanted]
    top = min(wanted, key=lambda place: len(place.path)).path
    order = [p.loop.index.name for p in sorted(wanted, key=lambda p: len(p.path))]
    deepest = max(wanted, key=lambda place: len(place.path)).path
    if any(p.path != deepest[: len(p.path)] for p in wanted):
        raise IRError(f"the loops {', '.join(names)} are not inside each other")
    depth = len(top)
    if len(deepest) - depth + 1 != len(loops):
        raise IRError(
            f"there are other loops between {', '.join(order)}", hint="name these as well"
        )
    for position, name in enumerate(names):
        while order.index(name) > position:
            k = order.index(name)
            kernel = _interchange_at(kernel, deepest[: depth + k - 1])
            order[k - 1], order[k] = order[k], order[k - 1]
    return kernel


def _interchange_at(kernel: Kernel, path: tuple[int, ...]) -> Kernel:
    """Interchange the loop at a path with the one in it: addressed by where they are."""
    (place,) = [p for p in walk(kernel.body) if p.path == path]
    inner = _only_loop_in(place.loop)
    number = [p.path for p in walk(kernel.body) if p.loop.index is place.loop.index].index(path)
    below = [p.path for p in walk(kernel.body) if p.loop.index is inner.index].index((*path, 0))
    names = place.loop.index.name, inner.index.name
    return interchange(kernel, f"{names[0]}#{number + 1}", f"{names[1]}#{below + 1}")


def unroll(kernel: Kernel, loop: str) -> Kernel:
    """All iterations, one after the other, in line: of every loop of the name."""

    def mark(found: For) -> For:
        if not isinstance(found.start, Literal) or not isinstance(found.stop, Literal):
            raise IRError(f"how often the loop {found.index.name} runs is not known")
        return found.replace(mark="unroll")

    return _marked(kernel, loop, mark)


def vectorize(kernel: Kernel, loop: str, lanes: int = 0) -> Kernel:
    """Iterations in vector lanes, of every loop of the name; as many lanes as it has iterations."""

    def mark(found: For) -> For:
        if any(isinstance(s, If | Break) for s in statements(found.body)):
            raise IRError(f"there is control flow in the loop {found.index.name}")
        if (reason := carried(found)) is not None:
            raise IRError(f"the loop {found.index.name} is not independent: {reason}")
        _refuse_marked((p.loop for p in walk(found.body)), "in it")
        trips = _trips(found)
        if not lanes and trips is None:
            raise IRError(f"say how many lanes the loop {found.index.name} has")
        return found.replace(mark="vector", lanes=lanes or 1 << (trips - 1).bit_length())

    return _marked(kernel, loop, mark)


def parallelize(kernel: Kernel, loop: str) -> Kernel:
    """Iterations by threads."""

    def mark(found: For) -> For:
        if (reason := carried(found, threads=True)) is not None:
            raise IRError(f"the loop {found.index.name} is not independent: {reason}")
        _refuse_marked((p.loop for p in walk(found.body) if p.loop.mark == "parallel"), "in it")
        return found.replace(mark="parallel")

    return _marked(kernel, loop, mark)


def _marked(kernel: Kernel, loop: str, mark: Callable[[For], For]) -> Kernel:
    for place in find_all(kernel, loop):
        new = mark(_schedulable(place.loop))
        around = [outer for outer in place.around if outer.mark in ("vector", new.mark)]
        _refuse_marked(around if new.mark != "unroll" else (), "around it")
        kernel = _put(kernel, place, (new,))
    return kernel


def _refuse_marked(loops: Iterable[For], where: str) -> None:
    """Lanes and threads are given once in a nest, and threads outside."""
    for loop in loops:
        if loop.mark in ("vector", "parallel"):
            raise IRError(f"the loop {loop.index.name} {where} is {loop.mark} already")


def fuse(kernel: Kernel, first: str, second: str) -> Kernel:
    """Two loops over one range, one directly after the other, as one."""
    one, two = find(kernel, first), find(kernel, second)
    a, b = _schedulable(one.loop), _schedulable(two.loop)
    if (*one.path[:-1], one.path[-1] + 1) != two.path:
        raise IRError(f"the loop {second} does not come directly after the loop {first}")
    if a.start is not b.start or a.stop is not b.stop:
        raise IRError(f"the loops {first} and {second} run over different ranges")
    body = substitute(b.body, {b.index: a.index})
    reason = backward(a, a.body, body)
    if reason is not None:
        raise IRError(f"the loops {first} and {second} cannot be one: {reason}")
    kernel = _put(kernel, two, ())
    return _put(kernel, one, (a.replace(body=(*a.body, *body)),))


def distribute(kernel: Kernel, loop: str) -> Kernel:
    """A loop for each statement in it; the loops are called `loop#1`, `loop#2`, ..."""
    place = find(kernel, loop)
    found = _schedulable(place.loop)
    for k in range(1, len(found.body)):
        reason = backward(found, found.body[:k], found.body[k:])
        if reason is not None:
            raise IRError(
                f"the loop {found.index.name} cannot be given to each statement in it: {reason}",
                hint="expand(variable, loop, ...) gives each iteration a variable of its own",
            )
    return _put(kernel, place, tuple([found.replace(body=(s,)) for s in found.body]))


def expand(kernel: Kernel, variable: str, *loops: str) -> Kernel:
    """A variable that is declared in loops as registers, one for each iteration of these loops."""
    places = sorted([find(kernel, loop) for loop in loops], key=lambda place: len(place.path))
    if not places:
        raise IRError(f"say the loops for whose iterations {variable} is kept")
    inner = places[-1].loop
    lets = [s for s in inner.body if isinstance(s, Let) and s.variable.name == variable]
    if not lets or not isinstance(lets[0].variable, Variable):
        raise IRError(f"the loop {inner.index.name} declares no variable {variable!r}")
    outer = places[0]
    extents = tuple([_constant_trips(place.loop) for place in places])
    found = lets[0].variable
    buffer = Buffer(found.name, array_type(extents, found.dtype), "register")
    if buffer.type.size * found.dtype.itemsize > REGISTER_BYTES:
        raise IRError(f"{buffer} does not fit into registers", hint="split the loops first")
    index = tuple([expressions.subtract(p.loop.index, p.loop.start) for p in places])
    nest = _expanded((outer.loop,), found, Load(buffer, index))
    return _put(kernel, outer, (Allocate(buffer), *nest))


def _expanded(body: Body, variable: Variable, place: Load) -> Body:
    """Statements in which an element of a buffer is what a variable was."""
    new: list[Statement] = []
    for statement in substitute(body, {variable: place}):
        match statement:
            case Let(term, value) | Assign(term, value) if term is variable:
                new.append(Store(place.buffer, place.indices, value))
            case Accumulate(term, op, value) if term is variable:
                new.append(Accumulate(place, op, value))
            case For(_, _, _, inner):
                new.append(statement.replace(body=_expanded(inner, variable, place)))
            case If(condition, then, orelse):
                then = _expanded(then, variable, place)
                new.append(If(condition, then, _expanded(orelse, variable, place)))
            case _:
                new.append(statement)
    return tuple(new)


def settled(kernel: Kernel) -> Kernel:
    """The kernel at the end of a schedule: registers are what is only used at known places.

    That is where loops are in line, or are one vector; elsewhere a small array in memory has to do.
    """
    known = {p.loop.index for p in walk(kernel.body) if _is_in_line(p.loop)}
    known -= {p.loop.index for p in walk(kernel.body) if not _is_in_line(p.loop)}
    new: dict[Buffer, Buffer] = {}
    for access in accesses(_without_allocations(kernel.body)):
        buffer = access.what
        if isinstance(buffer, Buffer) and buffer.space == "register":
            if not {t for index in access.indices for t in index.free} <= known:
                new[buffer] = buffer.replace(space="local")
    return kernel.replace(body=_in_memory(kernel.body, new)) if new else kernel


def _is_in_line(loop: For) -> bool:
    trips = _trips(loop)
    return trips is not None and (
        loop.mark == "unroll" or loop.mark == "vector" and loop.lanes >= trips
    )


def _without_allocations(body: Body) -> Body:
    """The statements, so that what they allocate counts as used, not as their own."""
    kept = [s for s in body if not isinstance(s, Allocate)]
    return tuple([map_bodies(s, _without_allocations) for s in kept])


def _in_memory(body: Body, new: dict[Buffer, Buffer]) -> Body:
    """Statements on other buffers; what accumulates in one of these reads and stores."""
    loads = {
        load: Load(new[load.buffer], load.indices) for load in loads_of(body) if load.buffer in new
    }
    found: list[Statement] = []
    for statement in substitute(body, loads):
        match statement:
            case Allocate(buffer):
                found.append(Allocate(new.get(buffer, buffer)))
            case Store(buffer, indices, value):
                found.append(Store(new.get(buffer, buffer), indices, value))
            case Accumulate(Load(buffer, indices), op, value) if buffer in new:
                place = Load(new[buffer], indices)
                value = tensor.Apply(op, (place, value), place.dtype)
                found.append(Store(place.buffer, indices, value))
            case _:
                found.append(map_bodies(statement, lambda inner: _in_memory(inner, new)))
    return tuple(found)


def stage(kernel: Kernel, buffer: str, before: str, by: tuple[str, ...], name: str = "") -> Kernel:
    """Copy what a loop reads of a buffer into a small one, just before the loop.

    `by` names loops inside it, or the loop itself: those that decide which element is read. The copy
    has an axis for each of them, in this order. Its loops are called `name_loop`.
    """
    place = find(kernel, before)
    name = name or f"{buffer}_staged"
    found = [load for load in loads_of((place.loop,)) if load.buffer.name == buffer]
    if not found:
        raise IRError(f"the loop {before} reads no buffer {buffer!r}")
    if len(found) > 1:
        raise IRError(f"the loop {before} reads {buffer} at {len(found)} different places")
    (load,) = found
    written = [a for a in accesses((place.loop,)) if a.what is load.buffer and a.how != "read"]
    if written or load.buffer in memory_of(place.loop) | declared((place.loop,)):
        raise IRError(f"the loop {before} also writes {buffer}, or declares it")
    inside = {p.loop.index: p.loop for p in walk((place.loop,))}
    chosen = []
    for each in by:
        (one, *_) = find_all(kernel, each)
        if inside.get(one.loop.index) is None:
            raise IRError(f"the loop {each} is not inside the loop {before}")
        chosen.append(one.loop)
    deciding = load.free & inside.keys()
    missing = [index.name for index in deciding - {loop.index for loop in chosen}]
    if missing:
        raise IRError(
            f"which element of {buffer} is read depends on {', '.join(sorted(missing))} too"
        )
    extents = tuple([_constant_trips(loop) for loop in chosen])
    local = Buffer(name, array_type(extents, load.dtype), "local")
    copies = [Index(f"{name}_{loop.index.name}") for loop in chosen]
    _refuse_taken(kernel, name, *[index.name for index in copies])
    there = {l.index: expressions.add(l.start, i) for l, i in zip(chosen, copies)}
    value = expressions.replace_expressions((load,), there)[load]
    copy: Body = (Store(local, tuple(copies), value),)
    for index, extent in zip(reversed(copies), reversed(extents)):
        copy = (For(index, tensor.ZERO, integer(extent), copy, "serial", 1),)
    here = tuple([expressions.subtract(loop.index, loop.start) for loop in chosen])
    rest = substitute((place.loop,), {load: Load(local, here)})
    return _put(kernel, place, (Allocate(local), *copy, *rest))


def _put(kernel: Kernel, place: Place, new: Body) -> Kernel:
    return kernel.replace(body=exchanged(kernel.body, place.path, lambda _: new))


def _schedulable(loop: For) -> For:
    if loop.mark != "serial":
        raise IRError(f"how the loop {loop.index.name} runs is decided already: {loop.mark}")
    return loop


def _trips(loop: For) -> int | None:
    match expressions.subtract(loop.stop, loop.start):
        case Literal(value):
            return value
    return None


def _constant_trips(loop: For) -> int:
    trips = _trips(loop)
    if trips is None:
        raise IRError(
            f"how often the loop {loop.index.name} runs is not known",
            hint="split it by a number that divides its range",
        )
    return trips


def _refuse_taken(kernel: Kernel, *names: str) -> None:
    taken = {buffer.name for buffer in kernel.parameters}
    for statement in statements(kernel.body):
        match statement:
            case For(term) | Let(term) | Allocate(term):
                taken.add(term.name)
    for one, other in pairwise(sorted(names)):
        taken |= {one} if one == other else set()
    if clash := taken & {*names}:
        raise IRError(f"the name {min(clash)!r} is taken in {kernel.name}")


# What a schedule may consist of, by name.
STEPS: dict[str, Callable[..., Kernel]] = {
    step.__name__: step
    for step in (
        split,
        interchange,
        reorder,
        unroll,
        vectorize,
        parallelize,
        fuse,
        distribute,
        expand,
        stage,
    )
}
