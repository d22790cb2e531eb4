"""The ordered tuple of passes, and running them.

A pass is a function `Module -> Module`; those that need to know the machine are given its vector
width. Any half-lowered Module may be handed in: a pass leaves alone what is lowered already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from ..config import config
from ..ir.dims import symbol_names
from ..ir.graph import Kernel, Module
from ..ir.tensor import Accumulate, Assign, Extern, has_control, statements
from ..ir.verify import Stage, verify
from . import collector
from .graph.canonicalize import canonicalize
from .graph.collapse import collapse
from .graph.fold import fold
from .graph.fuse import fuse
from .graph.hoist import hoist
from .graph.layouts import adopt_layouts
from .graph.outline import outline
from .graph.products import expand_products
from .graph.spare import take_turns
from .graph.squeeze import squeeze
from .llvm.program import Program
from .tensor.arena import STATUS_BYTES, layout
from .tensor.carry import carry_values
from .tensor.checks import drop_checks
from .tensor.columns import stream_columns
from .tensor.contract.library import Library
from .tensor.cost import body_cost, seconds
from .tensor.forward import forward_values
from .tensor.independent import free_loops
from .tensor.inline import inline_bodies
from .tensor.latency import put_late_values_last
from .tensor.loops import to_loops
from .tensor.memory import plan_memory
from .tensor.parallelize import parallelize
from .tensor.prefetch import prefetch_rows
from .tensor.registers import keep_in_registers
from .tensor.relax import relax
from .tensor.select import select_values
from .tensor.split import split_domains
from .tensor.strips import cut_strips
from .tensor.unroll import unroll_short_loops
from .tensor.unwrap import unwrap_loops
from .tensor.vectorize import vectorize

Pass = Callable[[Module], Module]


class Options(NamedTuple):
    """What lowering may depend on besides the program.

    Outputs of `stream_bytes` and more are stored past the cache; 0: none are. Contractions may use
    `library`, if there is one. With `fastmath`, arithmetic may round less often than NumPy's.
    `permutes` is as in `engine.Target`.
    """

    vector_bytes: int = 32
    max_threads: int = 0
    stream_bytes: int = 0
    passes: tuple[Pass, ...] = ()
    library: Library | None = None
    fastmath: bool = False
    permutes: str = ""


def passes(options: Options) -> tuple[tuple[Stage, tuple[Pass, ...]], ...]:
    """The pipeline: each stage with the passes that lead to it. A user's own passes come first."""
    threaded = () if options.max_threads == 1 else (parallelize,)
    wide = [partial(p, vector_bytes=options.vector_bytes) for p in (vectorize, *threaded)]
    prefetch = partial(prefetch_rows, large=options.stream_bytes)
    loops = partial(to_loops, vector_bytes=options.vector_bytes, library=options.library)
    return (
        (Stage.TRACED, (*options.passes,)),
        (
            Stage.FUSED,
            (
                adopt_layouts,
                canonicalize,
                fold,
                hoist,
                take_turns,
                squeeze,
                expand_products,
                outline,
                fuse,
                collapse,
            ),
        ),
        (Stage.LOOPS, (loops, relax) if options.fastmath else (loops,)),
        (
            Stage.SCHEDULED,
            (
                drop_checks,
                plan_memory,
                inline_bodies,
                keep_in_registers,
                unwrap_loops,
                forward_values,
                drop_checks,
                free_loops,
                select_values,
                carry_values,
                put_late_values_last,
                split_domains,
                cut_strips,
                wide[0],
                stream_columns,
                *wide[1:],
                prefetch,
                unroll_short_loops,
            ),
        ),
    )


@collector.paused()
def run(module: Module, options: Options, watch: Iterable[Callable] = ()) -> dict[Stage, Module]:
    """Lower `module` to the last stage; returns the Module at each.

    `watch` functions are called with `(pass, before, after)` after every pass.
    """
    stages: dict[Stage, Module] = {}
    reached = Stage.TRACED
    for stage, steps in passes(options):
        if stage is Stage.FUSED and isinstance(module.entry, Kernel):
            steps = ()  # lowered beyond the graph already
        for step in steps:
            before, module = module, step(module)
            for see in watch:
                see(step, before, module)
            if config.verify > 1:
                verify(module, reached)
        # What is given, and what is about to become machine code.
        if config.verify > 1 or (config.verify and stage in (Stage.TRACED, Stage.SCHEDULED)):
            verify(module, stage)
        stages[stage] = module
        reached = stage
    return stages


def estimated_seconds(module: Module, options: Options) -> float:
    """What the cost model says a call takes on one core."""
    kernels = [f for f in module.functions if f is not module.entry]
    costs = [body_cost(k.body, frozenset(), None, 1, options.vector_bytes) for k in kernels]
    return seconds(sum(costs))


class Code(NamedTuple):
    """LLVM IR of a Module's entry, the memory it needs, and the functions it expects to find.

    `symbols` are the unknown extents, in the order in which their values are passed; when there
    are any, the code has a function `shapes` besides `entry`. `hosts` are the calls of Python
    functions, by the symbol whose address tells the runtime which one it is. `carries` tells that
    some loop hands values on from one iteration to the next. `passes` names LLVM's own pipeline, where
    its work on scalar loops is worth its time: what is emitted for arrays is in its last form.
    """

    text: str
    workspace_bytes: int
    externals: frozenset[str]
    symbols: tuple[str, ...]
    hosts: dict[str, Extern]
    carries: bool
    passes: str = ""


@collector.paused()
def emit(module: Module, options: Options, captures: dict[int, int] | None = None) -> Code:
    """Write the LLVM IR of a Module in which everything is a Kernel.

    `captures` gives addresses for entry parameters (by position) that no caller passes.
    """
    kernel = module.entry
    plan = layout(kernel)
    attributes = f'nounwind "prefer-vector-width"="{8 * options.vector_bytes}"'
    extents = [n for buffer in kernel.inputs for n in buffer.type.shape]
    symbols = tuple(dict.fromkeys(name for n in extents for name in symbol_names(n)))
    program = Program(
        plan.offset_of,
        symbols,
        max_threads=options.max_threads,
        attributes=attributes,
        stream_bytes=options.stream_bytes,
        permutes=options.permutes,
    )
    program.entry(kernel, captures or {})
    workspace = plan.workspace_bytes
    if program.can_refuse and isinstance(workspace, int):
        workspace = max(workspace, STATUS_BYTES)
    if symbols:
        arrays = [buffer for buffer in kernel.fresh if buffer.type.shape]
        program.shapes(kernel, arrays, workspace)
        workspace = 0
    externals = frozenset(program.module.externals)
    text, carries = program.module.text(), any(map(_carries, module.functions))
    passes = "O1" if any(has_control(k.body) for k in module.functions) else ""
    return Code(text, workspace, externals, symbols, program.hosts, carries, passes)


def _carries(kernel: Kernel) -> bool:
    return any(isinstance(s, Accumulate | Assign) for s in statements(kernel.body))
