"""In which order of memory a contraction would like to find its right factor: as its tiles read it.

Panels as wide as a tile, one after the other, each of them in the order of the depth. A factor that lies so
is not packed again, and its tiles read memory in order.
"""

from __future__ import annotations

from math import prod

from ....ir.graph import Function, Node, parameter, substitute
from ....ir.op import Preferred
from ....ir.tensor import ARGUMENT, Buffer
from ....ir.types import array_type, c64, c128, f32, f64
from ...graph.groups import source_of
from ...machine import Machine as Parameters
from .machine import Machine
from .matrix import Matrix
from .problem import Problem, read_problem, slowest_first
from .unfold import unfold
from .unknown import UnknownProduct

FEWEST_ROWS = 3  # of the left factor, that read more than they compute otherwise
FEWEST_BYTES = 1 << 14  # of the right factor: what is less is near wherever it is


def preferred_layouts(node: Node, machine: Parameters) -> list[Preferred]:
    """The layout of the right factor that is read in panels, if that is worth something."""
    if node.attrs.get("by") == "library" or node.type.dtype not in (f32, f64, c64, c128):
        return []
    if node.operands[0] is node.operands[1] or not node.type.shape:
        return []
    machine = Machine(*machine)
    problem = _problem_of(node)
    right, (label, *more) = problem.right, problem.columns.labels or " "
    if more or label not in right.labels or unfold(problem) is not None:
        return []
    sizes = [problem.extents[x] for x in right.labels]
    known = all(isinstance(n, int) for n in (*sizes, problem.repeats))
    if not known or prod(sizes) * right.itemsize < FEWEST_BYTES or problem.depth.extent < 8:
        return []
    width = _panel_width(problem, machine)
    if not width or -problem.columns.extent % width > problem.columns.extent // 4:
        return []
    depth = slowest_first(problem.sums + problem.depth.labels, problem.left.strides)
    first = [x for x in right.labels if x != label and x not in depth]
    memory = [*first, f"{label}/{width}", *depth, f"{label}%{width}"]
    layout = f"{' '.join(right.labels)} -> {' '.join(memory)}"
    left, _ = node.attrs["spec"].split("->")[0].split(",")
    position = 0 if right.labels == left else 1
    return [Preferred(position, layout, _saved(problem, machine, prod(sizes) * right.itemsize))]


def _problem_of(node: Node) -> Problem:
    """The contraction alone, of operands in memory, which it may read as windows."""
    sources = dict.fromkeys(map(source_of(node), node.operands))
    given = {s: parameter(f"a{k}", s.type) for k, s in enumerate(sources)}
    (own,) = substitute((node,), given)
    inputs = {p: Buffer(p.attrs["name"], p.type, ARGUMENT) for p in given.values()}
    out = Buffer("out0", array_type(node.type.shape, node.type.dtype), ARGUMENT)
    return read_problem(Function("product", tuple(inputs), (own,)), own, inputs, (out,))


def _panel_width(problem: Problem, machine: Machine) -> int:
    """As wide as tiles are; 0 where there are too few rows for tiles."""
    lanes = machine.lanes(problem)
    extents = [problem.extents[x] for x in problem.outer if x not in problem.right.labels]
    if not all(isinstance(n, int) for n in (problem.rows.extent, *extents)):
        return lanes * UnknownProduct(problem, machine).vectors
    if problem.rows.extent * prod(extents) < FEWEST_ROWS:
        return 0
    return lanes * machine.tile(problem)[1]


def _saved(problem: Problem, machine: Machine, size: int) -> float:
    """Seconds: of packing, where that is done each time, or of reading rows that are far apart.

    The factors are from measurements, and rather low: a layout that brings nothing costs memory.
    """
    read = size * machine.byte_cycles(size) / CLOCK
    if not isinstance(problem.rows.extent, int):
        return read
    spread = "".join([x for x in problem.outer if x not in problem.right.labels])
    matrix = Matrix(problem, machine, False, spread)
    if problem.step(problem.right, problem.columns) != 1:
        return read if matrix.tiles < 4 and not spread else 2 * read
    if matrix.pack_right:
        return 0.8 * read
    return 0.1 * read if size > machine.near_bytes else 0.0  # rows that are near are as good


CLOCK = 3e9
