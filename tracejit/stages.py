"""Ahead of time, a step at a time: `f.trace(...)` -> `.lower()` -> `.compile()`, each open to reading.

Also `build(module)`, which makes a callable from a Module at any stage.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from copy import copy
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from .config import VARIABLES, config, to_numerics
from .deferred import module as deferred
from .dump import dump_module, show_code, show_kernels, watch_passes
from .ir.dims import LEAST, symbol_names
from .ir.foreign import FOREIGN, PROCESS, SCALARS
from .ir.graph import Module
from .ir.host import attempt
from .ir.numpy_code import IS_FOUND, LOOPS
from .ir.numpy_random import BY_SYMBOL, ROUTINES, Distribution, routine_address
from .ir.numpy_sorts import KINDS, SORTINGS, Sorting
from .ir.tensor import UPDATED, Extern, is_shared, statements
from .ir.text import show
from .ir.types import ArrayType, i32, i64
from .ir.verify import Stage
from .lower import pipeline
from .lower.llvm.builder import Definition, text_of
from .lower.llvm.draws import draw_text
from .lower.llvm.emit import HOST_CALL
from .lower.llvm.math import large_angles
from .lower.machine import USUAL, Machine
from .lower.pipeline import Code, Options, counted_seconds, estimated_seconds
from .lower.tensor.arena import Memory, memory
from .lower.tensor.contract.library import Library
from .lower.tensor.cost import may_run_on
from .lower.tensor.kept import split_off_kept
from .refusals import refusals
from .runtime import engine, host, kept, layout, libraries, native_code, numpy_code, threads, tiers
from .runtime.dispatch import Executable
from .runtime.machine import known
from .runtime.signature import ArrayLeaf, ArrayOutput, Plan

# Above this many seconds of estimated work a call lets other Python threads run meanwhile.
RELEASE_GIL = 20e-6
# Above this many, making the best code first costs less than a call in quick code would; so many more
# for each character of a program, of which the best code takes that much longer to make.
LONG, LONG_PER_CHARACTER = 5e-3, 0.5e-6


def default_options(
    max_threads: int = 0,
    passes: Iterable[Callable] | None = None,
    numerics: str = "default",
    instruments: Iterable[Callable] = (),
) -> Options:
    """Options for the machine this runs on, and as many threads as there are now."""
    target = engine.target()
    parameters = schedule_parameters()
    stream = parameters.stream_bytes if target.triple.startswith("x86_64") else 0
    return Options(
        target.vector_bytes,
        max_threads,
        stream,
        passes,
        blas(),
        numerics,
        target.permutes,
        tuple(instruments),
        _numpys_blas,
        parameters,
        threads=threads.get_num_threads(),
    )


@native_code.once
def schedule_parameters() -> Machine:
    """What schedules are told of this machine."""
    found = known()
    l1, l2, l3 = (found.caches.get(level, 0) for level in ("L1", "L2", "L3"))
    last = max(found.caches.values())
    return USUAL._replace(
        vector_bytes=found.vector_bytes,
        cores=found.cores,
        l1_bytes=l1 or USUAL.l1_bytes,
        l2_bytes=l2 or last,
        l3_bytes=l3 or last,
        fork_seconds=found.fork,
        dots=engine.target().dots,
    )


def blas() -> Library | None:
    """How contractions call NumPy's BLAS; None if `config.dot` is not `library`, or there is none.

    `auto` is `generated`: on one core with AVX-512, products of 8 to 1024 rows, of known and
    unknown extents, took at most 1.2 times as long as OpenBLAS's, and mostly less. Raises
    ValueError where `config.dot` is none of the three.
    """
    if config.dot not in ("generated", "library", "auto"):
        raise ValueError(f"TRACEJIT_DOT is {VARIABLES['dot'].meaning}; not {config.dot!r}")
    return _numpys_blas() if config.dot == "library" else None


def _numpys_blas() -> Library | None:
    """NumPy's BLAS, if it has one."""
    bits = libraries.blas_integer_bits()
    return bits and Library(i64 if bits == 64 else i32)


class Lowered:
    """A program lowered to scheduled kernels.

    `notes` are what tuning changed; it `is_open` while that does not know all kernels.
    """

    @tiers.foreground()
    def __init__(self, module: Module, options: Options, watch: Iterable[Callable] = ()):
        self.options = options
        self.stages = pipeline.run(module, options, (*watch_passes(), *watch))
        self.notes: tuple[str, ...] = ()
        self.is_open = False
        if options.tune:
            found = deferred("tracejit.tuning").tuned(module, options, self.stages)
            self.stages, self.notes, self.is_open = found
        for stage, at_stage in self.stages.items():
            dump_module(stage.name.lower(), at_stage)
        show_kernels(self.stages, options)

    @property
    def module(self) -> Module:
        """The Module at the last stage."""
        return self.stages[Stage.SCHEDULED]

    @property
    def memory(self) -> Memory:
        """What a call needs, in bytes: `arguments`, `results`, `workspace`, and `peak`, the last two."""
        return memory(self.module.entry, self.options.slots)

    def __str__(self) -> str:
        return show(self.module)

    def with_module(self, module: Module) -> Lowered:
        """The same program, of which the last stage is another, for instance with clocks in it."""
        other = copy(self)
        other.stages = {**self.stages, Stage.SCHEDULED: module}
        return other

    def compile(self) -> Compiled:
        """Machine code, as a callable that takes and returns arrays."""
        return Compiled(self, {})


class Compiled:
    """Machine code of a lowered program; called with arrays of exactly its parameters' types."""

    @tiers.foreground()
    def __init__(self, lowered: Lowered, captures: dict[int, int], keep: object = None):
        self.lowered, self.keep = lowered, keep
        self.module, once = split_off_kept(lowered.module, captures)
        # Of constants that are captured, what depends on them alone is computed here and now.
        self.kept = () if once is None else _results_of(lowered.with_module(once), captures)
        first = len(lowered.module.entry.inputs)
        captures = captures | {first + k: a.ctypes.data for k, a in enumerate(self.kept)}
        self.code: Code = pipeline.emit(self.module, lowered.options, captures)
        self.sites = {name: host_site(call) for name, call in self.code.hosts.items()}
        quickly = config.tiers and not self.may_be_long
        sites = tuple(self.sites.values())
        self.library = load_code(self.code, self.imports, sites, quickly, is_lasting=not captures)
        self.entry = self.library.cell("entry")
        self.shapes = self.library.address("shapes") if self.code.symbols else 0
        self.captured = captures
        show_code(lowered.module.entry.name, self.llvm_ir, lambda: self.asm)

    def with_library(self, library: engine.Library) -> Compiled:
        """The same program, with other machine code for it."""
        other = copy(self)
        other.__dict__.pop("_executable", None)
        other.library, other.entry = library, library.cell("entry")
        other.shapes = library.address("shapes") if self.code.symbols else 0
        return other

    @property
    def imports(self) -> dict[str, int]:
        """The addresses of what the machine code expects to find."""
        return addresses(self.code.externals) | {
            name: id(site) for name, site in self.sites.items()
        }

    @cached_property
    def threads(self) -> int:
        """How many threads it was made for; 0: for as many as there will be."""
        chosen = self.lowered.options
        if chosen.max_threads == 1:
            return 0
        shares = any(is_shared(s) for k in self.module.functions for s in statements(k.body))
        return chosen.threads if shares or chosen.threads == 1 else 0

    @cached_property
    def seconds(self) -> float:
        """What a call is estimated to take on one core."""
        return estimated_seconds(self.module, self.lowered.options)

    @property
    def may_be_long(self) -> bool:
        """Whether a call should begin with the best code, because it stays in what it began with."""
        if any(may_run_on(k.body) for k in self.module.functions):
            return True
        long = LONG + LONG_PER_CHARACTER * len(self.code.short)
        # The first estimate knows little of tiles and panels.
        return self.seconds > long and counted_seconds(self.module, self.lowered.options) > long

    @property
    def releases_gil(self) -> bool:
        """Whether a call is long enough that other Python threads should run meanwhile."""
        return self.seconds > RELEASE_GIL

    @property
    def stages(self) -> dict[Stage, Module]:
        return self.lowered.stages

    @property
    def llvm_ir(self) -> str:
        return self.code.text

    @cached_property
    def asm(self) -> str:
        return engine.assembly(self.code.text, passes=self.code.passes)

    def __str__(self) -> str:
        return show(self.module)

    @cached_property
    def _executable(self) -> Executable:
        kernel = self.module.entry
        inputs = [b.type for k, b in enumerate(kernel.inputs) if k not in self.captured]
        outputs = tuple(
            ArrayOutput(b.type.dtype.numpy, coded(b.type.shape, self.code.symbols))
            for b in kernel.fresh
        )
        plan = Plan(
            self.entry,
            outputs,
            "single" if len(outputs) == 1 else "tuple",
            self.code.workspace_bytes,
            self.shapes,
            release_gil=self.releases_gil,
            on_error=refusals(self.stages[Stage.TRACED]),
            keep=self.library,
        )
        return Executable(plan, [array_leaf(type, self.code.symbols) for type in inputs])

    def __call__(self, *arrays: Any) -> Any:
        """Run on arrays (or scalars) of the parameters' shapes and dtypes; returns new arrays.

        Arrays for updated parameters are changed in place. Raises TypeError for another dtype and
        ValueError for another shape, or for an array that is to be changed and cannot be.
        """
        kernel = self.module.entry
        inputs = [b for k, b in enumerate(kernel.inputs) if k not in self.captured]
        if len(arrays) != len(inputs):
            raise TypeError(f"{kernel.name} takes {len(inputs)} arrays, not {len(arrays)}")
        fitted = [fit(array, buffer.type, buffer.name) for array, buffer in zip(arrays, inputs)]
        results = self._executable(*fitted)
        for buffer, array, own in zip(inputs, arrays, fitted):
            if buffer.space == UPDATED and own is not array:
                array[...] = own
        return results


def _results_of(lowered: Lowered, captures: dict[int, int]) -> tuple[np.ndarray, ...]:
    """What a program gives whose inputs are all captured: those of `captures`, in order."""
    inputs = dict(enumerate([captures[k] for k in sorted(captures)]))
    found = Compiled(lowered, inputs)()
    return found if isinstance(found, tuple) else (found,)


def addresses(externals: Iterable[str]) -> dict[str, int]:
    """Where the functions are that code expects to find."""
    found = {}
    for name in externals:
        if name in PROCESS:
            continue  # the linker looks there itself
        if name in ("tj_parallel_for", "tj_parallel_for_polling", "tj_poll"):
            found[name] = threads.address(name)
        elif name == HOST_CALL:
            found[name] = host.address()
        elif name in LOOPS:
            found[name] = numpy_code.loop_record(LOOPS[name].ufunc, LOOPS[name].types)
        elif name in SORTINGS:
            found[name] = _sorting_address(SORTINGS[name])
        elif name in BY_SYMBOL:
            found[name] = _draw_address(BY_SYMBOL[name])
        elif name in ROUTINES:
            found[name] = routine_address(name)
        elif name in SCALARS:
            found[name] = SCALARS[name].address
        elif name in FOREIGN:
            found[name] = FOREIGN[name].address or libraries.blas_address(name)
        else:
            found[name] = _shared_library().address(name)
    return found


def _sorting_address(sorting: Sorting) -> int | None:
    position = KINDS[sorting.kind]
    return numpy_code.sorting_address(sorting.name, position, sorting.dtype.numpy)


@cache
def _draw_address(distribution: Distribution) -> int:
    """Code that draws from a distribution, which all programs share."""
    routine = distribution.routine
    imports = {routine: routine_address(routine)} if routine else {}
    symbol = distribution.symbol
    return native_code.load_text(symbol, draw_text(distribution), [symbol], imports).address(symbol)


def _is_found(symbol: str) -> bool:
    if symbol in SORTINGS:
        return _sorting_address(SORTINGS[symbol]) is not None
    loop = LOOPS.get(symbol)
    return loop is not None and numpy_code.loop_record(loop.ufunc, loop.types) is not None


IS_FOUND.append(_is_found)


@native_code.once
def _shared_library() -> engine.Library:
    """Out-of-line code that all programs share."""
    text = large_angles.shared_text()
    # What is as rare as large angles is not worth waiting for good code.
    return native_code.load_text("shared", text, large_angles.EXPORTS, {}, effort=0)


_libraries: dict[tuple, Any] = {}


def host_site(call: Extern) -> host.Site:
    """What the runtime must know of a call of a Python function: the arrays that it is given."""
    arrays = [
        host.Memory(type.dtype.numpy, type.shape, byte_strides(type))
        for type in [address.buffer.type for address in call.addresses]
    ]
    return host.Site(partial(attempt, call.symbol), arrays, call.symbol.written, call.extents)


def load_code(
    code: Code, imports: dict[str, int], keep: tuple, quickly: bool, is_lasting: bool = False
) -> engine.Library:
    """Load machine code; of equal text that is still in use there is one library.

    `keep` are objects that the code refers to by their addresses, which are among the imports. What
    is made `quickly` is replaced before long. What `is_lasting` has no addresses in its text, so that other processes
    make the very same.
    """
    key = (code.short, tuple(sorted(imports.items())), quickly)
    found = _libraries.get(key)
    library = found() if found is not None else None
    if library is None:
        exports = ["entry", "shapes"] if code.symbols else ["entry"]
        place = kept.place(code.text, code.passes, exports) if is_lasting else None
        source = tiers.Source(code.text, imports, code.passes, place)
        library = source.load_kept()
        if library is None and quickly:
            called = elementary_functions(code.functions, code.attributes)
            short = tiers.Source(code.short, imports | called)
            library = tiers.load(source, exports, short, code.carries)
        elif library is None:
            library = source.load_best(exports)
        library.keep = (library.keep, keep)
        _libraries[key] = weakref.ref(library, lambda _: _libraries.pop(key, None))
    return library


_elementary: dict[tuple[Definition, str], int] = {}


def elementary_functions(functions: Iterable[Definition], attributes: str) -> dict[str, int]:
    """Where machine code of elementary functions is, by their symbols; made when first asked for."""
    with engine.lock:
        missing = [f for f in functions if (f, attributes) not in _elementary]
        if missing:
            externals = {name for f in missing for name in f.module.externals}
            source = tiers.Source(text_of(missing, attributes), addresses(externals))
            library = source.load([f.symbol for f in missing], level=0)
            layout.make_immortal(library)
            _elementary.update({(f, attributes): library.address(f.symbol) for f in missing})
        return {f.symbol: _elementary[f, attributes] for f in functions}


def array_leaf(type: ArrayType, symbols: tuple[str, ...] = ()) -> ArrayLeaf:
    """What a call must bring for a parameter of this type."""
    shape = coded(type.shape, symbols)
    return ArrayLeaf(type.dtype.numpy, shape, byte_strides(type), least=LEAST)


def coded(shape: tuple, symbols: tuple[str, ...]) -> tuple[int, ...]:
    """Extents as native code is told them: -1 - k for the symbol number k.

    Extents computed from symbols appear in outputs only, where `shapes` says what they are.
    """
    numbers = []
    for extent in shape:
        names = symbol_names(extent)
        numbers.append(extent if not names else -1 - symbols.index(names[0]))
    return tuple(numbers)


def fit(value: Any, type: ArrayType, name: str) -> np.ndarray:
    """`value` as an array that lies in memory as `type` says; copied only when it does not."""
    array = np.asarray(value)
    if array.dtype.newbyteorder("=") != type.dtype.numpy:
        raise TypeError(f"{name} is {type}, not an array of {array.dtype}")
    fixed = [n == own for n, own in zip(array.shape, type.shape) if isinstance(own, int)]
    if array.ndim != type.ndim or not all(fixed):
        raise ValueError(f"{name} is {type}, not of shape {array.shape}")
    return place(array, type)


def place(array: np.ndarray, type: ArrayType) -> np.ndarray:
    """The same values in native byte order, aligned, with the strides of `type`."""
    dtype, strides = type.dtype.numpy, byte_strides(type)
    exact = builtin_array(array) and array.flags.aligned
    if strides is None:
        if exact and array.flags.c_contiguous:
            return array
        return np.array(array, dtype, order="C", copy=True, subok=False)
    if exact and array.strides == strides:
        return array
    steps = [step * (n - 1) for step, n in zip(type.layout.strides, array.shape) if n]
    memory = np.zeros(1 + sum(abs(step) for step in steps), dtype)
    first = -sum(min(step, 0) for step in steps)
    view = np.lib.stride_tricks.as_strided(memory[first:], array.shape, strides)
    view[...] = array
    return view


def byte_strides(type: ArrayType) -> tuple[int, ...] | None:
    """None for contiguous arrays."""
    if type.layout is None:
        return None
    return tuple([step * type.dtype.itemsize for step in type.layout.strides])


def builtin_array(array: np.ndarray) -> bool:
    return type(array) is np.ndarray and array.dtype.isnative


def build(
    module: Module,
    *,
    max_threads: int = 0,
    numerics: str | None = None,
    reproducible: bool | None = None,
    passes: Iterable[Callable] | None = None,
    instruments: Iterable[Callable] = (),
    check: bool | Iterable[Any] = False,
) -> Callable[..., Any]:
    """A callable from a Module at any legal stage; what is not lowered yet is lowered now.

    `numerics`, `reproducible`, `passes` and `instruments` are as in `jit`. `check`: NumPy runs the Module after every
    pass, on these arrays; True: on arbitrary ones.
    """
    if check is not False:
        checking = deferred("tracejit.check")
        arrays = checking.sample_arguments(module) if check is True else check
        instruments = (*instruments, checking.Checker(arrays))
    options = default_options(max_threads, passes, to_numerics(numerics), instruments)
    chosen = config.reproducible if reproducible is None else reproducible
    options = options._replace(reproducible=bool(chosen))
    return Lowered(module, options).compile()
