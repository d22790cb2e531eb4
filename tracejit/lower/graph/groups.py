"""What the fuser makes of a program: groups of nodes; and what nodes are to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ...ir.graph import Function, Kernel, Node, call
from ...ir.op import CONTRACTION, CREATION, ELEMENTWISE, MOVEMENT, REDUCTION, SCAN, UPDATE
from ...ir.ops import compress, contract, pad, relayout, reshape, slice_, transpose, windows
from ...ir.ops.movement import matched_axes
from ...ir.packing import packs
from ...ir.places import stores_alone
from ...ir.syntax import symbol_names
from ..elements import Position
from ..machine import Machine
from .updates import memory_of

# What costs this much is not done again by every reader at another place.
DEAR_MOVEMENT = 8.0
# What is computed beside elements that go one after the other, and costs this much, is stored before.
DEAR_IN_TURN = 12.0

FUSIBLE = (ELEMENTWISE, MOVEMENT, CREATION, REDUCTION, UPDATE)


def is_packing(node: Node) -> bool:
    """Whether a node packs what a mask selects of a vector: an element node, but for where its elements go."""
    return node.op is compress and node.type.ndim == 1


def is_fusible(node: Node, machine: Machine) -> bool:
    """Whether a node may share its loops with others, in lanes."""
    if is_packing(node):
        return packs(node.type.dtype, machine.vector_bytes)
    return node.op.kind in FUSIBLE


def in_turn_at_a_price(nodes: Iterable[Node]) -> bool:
    """Whether among nodes that share their loops some let elements go one after the other to where data says,
    which neither lanes nor, often, threads do, and the others are dear."""
    nodes = tuple(nodes)
    own = sum([node.op.cost for node in nodes if node.op.kind in (ELEMENTWISE, MOVEMENT)])
    return own >= DEAR_IN_TURN and any(map(goes_in_turn, nodes))


def goes_in_turn(node: Node) -> bool:
    """Whether elements of a node go one after the other to where data says."""
    if node.op.kind != UPDATE:
        return is_packing(node)
    _, value, *indices = node.operands
    return bool(indices) and indices[0].type.ndim == value.type.ndim


@dataclass(eq=False)
class Group:
    """Nodes computed by one loop nest; a read is a node, where, and whether a row node reads it."""

    number: int
    shape: tuple
    axes: tuple[int, ...] | None = None
    opaque: bool = False
    product: Node | None = None
    nodes: list[Node] = field(default_factory=list)
    rows: set[Node] = field(default_factory=set)
    clones: set[Node] = field(default_factory=set)
    # The same memory as a node of the group, in another shape.
    renamed: list[Node] = field(default_factory=list)
    reads: dict[tuple[Node, Position, bool], None] = field(default_factory=dict)
    depends: int = 0
    # The old values that updates in it exchange, each with the index that is written.
    old: dict[Node, Position | None] = field(default_factory=dict)

    @property
    def bit(self) -> int:
        return 1 << self.number

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes that are not reduced."""
        return tuple([a for a in range(len(self.shape)) if a not in (self.axes or ())])


def is_inline(node: Node) -> bool:
    """Never stored for its own sake."""
    kind = node.op.kind
    if kind in (MOVEMENT, CREATION):
        return node.op.cost < DEAR_MOVEMENT
    return kind == ELEMENTWISE and node.type.shape == ()


def is_argument(node: Node) -> bool:
    """A parameter, or the same memory in another shape."""
    while node.op is reshape and node.operands[0].type.layout is None:
        (node,) = node.operands
    return node.op.name == "parameter"


def in_one_piece(result: Node) -> Node:
    """What is stored for a result: it may be computed in another shape, as the memory is the same."""
    node = result
    while node.op is reshape:
        (node,) = node.operands
    return result if node.op.kind in (MOVEMENT, CREATION) or node.op.name == "parameter" else node


def is_renaming(node: Node) -> bool:
    """Whether a node is a stored value in another shape: the same memory, which nobody has to copy."""
    if node.op is not reshape:
        return False
    base = memory_of(node)
    return not is_inline(base) and base.op.name != "parameter" and base.type.layout is None


def in_memory_as(node: Node) -> Node:
    """What must be stored so that `node` is in memory."""
    return memory_of(node) if is_renaming(node) else node


def source_of(reader: Node) -> Callable[[Node], Node]:
    """What must be in memory for `reader`, which stands alone, to have an operand.

    Contractions read windows and parts of an array where they are, and pad what they read.
    """
    return _seen_through if reader.op is contract else lambda operand: operand


def _seen_through(node: Node) -> Node:
    """The value that `node` is a part of, or windows on, with a border around it or without."""
    padded = padded_part(node)
    return _part_of(node if padded is None else padded.operands[0])


def padded_part(node: Node) -> Node | None:
    """The `pad` that a contraction's operand is a part of, or windows on; None where there is none."""
    node = _part_of(node)
    if node.op is not pad:
        return None
    source, value = node.operands
    low, high = node.attrs["low"], node.attrs["high"]
    bordered = [n for n, a, b in zip(source.type.shape, low, high) if (a, b) != (0, 0)]
    if not all(type(n) is int for n in bordered):
        return None
    fits = bool(low) and min(*low, *high) >= 0 and 0 not in source.type.shape
    return node if fits and value.op.kind == CREATION else None


def _part_of(node: Node) -> Node:
    """The value whose elements `node` has at a sum of its indices, in any shape, or in blocks of them."""
    while (
        node.op in (windows, slice_, transpose)
        or node.op is relayout
        and "inverse" in node.attrs
        or node.op is reshape
        and only_splits(node)
        and not is_renaming(node)
    ):
        (source,) = node.operands
        # Where it begins may be told by a loop's index.
        size = (node.type.shape, node.attrs.get("step", ()))
        if not symbol_names(size) <= symbol_names(source.type.shape):
            break  # limit: a part whose size is told by a loop's index is copied
        node = source
    return node


def is_same_line(node: Node) -> bool:
    """Whether a reshape only drops or adds axes of extent 1."""
    before, after = [
        [n for n in shape if n != 1] for shape in (node.operands[0].type.shape, node.type.shape)
    ]
    return before == after


def only_splits(node: Node) -> bool:
    """Whether a reshape mixes no axes: it splits some, and drops or adds axes of extent 1."""
    before = node.operands[0].type.shape
    return all(
        sum(before[axis] != 1 for axis in left) <= 1
        for left, _ in matched_axes(before, node.type.shape)
    )


def is_open(node: Node) -> bool:
    """Whether what follows a node that stands alone may be computed where its elements are stored."""
    if node.op is call:
        return is_open_group(node.attrs["callee"])
    return node.op is contract and bool(node.type.shape)


def is_open_group(callee: Function | Kernel) -> bool:
    """Whether a callee is a group of the user's with one result, of known loops."""
    if callee.updated or len(callee.results if isinstance(callee, Function) else callee.fresh) != 1:
        return False
    if isinstance(callee, Kernel):
        return bool(callee.fresh[0].type.shape) and stores_alone(callee)
    known = (*FUSIBLE, SCAN, CONTRACTION)
    return bool(callee.results[0].type.shape) and all(
        n.op.kind in known or n.op.name == "parameter" or n.op is call and is_open(n)
        for n in callee.nodes
    )


def shaped(node: Node, shape: tuple) -> Node:
    return node if node.type.shape == shape else reshape(node, shape=shape)
