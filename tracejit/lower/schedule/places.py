"""Where statements are in a kernel: paths from its body inwards, and the loops that addresses mean.

Terms are interned, so two equal loops are one object: what tells them apart is where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...errors import IRError
from ...ir.show import show_statement
from ...ir.tensor import Apply, For, Kernel, Statement, bodies_of, expressions_of, parts, statements
from ...ir.term import postorder

# Positions in bodies, outermost first; the two bodies of a choice count as one.
Path = tuple[int, ...]
Body = tuple[Statement, ...]


class Place(NamedTuple):
    """A loop, where it is, and the loops around it, outermost first."""

    path: Path
    loop: For
    around: tuple[For, ...]


def walk(body: Body, path: Path = (), around: tuple[For, ...] = ()) -> Iterator[Place]:
    """Every loop, in the order of the text."""
    for position, statement in enumerate(body):
        here = (*path, position)
        inside = around
        if isinstance(statement, For):
            yield Place(here, statement, around)
            inside = (*around, statement)
        yield from walk(inner_of(statement), here, inside)


def inner_of(statement: Statement) -> Body:
    return tuple([inner for body in bodies_of(statement) for inner in body])


def find_all(kernel: Kernel, address: str) -> list[Place]:
    """The loops that an address means; raises IRError where there is none.

    An address is the name of a loop's index, `name#2` for the second of the name, `op:exp` for the
    innermost loop that computes an `exp`, or a part of the text of its line: `for k in range(0, 8)`.
    """
    places = list(walk(kernel.body))
    name, _, number = address.partition("#")
    if address.startswith("op:"):
        found = [p for p in places if _computes(p.loop, address[3:])]
    elif " " in address:
        found = [p for p in places if address in show_statement(p.loop)]
    else:
        found = [p for p in places if p.loop.index.name == name]
        if number:
            found = found[int(number) - 1 : int(number)]
    if not found:
        lines = [f"  {'  ' * len(p.around)}{_line(p.loop)}" for p in places]
        raise IRError("\n".join([f"{kernel.name} has no loop {address!r}; its loops are", *lines]))
    return found


def find(kernel: Kernel, address: str) -> Place:
    """The one loop that an address means."""
    found = find_all(kernel, address)
    if len(found) > 1:
        name = found[0].loop.index.name
        raise IRError(
            f"{kernel.name} has {len(found)} loops {address!r}",
            hint=f"number them in the order of the text: '{name}#1', '{name}#2', ...",
        )
    return found[0]


def _line(loop: For) -> str:
    return show_statement(loop).partition(":")[0]


def _computes(loop: For, op: str) -> bool:
    """Whether statements directly in the loop compute `op`."""
    own = [s for s in loop.body if not isinstance(s, For)]
    roots = [e for s in statements(own) for e in expressions_of(s)]
    return any(isinstance(e, Apply) and e.op == op for e in postorder(roots, parts))


def exchanged(body: Body, path: Path, new: Callable[[Statement], Body]) -> Body:
    """The body with the statement at a path exchanged for others."""
    position, *rest = path
    statement = body[position]
    if not rest:
        return (*body[:position], *new(statement), *body[position + 1 :])
    if isinstance(statement, For):
        changed: Statement = statement.replace(body=exchanged(statement.body, tuple(rest), new))
    else:
        count = len(statement.then)
        if rest[0] < count:
            changed = statement.replace(then=exchanged(statement.then, tuple(rest), new))
        else:
            rest[0] -= count
            changed = statement.replace(orelse=exchanged(statement.orelse, tuple(rest), new))
    return (*body[:position], changed, *body[position + 1 :])
