"""`jit`, and the object it makes: a function that native code answers where it can."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from .config import config, to_numerics
from .deferred import module
from .runtime.callable import JitBase


class Jitted(JitBase):
    """A function compiled per signature. Made by `jit`; behaves as the function does.

    Native code takes the calls whose signature is known and `__call__` the others.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]):
        functools.update_wrapper(self, function)
        self._function, self._options = function, options
        if options["static_argnums"] or options["static_argnames"]:
            self._compiler  # noqa: B018 - complains now about arguments that are not there

    @functools.cached_property
    def _compiler(self) -> Any:
        return module("tracejit.compiler").Compiler(self, self._function, self._options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiler.call(args, kwargs)

    def cache_info(self) -> Any:
        """Hits, misses (compiles), the most signatures kept, and how many are."""
        return self._compiler.cache_info()

    def cache_clear(self) -> None:
        """Forget every signature, and the counts."""
        self._compiler.cache_clear()

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        """Trace for these arguments: an object with `.module` and `.lower()`."""
        return self._compiler.trace(args, kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """`f.trace(...).lower()`: an object with `.module`, `.stages` and `.compile()`.

        The keywords of `lower` (`passes`, `instruments`) are taken from these, but for those that
        the function has itself.
        """
        return self._compiler.lower(args, kwargs)

    def explain(self, *args: Any, **kwargs: Any) -> Any:
        """What these arguments compile to, and why: print it, or write it as a page with `.html(path)`.

        For each line the kernels it became, their time, predicted and measured, what is fused and why
        not more, copies and calls of Python. Runs the program, on copies of what it writes.
        """
        return module("tracejit.explaining").explain(self._compiler, args, kwargs)

    def bottlenecks(self, *args: Any, **kwargs: Any) -> Any:
        """What the machine code for these arguments takes where it waits for no memory, block by block, and which
        instructions set that.

        Print it; `.seconds` is the sum and `.hot` has the blocks. Runs the program once, on copies of what it
        writes, to count how often each block runs, and then each of them by itself.
        """
        return module("tracejit.bottlenecks").find(self._compiler, args, kwargs)

    def scaling(self, *args: Any, **kwargs: Any) -> Any:
        """The time of a call with these arguments on 1 to 64 cores, simulated from the kernels' times on one.

        Print it, or write it as a page with `.html(path)`. Runs the program, on copies of what it writes.
        """
        return module("tracejit.scaling").scale(self._compiler, args, kwargs)

    def memory(self, *args: Any, **kwargs: Any) -> Any:
        """What a call with these arguments needs, in bytes, known before it runs.

        Has `arguments`, `results`, `workspace` (until it returns) and `peak`, the last two together; and
        `formula`, the same in symbols, where the program that will run serves arguments of many sizes.
        """
        return self._compiler.memory(args, kwargs)

    # Being a function.

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<jit {getattr(self, '__qualname__', self._function)}>"

    def __copy__(self) -> Jitted:
        return self

    def __deepcopy__(self, _: Any) -> Jitted:
        return self

    def __reduce__(self) -> Any:
        module = sys.modules.get(getattr(self, "__module__", None) or "")
        found: Any = module
        for name in getattr(self, "__qualname__", "").split("."):
            found = getattr(found, name, None)
        if found is self:
            return self.__qualname__
        return _rebuild, (self._function, self._options)


def _rebuild(function: Callable[..., Any], options: dict[str, Any]) -> Jitted:
    return Jitted(function, options)


def _as_tuple(value: Any) -> tuple:
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)


def _as_passes(passes: Iterable[Callable[[Any], Any]]) -> tuple:
    """Passes that may be gone through again; a pipeline stays one."""
    return passes if isinstance(passes, tuple) else tuple(passes)


def jit(
    function: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Iterable[int] = (),
    static_argnames: str | Iterable[str] = (),
    threads: int = 0,
    cache_size: int | None = None,
    numerics: str | None = None,
    reproducible: bool | None = None,
    passes: Iterable[Callable[[Any], Any]] | None = None,
    instruments: Iterable[Callable[[Any, Any, Any], Any]] = (),
    check: bool = False,
    fallback: str = "python",
    tune: bool | str | float = False,
) -> Any:
    """Compile a NumPy function when it is called, once for each signature.

    Arrays, floats, complex numbers and NumPy scalars are inputs; containers of them are taken
    apart; everything else (ints, bools, strings, None) is part of the signature, except that an
    int that keeps changing becomes an input where the function allows it.

    static_argnums, static_argnames   arguments that are always part of the signature
    threads       the most threads a call may use; 0: `tracejit.get_num_threads()`; programs with parallel
                  loops are compiled for that number, and again, without tracing, when it is another
    cache_size    signatures kept; default TRACEJIT_CACHE_SIZE
    numerics      "strict": NumPy's order and rounding, bit for bit, wherever NumPy has one;
                  "default": sums in any order, and `a*b + c` may round once instead of twice;
                  "fast": fewer roundings than that, and reciprocals for divisions (docs/numerics.md
                  has the bounds); nan, inf and -0.0 count as ever; of functions that call each
                  other the outermost decides; default TRACEJIT_NUMERICS
    reproducible  whether `threads=1`, which may add up in longer pieces than several threads can, and
                  `tune` give the bits that any other number of threads gives; default TRACEJIT_REPRODUCIBLE
    passes        functions Module -> Module that are run instead of the built-in ones; to run some
                  before all others: `(mine, *tracejit.pipeline())` (docs/passes.md)
    instruments   functions that are called with each pass and the Modules before and after it
    check         whether NumPy runs the program after every pass, on the arguments of the call that
                  compiles it: IRError names the first pass that changes results. Kernels run
                  element by element then, so the arguments should be small
    fallback      what becomes of NumPy functions without a rule: "python": the program calls them,
                  with real arrays; "error": UnsupportedError
    tune          whether variants of the kernels are measured, on copies of the arguments, and the
                  fastest remembered on disk (docs/tuning.md): True: before the call that compiles a
                  signature returns; "background": meanwhile; a number: meanwhile, for so many seconds

    Raises what the function raises while it is traced; TraceError where a traced value is needed
    as a number; UnsupportedError for what cannot be compiled.

    >>> @tracejit.jit
    ... def norm(x):
    ...     return np.sqrt((x * x).sum())
    """
    options = {
        "static_argnums": tuple(_as_tuple(static_argnums)),
        "static_argnames": tuple(_as_tuple(static_argnames)),
        "threads": int(threads),
        "cache_size": config.cache_size if cache_size is None else int(cache_size),
        "numerics": to_numerics(numerics),
        "reproducible": bool(config.reproducible if reproducible is None else reproducible),
        "passes": None if passes is None else _as_passes(passes),
        "instruments": tuple(instruments),
        "check": bool(check),
        "fallback": fallback,
        "tune": tune if isinstance(tune, bool | str) else float(tune),
    }
    if isinstance(tune, str) and tune != "background" or not isinstance(tune, str) and tune < 0:
        raise ValueError(f"tune must be True, False, 'background' or seconds, not {tune!r}")
    if fallback not in ("python", "error"):
        raise ValueError(f"fallback must be 'python' or 'error', not {fallback!r}")
    if options["cache_size"] < 1:
        raise ValueError(f"cache_size must be at least 1, not {options['cache_size']}")
    if options["threads"] < 0:
        raise ValueError(f"threads must be 0 or more, not {options['threads']}")
    if function is None:
        return functools.partial(jit, **options)
    if not callable(function):
        raise TypeError(f"jit takes a function, not {type(function).__name__}")
    return Jitted(function, options)
