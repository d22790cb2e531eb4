"""What stands in traced code for callables that are called through Python, never traced.

These are registered functions, NumPy's `vectorize`, functions of SciPy, and those of NumPy that no
protocol shows us; and generators of random numbers. A generator's draws are calls in the order of
the program; while tracing, a copy of it draws, so that the user's own advances at every call of the
program just as with NumPy.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import NotNumbers, UnsupportedError
from ..ir.dims import Dim
from ..ir.graph import Node
from ..ir.numpy_random import begin_drawing, in_old_class
from ..registered import Applied, purity
from .attempts import WARN, is_plain, warn
from .context import current_trace, failure, for_numpy
from .drawing import NotDrawn
from .draws import draw as draw_natively
from .draws import draws_natively
from .host import Callee, NoRule, ask_python, call_through_python, name_of
from .number_classes import is_number_class, number_class
from .registry import CREATIONS, FUNCTIONS
from .scipy_objects import scipy_stand_in
from .tree import flatten
from .ufunc_objects import Ufunc
from .unruled import apply_function, write_through_python
from .value import Value

# Packages whose functions get real arrays. Those of NumPy are shown to us by its protocols.
_PACKAGES = ("numpy.polynomial", "scipy")
# Ours, which is NumPy's.
_NAMESPACE = "tracejit.numpy"
_METHODS = (types.MethodType, types.BuiltinMethodType)


def stand_in(value: Any) -> Any:
    """What the traced code gets instead of `value`; None if it is nothing of this kind."""
    if isinstance(value, Applied) or type(value) is Ufunc:
        return value
    if isinstance(value, np.ufunc) and _wraps_ufuncs():
        return Ufunc(value)
    is_pure = purity(value)
    if is_pure is not None:
        called = Callee(name_of(value), _Found(value), not is_pure, is_known=False)
        return _always(value, called)
    if isinstance(value, np.vectorize):
        name = name_of(getattr(value, "pyfunc", value))
        called = Callee(f"numpy.vectorize({name})", _Found(value), has_effects=True, is_known=False)
        return _looped(value, _always(value, called))
    if value is np.vectorize:
        return _vectorize
    if draws_numbers(value):
        return Generator(_Lasting(value), copy.deepcopy(value))
    if isinstance(value, types.ModuleType) and value.__name__ == _NAMESPACE:
        trace = current_trace()
        return None if trace is None else trace.hook(np)
    if value is WARN:
        return warn
    if value is np.nditer:
        return _nditer
    if _is_librarys(value):
        return _with_arrays(value)
    if is_plain(value) and _is_numpys_own(value):
        return _as_part(value)
    if is_number_class(value):
        return number_class(value)
    found = scipy_stand_in(value)
    return found if found is not None else _made_by_random(value)


def _wraps_ufuncs() -> bool:
    trace = current_trace()
    return trace is not None and trace.wraps_ufuncs


@dataclass(frozen=True)
class _Found:
    """Finds one callable or object, whatever a run has made."""

    value: Any

    def __call__(self, objects: dict) -> Any:
        return self.value


def _always(function: Callable[..., Any], callee: Callee) -> Callable[..., Any]:
    """A call of `function` in a program, whatever it is given."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if current_trace() is None:
            return function(*args, **kwargs)
        return call_through_python(callee, args, kwargs)

    return run


def _looped(function: np.vectorize, call: Callable[..., Any]) -> Callable[..., Any]:
    """A call of what `np.vectorize` has made: a loop where that is right, or `call`."""

    @functools.wraps(call)
    def run(*args: Any, **kwargs: Any) -> Any:
        if current_trace() is not None:
            if _draws(function.pyfunc):
                raise for_numpy(_drawn_elsewhere())
            with contextlib.suppress(NoRule):
                return FUNCTIONS[np.vectorize](function, args, kwargs)
        return call(*args, **kwargs)

    return run


def _draws(function: Any, seen: frozenset = frozenset()) -> bool:
    """Whether a function names a generator of random numbers, or what draws from one."""
    if not isinstance(function, types.FunctionType) or function.__code__ in seen:
        return False
    names = function.__code__.co_names
    named = [function.__globals__.get(name) for name in names]
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # it is empty
            named.append(cell.cell_contents)
    if "random" in names or any(draws_numbers(x) or is_draw(x) for x in named):
        return True
    seen |= {function.__code__}
    return any(_draws(x, seen) for x in named)


def _drawn_elsewhere() -> UnsupportedError:
    return failure(
        UnsupportedError,
        "a generator of random numbers was given to a function called through Python",
        "draw from it in the jitted function, and pass what it drew",
    )


def _with_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """A call of `function` in a program where it is given traced arrays."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        leaves, _ = flatten((args, kwargs))
        trace = current_trace()
        if trace is not None and any(isinstance(leaf, Value | Dim) for leaf in leaves):
            return apply_function(function, args, kwargs)
        result = function(*args, **kwargs)
        is_module = isinstance(result, types.ModuleType)
        return trace.hook(result) if trace is not None and is_module else result

    return run


def _as_part(function: types.FunctionType) -> Callable[..., Any]:
    """A function that NumPy's Python code calls: it is traced where that is."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        trace = current_trace()
        is_tried = trace is not None and bool(trace.attempts)
        return (trace.hook_plain(function) if is_tried else function)(*args, **kwargs)

    return run


def _vectorize(*args: Any, **kwargs: Any) -> Any:
    """`np.vectorize` in traced code, of functions that are not traced."""
    trace = current_trace()
    if trace is None or not args:
        return np.vectorize(*args, **kwargs)
    return stand_in(np.vectorize(trace.unhook(args[0]), *args[1:], **kwargs))


def _nditer(*args: Any, **kwargs: Any) -> Any:
    """`np.nditer` in traced code, which gives views of memory, and writes to it."""
    leaves, _ = flatten((args, kwargs))
    if current_trace() is not None and any(isinstance(leaf, Value) for leaf in leaves):
        raise failure(
            NotNumbers, "np.nditer goes through the memory of arrays", "iterate over x.flat"
        )
    return np.nditer(*args, **kwargs)


def _is_librarys(value: Any) -> bool:
    module = getattr(value, "__module__", None)
    if type(module) is not str or not module.startswith(("numpy", "scipy")):
        return False
    if isinstance(value, type | np.ufunc) or not callable(value) or not hasattr(value, "__name__"):
        return False
    if value.__name__.startswith(("issparse", "isspmatrix")):
        return False  # they ask for a type, which needs no values
    # A function that a protocol shows us may have traced arrays in a list, where it does not.
    is_shown = hasattr(value, "_implementation")
    return value not in CREATIONS if is_shown else module.startswith(_PACKAGES)


def _is_numpys_own(value: types.FunctionType) -> bool:
    """Whether it is a function inside NumPy, which users have no need to call."""
    module = value.__module__ or ""
    return module.startswith("numpy.") and value.__name__.startswith("_")


# Random numbers.

_WITHOUT_ARRAYS = ("spawn", "bit_generator", "get_state", "set_state")


def _recovers() -> bool:
    trace = current_trace()
    return trace is not None and trace.recovers


def is_draw(value: Any) -> bool:
    """Whether `value` is a method of a generator of random numbers."""
    return isinstance(value, _METHODS) and draws_numbers(value.__self__)


def draws_numbers(value: Any) -> bool:
    """Whether `value` is a generator of random numbers; asked without importing numpy.random."""
    random = sys.modules.get("numpy.random")
    return random is not None and isinstance(value, random.Generator | random.RandomState)


class Generator:
    """A generator of random numbers in traced code."""

    def __init__(self, find: Callable[[dict], Any], trial: Any, made: Any = None):
        self._find, self.trial, self._made = find, trial, made

    @property
    def __class__(self) -> type:
        return type(self.trial)

    def address(self, in_pairs: bool) -> Node:
        """The address of what natively drawn numbers come from; found once, before all loops in which
        the generator is not made."""
        trace = current_trace()
        assert trace is not None
        begin = Callee("numpy.random.begin", _Begin(self._find, in_pairs))
        node = ask_python(begin, [] if self._made is None else [self._made])
        home = trace.whole if self._made is None else trace.open_home(self._made)
        if home is not None:
            trace.homes[node] = home
        return node

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.trial, name)
        if name in _WITHOUT_ARRAYS or not callable(method):
            raise failure(
                UnsupportedError,
                f"numpy.random's {name} gives or changes what a program cannot hold",
                "use it outside the jitted function",
            )
        called = Callee(name_of(method), _Draw(self._find, name), has_effects=True, trial=method)

        def draw(*args: Any, **kwargs: Any) -> Any:
            if current_trace() is None:
                raise _drawn_elsewhere()
            is_old = in_old_class(self.trial)
            if draws_natively(is_old, name) and _recovers():
                with contextlib.suppress(NotDrawn):
                    return draw_natively(self, is_old, name, args, kwargs)
            if kwargs.get("out") is not None:
                raise failure(
                    UnsupportedError, f"numpy.random's {name}(out=) writes in place", "leave out="
                )
            if name == "shuffle":
                return write_through_python(called, args, kwargs)
            return call_through_python(called, args, kwargs)

        return draw


@dataclass(frozen=True)
class _Draw:
    """Finds a method of a generator, of which `objects` keeps the state before the first draw."""

    find: Callable[[dict], Any]
    name: str

    def __call__(self, objects: dict) -> Any:
        return getattr(_kept(self.find(objects), objects), self.name)


@dataclass(frozen=True)
class _Begin:
    """Finds what begins to draw natively from a generator, and gives the address of its bits."""

    find: Callable[[dict], Any]
    in_pairs: bool

    def __call__(self, objects: dict) -> Any:
        def begin(*_: Any) -> int:
            return begin_drawing(objects, _kept(self.find(objects), objects), self.in_pairs)

        return begin


def _kept(generator: Any, objects: dict) -> Any:
    key = (_BEFORE, id(generator))
    if key not in objects:
        objects[key] = _put_back_later(generator)
    return generator


_BEFORE = "before"


def _put_back_later(generator: Any) -> Callable[[], None]:
    """What gives a generator the state it has now."""
    if in_old_class(generator):
        return functools.partial(generator.set_state, generator.get_state(legacy=False))
    bits = generator.bit_generator
    return functools.partial(setattr, bits, "state", bits.state)


def has_drawn(objects: dict) -> bool:
    """Whether a run has drawn from generators."""
    return any(type(key) is tuple and key[0] == _BEFORE for key in objects)


def undo_draws(objects: dict) -> None:
    """Give the generators that a run has drawn from the states they had before."""
    for key in [key for key in objects if type(key) is tuple and key[0] == _BEFORE]:
        objects.pop(key)()


def argument(leaf: int, value: Any) -> Any:
    """What stands for a generator that is leaf number `leaf` of the arguments."""
    return Generator(_Passed(leaf, value), copy.deepcopy(value))


def passed(leaves: Iterable[Any]) -> dict[Any, Any]:
    """The generators among a call's leaves, as its run finds them."""
    return {("leaf", k): value for k, value in enumerate(leaves) if draws_numbers(value)}


class Rehearsal(dict):
    """The objects of a run that leaves the generators of others as they are: it draws from copies."""

    def get(self, key: Any, default: Any = None) -> Any:
        return self.setdefault(key, copy.deepcopy(default)) if key not in self else self[key]


@dataclass(frozen=True)
class _Lasting:
    """Finds a generator that was there before the program."""

    value: Any

    def __call__(self, objects: dict) -> Any:
        return objects.get(("generator", id(self.value)), self.value)


@dataclass(frozen=True)
class _Passed:
    """Finds the generator that was passed as this leaf; the first that was, in a run of no call."""

    leaf: int
    first: Any

    def __call__(self, objects: dict) -> Any:
        return objects.get(("leaf", self.leaf), self.first)


@dataclass(frozen=True)
class _Made:
    """Finds the generator that this run has made under this number."""

    number: int

    def __call__(self, objects: dict) -> Any:
        return objects[self.number]


@dataclass(frozen=True)
class _Make:
    """Finds what makes a generator, and keeps it under its number."""

    factory: Callable[..., Any]
    number: int

    def __call__(self, objects: dict) -> Any:
        def make(*args: Any, **kwargs: Any) -> None:
            objects[self.number] = self.factory(*args, **kwargs)

        return make


class _Factory:
    """`default_rng` or `RandomState` in traced code: each run makes a generator of its own."""

    def __init__(self, factory: Callable[..., Any]):
        self._factory = factory

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, self._factory)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], Generator):
            return args[0]
        trace = current_trace()
        if trace is None:
            return self._factory(*args, **kwargs)
        make = _Make(self._factory, trace.generators)
        trace.generators += 1
        called = Callee(
            name_of(self._factory), make, has_effects=True, trial=make(trace.run.objects)
        )
        call_through_python(called, args, kwargs)
        trial = copy.deepcopy(trace.run.objects[make.number])
        return Generator(_Made(make.number), trial, trace.token)


class _Refused:
    """A class in traced code whose objects would be made once, while tracing."""

    def __init__(self, cls: type):
        self._class = cls

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, self._class)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_trace() is None:
            return self._class(*args, **kwargs)
        raise failure(
            UnsupportedError,
            f"numpy.random.{self._class.__name__} makes what a program cannot hold",
            "use np.random.default_rng, or make it outside the jitted function",
        )


def _made_by_random(value: Any) -> Any:
    """What stands for a function or class of numpy.random that makes generators, or seeds one."""
    random = sys.modules.get("numpy.random")
    trace = current_trace()
    if random is None or trace is None:
        return None
    if value is random.default_rng or value is random.RandomState:
        return _Factory(value)
    kinds = (random.Generator, random.BitGenerator, random.SeedSequence)
    if isinstance(value, type) and issubclass(value, kinds):
        return _Refused(value)
    if value is random.seed or value is random.ranf or value is random.sample:
        name = "seed" if value is random.seed else "random_sample"
        return getattr(trace.hook(random.rand.__self__), name)
    return None
