"""Steps that write an array where they still read it write into spare memory, which takes turns with it.

    for t in range(n): u[1:-1] = f(u[:-2], u[2:])
    v = u.copy();  for t in range(n): v[1:-1] = f(u[:-2], u[2:]); u, v = v, u

New values would have to wait elsewhere until the last old one is read, and be copied then. Outside of
the window that is written, nothing changes from one step to the next: both arrays are the same there.

What a step stores in one array and needs again to write another is read back, where it would have to be
computed from values of the other one that are written over by then:

    new[1:-1] = f(u);  u[1:-1] = f(new)
"""

from __future__ import annotations

from ...ir import ops
from ...ir.dims import is_never_negative
from ...ir.graph import (
    Function,
    Module,
    Node,
    each_program,
    item,
    parameter,
    rebuild_nodes,
    substitute,
)
from ...ir.op import ELEMENTWISE
from ...ir.syntax import symbol_names
from ...ir.term import postorder
from ...ir.types import array_type

# Fewer steps, and smaller arrays, are not worth the copy.
FEWEST_STEPS, FEWEST_ELEMENTS = 4, 33


@each_program
def take_turns(module: Module) -> Module:
    """The same module, in whose `for` loops values do not wait to be written."""
    entry = module.entry
    if not any(node.op is ops.for_loop for node in entry.nodes):
        return module

    def visit(node: Node) -> Node:
        return _in_turns(node) if node.op is ops.for_loop else node

    return Module(entry.replace(results=rebuild_nodes(entry.results, visit)))


def _in_turns(loop: Node) -> Node:
    attrs = dict(loop.attributes)
    count = attrs["carried"]
    body = attrs["body"] = _reading_back(attrs["body"], count)
    loop = (
        loop if body is loop.attrs["body"] else Node(loop.op, loop.operands, tuple(attrs.items()))
    )
    waiting = [k for k in range(count) if _waits(loop, k)]
    if not waiting:
        return loop
    names = {p.attrs["name"] for p in body.parameters}
    spares: list[Node] = []
    new: dict[Node, Node] = {}
    for number in waiting:
        old, update = body.parameters[number], body.results[number]
        name = f"{old.attrs['name']}_next"
        while name in names:
            name += "_"
        names.add(name)
        spares.append(parameter(name, array_type(old.type.shape, old.type.dtype)))
        new[update] = ops.update(spares[-1], update.operands[1], **update.attrs)
    attrs["body"] = Function(
        body.name,
        (*body.parameters[:count], *spares, *body.parameters[count:]),
        (
            *substitute(body.results[:count], new),
            *[body.parameters[k] for k in waiting],
            *substitute(body.results[count:], new),
        ),
    )
    attrs["carried"] = count + len(spares)
    firsts, read = loop.operands[:count], loop.operands[count:]
    operands = (*firsts, *[firsts[k] for k in waiting], *read)
    made = Node(loop.op, operands, tuple(attrs.items()))
    return item(made, index=0) if count == 1 else made


def _reading_back(body: Function, count: int) -> Function:
    """The body, in which what a carried array is updated to is read there by the updates of others."""
    updates = [result for result in body.results[:count] if result.op is ops.update]
    for update in updates:
        value = update.operands[1]
        olds = {other.operands[0] for other in updates if other is not update}
        if value.op.kind != ELEMENTWISE or olds.isdisjoint(postorder((value,), _operands)):
            continue
        if not any(value in node.operands for node in body.nodes if node is not update):
            continue
        memory, stored = (parameter(n, v.type) for n, v in (("memory", update), ("stored", value)))
        found = substitute(body.results, {update: memory, value: stored})
        if stored not in postorder(found, _operands):  # nothing but the update itself needs it
            continue
        again = {memory: update, stored: ops.slice_(update, **update.attrs)}
        body = body.replace(results=substitute(found, again))
        return _reading_back(body, count)
    return body


def _operands(node: Node) -> tuple[Node, ...]:
    return node.operands


def _waits(loop: Node, number: int) -> bool:
    """Whether most of a carried array is updated in one window, from values around it."""
    body = loop.attrs["body"]
    old, new = body.parameters[number], body.results[number]
    if new.op is not ops.update or new.operands[0] is not old or loop.attrs.get("breaks"):
        return False
    if symbol_names(new.attributes) & symbol_names(loop.attrs["index"]):
        return False
    value, window = new.operands[1], new.attributes
    users = [node for node in body.nodes if old in node.operands and node is not new]
    others = {node for node in users if node.op is not ops.slice_ or node.attributes != window}
    stored = set(body.results) - {new}
    reached = postorder((value,), lambda node: () if node in stored else node.operands)
    if others.isdisjoint(reached):
        return False
    size, steps = old.type.size, loop.attrs["stop"] - loop.attrs["start"]
    if isinstance(size, int) and size < FEWEST_ELEMENTS:
        return False
    if isinstance(steps, int) and steps < FEWEST_STEPS:
        return False
    parts = zip(value.type.shape, old.type.shape)
    return all(is_never_negative(2 * part - extent) for part, extent in parts)
