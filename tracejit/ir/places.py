"""Where iterations of a loop store: in places of their own, or wherever data says.

Of elements that go to one place the last stays, so stores at places that data chooses keep their
order, and iterations that read what others store there as well. Lanes of a vector are stored in
order, so a vector loop will do; threads will not.
"""

from __future__ import annotations

from collections.abc import Iterable

from .affine import linear
from .tensor import (
    Buffer,
    Expression,
    For,
    Index,
    Store,
    Term,
    Variable,
    loads_of,
    statements,
)


def is_chosen_by_data(indices: Iterable[Expression]) -> bool:
    """Whether a place depends on what was read or computed, not on loops alone."""
    return any(isinstance(term, Buffer | Variable) for index in indices for term in index.free)


def are_apart(loop: For, indices: Iterable[Expression]) -> bool:
    """Whether iterations of `loop` certainly use different places: one index is all theirs."""
    own: set[Term] = {loop.index}
    inside: set[Term] = set()
    for statement in statements(loop.body):
        if isinstance(statement, For):
            inside.add(statement.index)
            if not own.isdisjoint(statement.start.free | statement.stop.free):
                own.add(statement.index)
    for index in indices:
        atoms, _ = linear(index)
        indexed = all(isinstance(atom, Index) for atom in atoms)
        if indexed and len(own & atoms.keys()) == 1 and not (inside - own) & atoms.keys():
            return True
    return False


def keeps_order(loop: For, store: Store) -> bool:
    """Whether the lanes of a vector loop store as its iterations would, one after the other."""
    is_read = any(load.buffer is store.buffer for load in loads_of(loop.body))
    return store in loop.body and not is_read
