"""The ordered tuple of passes, and running them.

A pass is a function `Module -> Module`; those that need to know the machine are given its vector
width. Any half-lowered Module may be handed in: a pass leaves alone what is lowered already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from .. import collector
from ..config import config
from ..errors import IRError
from ..ir.dims import symbol_names
from ..ir.graph import Kernel, Module
from ..ir.tensor import Accumulate, Assign, Extern, For, statements
from ..ir.verify import Stage, verify
from .graph.assemble import assemble
from .graph.canonicalize import canonicalize
from .graph.carry_layouts import carry_layouts
from .graph.chains import chain_products
from .graph.choose_layouts import choose_layouts
from .graph.collapse import collapse
from .graph.components import split_components
from .graph.constants import set_constants_apart
from .graph.expand import expand
from .graph.fold import fold
from .graph.fuse import fuse
from .graph.hoist import hoist
from .graph.layouts import adopt_layouts
from .graph.numpy_order import keep_order
from .graph.outline import outline
from .graph.points import lay_out_points
from .graph.powers import multiply_powers
from .graph.products import expand_products
from .graph.rounding import contract
from .graph.row_ends import reduce_products
from .graph.row_starts import feed_products
from .graph.spare import take_turns
from .graph.squeeze import squeeze
from .graph.stencils import chain_stencils
from .graph.unroll import unroll_sweeps
from .llvm.builder import Definition
from .llvm.program import Program
from .machine import USUAL, Machine
from .steps import Bind, Pass, Pipeline, Step
from .tensor.arena import STATUS_BYTES, layout
from .tensor.behind import store_behind
from .tensor.bits import tabulate_bits
from .tensor.branch import branch_on_loads
from .tensor.carry import carry_values
from .tensor.checks import drop_checks
from .tensor.columns import stream_columns
from .tensor.contract.library import Library
from .tensor.cost import body_cost, calls_in, seconds
from .tensor.cycles import cycles_on
from .tensor.distribute import distribute_loops
from .tensor.extrema import track_extrema
from .tensor.forward import forward_values
from .tensor.hold import hold_elements
from .tensor.independent import free_loops
from .tensor.inline import inline_bodies
from .tensor.interleave import interleave_rows
from .tensor.interrupt import poll_signals
from .tensor.jam import jam_rows
from .tensor.latency import put_late_values_last
from .tensor.long_chains import cut_chains
from .tensor.long_extrema import search_blocks
from .tensor.long_moments import join_moments
from .tensor.loops import lower_called, to_loops
from .tensor.meeting import split_at_reads
from .tensor.memory import plan_memory
from .tensor.merge import merge_loops
from .tensor.nest import nest_choices
from .tensor.overwrite import drop_overwritten, drop_overwritten_parts
from .tensor.parallelize import parallelize
from .tensor.prefetch import prefetch_rows
from .tensor.reductions import find_reductions
from .tensor.registers import keep_in_registers
from .tensor.relax import relax
from .tensor.repeat import repeat_bodies
from .tensor.sections import run_sections
from .tensor.select import select_values
from .tensor.settle import drop_unread, settle_values
from .tensor.split import split_domains
from .tensor.stencil_rows import join_stencil_rows
from .tensor.strips import cut_strips
from .tensor.tile_time import tile_time
from .tensor.tiles import tile_transposed
from .tensor.unroll import unroll_short_loops
from .tensor.unwrap import unwrap_loops
from .tensor.vectorize import vectorize
from .tensor.versions import version_loops


class Options(NamedTuple):
    """What lowering may depend on besides the program.

    Outputs of `stream_bytes` and more are stored past the cache; 0: none are. `passes` are a pipeline
    of the user's; None: `PIPELINE`. Contractions may use `library`, if there is one; `blas()` is
    that of the machine, for those that ask for it; `machine` is what schedules know of it. To `tune` is to
    take what was measured to be faster than what the model of the machine chose (tuning.py). Loops are shared
    among so many `threads`, 0: as many as there are cores, and at most among `max_threads`.
    `numerics` and `reproducible` are as in `jit`, `permutes` as in `engine.Target`. `instruments` are called with `(pass, before, after)`
    after every pass.
    """

    vector_bytes: int = 32
    max_threads: int = 0
    stream_bytes: int = 0
    passes: Iterable[Pass] | None = None
    library: Library | None = None
    numerics: str = "default"
    permutes: str = ""
    instruments: tuple[Callable, ...] = ()
    blas: Callable[[], Library | None] = lambda: None
    machine: Machine = USUAL
    tune: bool = False
    reproducible: bool = False
    threads: int = 0

    @property
    def core(self) -> Machine:
        """The machine, with vectors as wide as these options say, and no more cores than they allow threads."""
        cores = min(self.slots, self.machine.cores)
        return self.machine._replace(vector_bytes=self.vector_bytes, cores=cores)

    @property
    def keeps_bits(self) -> bool:
        """Whether another way to lower a program must give the same bits."""
        return self.reproducible or self.numerics == "strict"

    @property
    def slots(self) -> int:
        """How many threads are reckoned with; parallel loops have memory for each of so many where they need some."""
        most = self.threads or self.machine.cores
        return min(most, self.max_threads or most)


def _steps(stage: Stage, *passes: Any) -> list[Step]:
    """Steps of functions, or of pairs of one and how it is bound to the Options."""
    pairs = [p if isinstance(p, tuple) else (p, lambda _, p=p: p) for p in passes]
    of_graph = stage is Stage.FUSED
    return [Step(p.__name__, stage, bind, of_graph, Options()) for p, bind in pairs]


def _wide(function: Callable[..., Module]) -> tuple[Callable, Bind]:
    """A pass that is told how wide vectors are."""
    return function, lambda options: partial(function, vector_bytes=options.vector_bytes)


def _told(function: Callable[..., Module]) -> tuple[Callable, Bind]:
    """A pass that is told about the machine."""
    return function, lambda options: partial(function, machine=options.core)


def _where(holds: Callable[[Options], bool], function: Any) -> tuple[Callable, Bind]:
    """A pass that leaves the Module as it is unless the Options say otherwise."""
    function, bind = function if isinstance(function, tuple) else (function, lambda _: function)
    return function, lambda options: bind(options) if holds(options) else _unchanged


def _unchanged(module: Module) -> Module:
    return module


_bind_loops: Bind = lambda options: partial(
    to_loops, machine=options.core, library=options.library, blas=options.blas
)
_bind_threads: Bind = lambda options: partial(
    parallelize,
    machine=options.core,
    reorders=options.numerics != "strict",
    alone=options.slots == 1,
)
_bind_lanes: Bind = lambda options: partial(
    vectorize, vector_bytes=options.vector_bytes, reorders=options.numerics != "strict"
)
_bind_tiles: Bind = lambda options: partial(
    tile_transposed, vector_bytes=options.vector_bytes, stream_bytes=options.stream_bytes
)
_bind_prefetch: Bind = lambda options: partial(
    prefetch_rows,
    large=min(options.stream_bytes, options.machine.l2_bytes),
    far=options.stream_bytes,
)
_reductions = (
    find_reductions,
    lambda options: partial(find_reductions, reorders=options.numerics != "strict"),
)

PIPELINE = Pipeline(
    [
        *_steps(
            Stage.FUSED,
            expand,
            carry_layouts,
            _told(unroll_sweeps),
            _where(lambda options: options.numerics == "strict", keep_order),
            canonicalize,
            fold,
            assemble,
            adopt_layouts,
            _where(lambda options: options.numerics != "strict", multiply_powers),
            _where(lambda options: options.numerics != "strict", split_components),
            hoist,
            take_turns,
            squeeze,
            expand_products,
            _where(lambda options: options.numerics == "default", contract),
            lay_out_points,
            _told(choose_layouts),
            hoist,
            set_constants_apart,
            outline,
            chain_products,
            reduce_products,
            feed_products,
            chain_stencils,
            _told(fuse),
            collapse,
        ),
        *_steps(
            Stage.LOOPS,
            _told(lower_called),
            (to_loops, _bind_loops),
            _where(lambda options: options.numerics == "fast", relax),
        ),
        *_steps(
            Stage.SCHEDULED,
            drop_checks,
            plan_memory,
            inline_bodies,
            keep_in_registers,
            unwrap_loops,
            forward_values,
            settle_values,
            drop_checks,
            drop_unread,
            hold_elements,
            split_at_reads,
            _reductions,
            distribute_loops,
            _reductions,
            free_loops,
            drop_overwritten,
            merge_loops,
            select_values,
            carry_values,
            put_late_values_last,
            interleave_rows,
            track_extrema,
            split_domains,
            drop_overwritten_parts,
            (tile_transposed, _bind_tiles),
            cut_strips,
            _where(lambda options: options.numerics != "strict", _told(join_moments)),
            search_blocks,
            (vectorize, _bind_lanes),
            _wide(jam_rows),
            _told(tile_time),
            join_stencil_rows,
            _told(stream_columns),
            _where(
                lambda options: options.max_threads != 1 or options.reproducible,
                (parallelize, _bind_threads),
            ),
            (store_behind, lambda options: partial(store_behind, far=options.stream_bytes)),
            (prefetch_rows, _bind_prefetch),
            _told(cut_chains),
            tabulate_bits,
            branch_on_loads,
            nest_choices,
            unroll_short_loops,
            repeat_bodies,
            _wide(version_loops),
            _wide(poll_signals),
            _where(lambda options: options.slots != 1, _told(run_sections)),
        ),
    ]
)


def pipeline() -> Pipeline:
    """The built-in pipeline: a tuple of passes with names, each edit of which gives another one.

    `jit(passes=...)`, `f.trace(...).lower(passes=...)` and `build(module, passes=...)` take it, or
    any tuple of functions Module -> Module:

    >>> tracejit.jit(f, passes=(my_pass, *tracejit.pipeline()))              # before all others
    >>> tracejit.jit(f, passes=tracejit.pipeline().insert_before("fuse", my_pass))
    """
    return PIPELINE


@collector.paused()
def run(module: Module, options: Options, watch: Iterable[Callable] = ()) -> dict[Stage, Module]:
    """Lower `module` to the last stage; returns the Module at each.

    `watch` functions, like the instruments, are called with `(pass, before, after)` after every pass.
    Raises IRError where the passes leave something that cannot become machine code.
    """
    given = options.passes is not None
    steps = Pipeline.of(options.passes) if given else PIPELINE
    watch = (*watch, *options.instruments)
    of_kernels = isinstance(module.entry, Kernel)  # lowered beyond the graph already
    stages: dict[Stage, Module] = {}
    for stage in Stage:
        for step in steps:
            if step.stage is not stage or step.of_graph and of_kernels:
                continue
            before, module = module, _applied(step, module, options)
            for see in watch:
                see(step, before, module)
            if config.verify > 1 and module is not before:
                verify(module, max(stages, key=_number, default=Stage.TRACED))
        stages[stage] = module
        if stage is Stage.SCHEDULED and given:
            _verify_complete(module)
        # What is given and what is compiled; between these a pass of ours, or of the user's, is in the middle.
        elif config.verify > 1 or config.verify and stage in (Stage.TRACED, Stage.SCHEDULED):
            # The graph Functions that a Kernel calls are as they were until they become loops.
            waits = of_kernels and stage is Stage.FUSED
            verify(module, Stage.TRACED if waits else stage)
    return stages


def _number(stage: Stage) -> int:
    return stage.value


def _applied(step: Step, module: Module, options: Options) -> Module:
    new = step.bind(options)(module)
    if not isinstance(new, Module):
        raise TypeError(f"the pass {step.name} returned {type(new).__name__}, not a Module")
    return new


def _verify_complete(module: Module) -> None:
    """Refuse what a pipeline of the user's left unfinished."""
    hint = (
        "passes replace the pipeline: passes=(mine, *tracejit.pipeline()) keeps the built-in ones"
    )
    try:
        verify(module, Stage.SCHEDULED)
    except IRError as error:
        raise IRError(error.message, error.location, error.hint or hint) from error
    if not isinstance(module.entry, Kernel):
        raise IRError(f"{module.entry.name} is a graph still, no Kernel", hint=hint)


def estimated_seconds(module: Module, options: Options) -> float:
    """What the cost model says a call takes on one core."""
    cycles, times = 0.0, Counter([module.entry])
    for kernel in reversed(module.functions):
        for callee, count in calls_in(kernel.body):
            times[callee] += times[kernel] * count
        if kernel is not module.entry:
            once = body_cost(kernel.body, frozenset(), None, 1, options.vector_bytes)
            cycles += times[kernel] * once
    return seconds(cycles)


def counted_seconds(module: Module, options: Options) -> float:
    """The same, of cycles that are counted instruction by instruction: nearer, and dearer to know."""
    calls = calls_in(module.entry.body)
    return seconds(sum([count * cycles_on(kernel, options.core) for kernel, count in calls]))


class Code(NamedTuple):
    """LLVM IR of a Module's entry, the memory it needs, and the functions it expects to find.

    `symbols` are the unknown extents, in the order in which their values are passed; when there
    are any, the code has a function `shapes` besides `entry`. `hosts` are the calls of Python
    functions, by the symbol whose address tells the runtime which one it is. `carries` tells that
    some loop hands values on from one iteration to the next. `passes` names LLVM's own pipeline, where
    its work on scalar loops is worth its time: what is emitted for arrays is in its last form, but for
    the elementary functions it calls. `short` is the text without the definitions of these, which are
    `functions`; `attributes` are those of every function.
    """

    text: str
    workspace_bytes: int
    externals: frozenset[str]
    symbols: tuple[str, ...]
    hosts: dict[str, Extern]
    carries: bool
    passes: str
    short: str
    functions: tuple[Definition, ...]
    attributes: str


@collector.paused()
def emit(module: Module, options: Options, captures: dict[int, int] | None = None) -> Code:
    """Write the LLVM IR of a Module in which everything is a Kernel.

    `captures` gives addresses for entry parameters (by position) that no caller passes.
    """
    kernel = module.entry
    plan = layout(kernel, options.slots)
    attributes = f'nounwind "prefer-vector-width"="{8 * options.vector_bytes}"'
    extents = [n for buffer in kernel.inputs for n in buffer.type.shape]
    symbols = tuple(dict.fromkeys(name for n in extents for name in symbol_names(n)))
    program = Program(
        plan.offset_of,
        symbols,
        max_threads=options.max_threads,
        slots=options.slots,
        attributes=attributes,
        stream_bytes=options.stream_bytes,
        permutes=options.permutes,
        dots=options.machine.dots,
        vector_bytes=options.vector_bytes,
    )
    program.entry(kernel, captures or {})
    workspace = plan.workspace_bytes
    if program.can_refuse and isinstance(workspace, int):
        workspace = max(workspace, STATUS_BYTES)
    if symbols:
        arrays = [buffer for buffer in kernel.fresh if buffer.type.shape]
        program.shapes(kernel, arrays, workspace)
        workspace = 0
    written, carries = program.module, any(map(_carries, module.functions))
    functions = tuple(written.functions.values())
    externals = written.externals.union(*[f.module.externals for f in functions])
    passes = "O0" if functions else ""
    if any(_has_scalar_loop(k) for k in module.functions):
        passes = "O1"
    return Code(
        written.text(),
        workspace,
        frozenset(externals),
        symbols,
        program.hosts,
        carries,
        passes,
        written.calling_text(),
        functions,
        attributes,
    )


def _has_scalar_loop(kernel: Kernel) -> bool:
    """Whether some ordered loop does the work itself, and does not leave it to vector loops inside."""
    loops = [s for s in statements(kernel.body) if isinstance(s, For) and s.mark == "ordered"]
    marks = [{s.mark for s in statements(loop.body) if isinstance(s, For)} for loop in loops]
    return any(found.isdisjoint(("vector", "parallel")) for found in marks)


def _carries(kernel: Kernel) -> bool:
    return any(isinstance(s, Accumulate | Assign) for s in statements(kernel.body))
