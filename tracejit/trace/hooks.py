"""Copies of the user's functions that see traced arrays where NumPy would have made plain ones.

No protocol shows a tracer `np.zeros(n)`, or an array that is a global variable. So a function is
traced as a copy of itself: the same code object, hence the same lines, tracebacks and breakpoints,
over a namespace that hands out hooked values. `np` becomes a stand-in for the module whose
creation functions trace, arrays become captured parameters, the user's own functions become such
copies in their turn. Nothing is patched: other threads and later calls see what they always saw.

Whatever is read is remembered as a guard, because the program holds only while it stays so; what
the function assigned to a global or a closure's variable is written back at the end.
"""

from __future__ import annotations

import builtins
import dis
import functools
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import TraceError
from .array import Array
from .capture.functions import captured
from .capture.hooks import CaptureHooks
from .capture.templates import HOOKS
from .context import Trace, current_trace, failure
from .layout import is_unlike_arrays
from .location import is_library, is_library_class
from .outside import is_draw, stand_in
from .registry import CREATIONS
from .shadows import Shadows, is_container, is_object
from .tree import flatten
from .unruled import made_through_python
from .value import Value

_UNHOOKED = Value | int | float | complex | str | bytes | bool | None


class Hooks:
    """The hooked values of one trace, and what the trace has read through them.

    `guards` holds `(dict, key, value)`: `dict[key]` was that very object; `cells` holds
    `(cell, value)` in the same sense.
    """

    def __init__(self, trace: Trace, function: Callable[..., Any]):
        self.trace = trace
        trace.hook, trace.unhook, trace.held = self.hook, self.unhook, self.held
        trace.adopt = self.adopt
        trace.hook_plain, trace.held_first = self.hook_plain, self.held_first
        self.package = _top_package(function)
        self.guards: dict[tuple[int, str], tuple[dict, str, Any]] = {}
        self.cells: dict[int, tuple[types.CellType, Any]] = {}
        self._hooked: dict[int, tuple[Any, Any]] = {}
        self._original: dict[int, Any] = {}
        self._namespaces: dict[int, _Namespace] = {}
        self._cell_copies: dict[int, tuple[types.CellType, types.CellType, Any]] = {}
        self._plain: dict[int, tuple[Any, Any]] = {}
        self._names: set[str] = set()
        self.shadows = Shadows(self.hook, self._guard)
        trace.hook_class = self.shadows.class_

    def hook(self, value: Any, name: str = "") -> Any:
        """What the traced code gets instead of `value`; the same object every time."""
        if isinstance(value, _UNHOOKED):
            return value
        found = self._hooked.get(id(value))
        if found is not None:
            return found[1]
        new = self._make(value, name)
        self._remember(value, new)
        return new

    def unhook(self, value: Any) -> Any:
        """The user's own object behind a hooked one."""
        found = self._original.get(id(value))
        if found is not None:
            return found
        original = self.shadows.originals.get(type(value))
        if original is not None:  # an object that a hooked class made
            value.__class__ = original
        return self.shadows.originals.get(value, value) if isinstance(value, type) else value

    def read(self, namespace: dict, name: str, value: Any) -> Any:
        """A global or a module's attribute is read: remember it, hook it."""
        if not isinstance(value, types.ModuleType):
            self._guard(namespace, name, value)
        return self.hook(value, name)

    def _guard(self, namespace: dict, name: Any, value: Any) -> None:
        self.guards.setdefault((id(namespace), name), (namespace, name, value))

    def adopt(self, program: Any) -> None:
        """Let this trace depend on all that another one, whose result it uses, has read outside."""
        self.guards.update({(id(names), key): (names, key, v) for names, key, v in program.guards})
        self.cells.update({id(cell): (cell, value) for cell, value in program.cells})
        self.shadows.adopt(program)

    def _remember(self, value: Any, new: Any) -> None:
        self._hooked[id(value)] = (value, new)
        if new is not value:
            self._original[id(new)] = value

    def _make(self, value: Any, name: str) -> Any:
        if isinstance(value, np.ndarray):
            return self._array(value, name)
        if is_draw(value):  # whose own code would take the stand-in's memory for the generator's
            return getattr(self.hook(value.__self__), value.__name__)
        outside = stand_in(value)
        if outside is not None:
            return outside
        if isinstance(value, types.FunctionType):
            if isinstance(value.__globals__, _Namespace):  # made while tracing
                return value
            return self._function(value) if self.is_users(value) else self._creation(value)
        if isinstance(value, types.ModuleType):
            return self._module(value)
        if isinstance(value, types.MethodType):
            function, owner = self.hook(value.__func__), self.hook(value.__self__, name)
            same = function is value.__func__ and owner is value.__self__
            return value if same else types.MethodType(function, owner)
        if type(value) is functools.partial:
            parts = (self.hook(part) for part in (value.func, *value.args))
            keywords = {key: self.hook(item) for key, item in value.keywords.items()}
            return functools.partial(*parts, **keywords)
        if _is_jitted(value):
            return self.hook(value.__wrapped__)
        if is_container(value):
            return self.shadows.container(value, self._remember, name)
        if isinstance(value, type):  # of Python's iterators some are functions here
            made = self._creation(value)
            return self.class_(value) if made is value else made
        if is_object(value) and self._is_users_class(type(value)):
            return self.shadows.object(value, self._remember, name)
        new = self._creation(value)
        if new is value:
            self._watch(value)
        return new

    def _watch(self, value: Any) -> None:
        """Guard what the traced code may read of a value that it gets as it is."""
        for item in self.shadows.watch(value):
            if isinstance(item, Value):
                continue
            if isinstance(item, np.ndarray) and item.dtype.kind in "biufc":
                self.trace.contents_of(self.trace.capture(item).node)
            elif item is not value:
                self.hook(item)

    def _array(self, array: np.ndarray, name: str) -> Any:
        if array.dtype.kind not in "biufc" or is_unlike_arrays(array):
            return array  # refused when an operation meets it
        storage = self.trace.capture(array, name or "captured", is_hidden=True).storage
        return Array(storage.node).settle(storage)

    def _creation(self, value: Any) -> Any:
        try:
            implementation = CREATIONS.get(value)
        except TypeError:  # unhashable, so no function
            return value
        if implementation is None:
            return value
        is_indexed = not callable(implementation)  # such as `np.mgrid`
        return implementation if is_indexed else _switch(value, implementation)

    def _module(self, module: types.ModuleType) -> Any:
        name = module.__name__
        if _is_known(name):
            return _Module(module, self)
        file = getattr(module, "__file__", None) or ""
        return _Module(module, self) if self.is_users_file(file, name) else module

    def is_users(self, function: types.FunctionType) -> bool:
        """Whether a function is the user's own, or of the package that the jitted one is from."""
        return self.is_users_file(function.__code__.co_filename, function.__module__ or "")

    def is_users_file(self, file: str, module: str) -> bool:
        return self._is_package(module) or not is_library(file)

    def _is_package(self, module: str) -> bool:
        return bool(self.package) and module.partition(".")[0] == self.package

    def class_(self, cls: type) -> type:
        """The class of which the traced code gets instances instead."""
        return self.shadows.class_(cls) if self._is_users_class(cls) else cls

    def _is_users_class(self, cls: type) -> bool:
        return self._is_package(cls.__module__) or not is_library_class(cls)

    def hook_plain(self, function: types.FunctionType) -> Any:
        """The copy of a library's function that is traced as if it were the user's."""
        found = self._plain.get(id(function))
        if found is None:
            found = self._plain[id(function)] = (function, self._function(function))
        return found[1]

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        namespace = self._namespace(function.__globals__)
        namespace.prepare(_names_in_class_bodies(function.__code__))
        namespace.prepare(_globals_set(function.__code__))
        self._names.update(_all_names(function.__code__))
        code = captured(function.__code__)
        free = dict(zip(function.__code__.co_freevars, function.__closure__ or ()))
        pairs = [(cell, self._cell(cell)) for cell in map(free.__getitem__, code.co_freevars)]
        new = types.FunctionType(
            code,
            namespace,
            function.__name__,
            function.__defaults__,
            tuple(copy for _, copy in pairs) or None,
        )
        self._remember(function, new)  # before the cells are filled: one may hold this function
        for attribute in functools.WRAPPER_ASSIGNMENTS:
            setattr(new, attribute, getattr(function, attribute, None))
        if function.__dict__:
            new.__dict__ = self.shadows.container(function.__dict__, self._remember, "attribute")
        else:
            self.shadows.attributes(function.__dict__, new.__dict__)
        if function.__defaults__:
            new.__defaults__ = tuple(self.hook(item) for item in function.__defaults__)
        if function.__kwdefaults__:
            defaults = function.__kwdefaults__
            new.__kwdefaults__ = {key: self.hook(item) for key, item in defaults.items()}
        for name, (cell, _) in zip(code.co_freevars, pairs):
            self._fill(cell, name)
        return new

    def _cell(self, cell: types.CellType) -> types.CellType:
        """The copy of a closure's variable, shared by all who share the original."""
        found = self._cell_copies.get(id(cell))
        if found is None:
            found = self._cell_copies[id(cell)] = (cell, types.CellType(), _EMPTY)
        return found[1]

    def _fill(self, cell: types.CellType, name: str) -> None:
        _, copy, before = self._cell_copies[id(cell)]
        if before is not _EMPTY:
            return
        try:
            value = cell.cell_contents
        except ValueError:  # not assigned yet
            return
        self.cells[id(cell)] = (cell, value)
        copy.cell_contents = self.hook(value, name)
        self._cell_copies[id(cell)] = (cell, copy, copy.cell_contents)

    def _namespace(self, original: dict) -> _Namespace:
        found = self._namespaces.get(id(original))
        if found is None:
            found = self._namespaces[id(original)] = _Namespace(original, self)
        return found

    def import_module(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        """`__import__` for the traced code."""
        if isinstance(globals, _Namespace):
            globals = globals.original
        return self.hook(builtins.__import__(name, globals, locals, fromlist, level))

    def held(self) -> list[Any]:
        """Containers that the traced code may change, whether or not it has them in variables."""
        return [*self._namespaces.values(), *self.shadows.stand_ins()]

    def held_first(self) -> list[tuple[Any, Any]]:
        """The same containers, each with what it held at first."""
        namespaces = [(namespace, namespace.before) for namespace in self._namespaces.values()]
        return [*namespaces, *self.shadows.first_contents()]

    def finish(self) -> None:
        """Guard classes, and carry what was assigned to globals and closures over to the real ones."""
        self.shadows.guard_classes(self._names)
        for namespace in self._namespaces.values():
            for name, value in namespace.assigned():
                namespace.original[name] = self._outlived(value, name)
        self.shadows.write_back(self._outlived)
        for cell, copy, before in self._cell_copies.values():
            try:
                after = copy.cell_contents
            except ValueError:
                continue
            if after is not before:
                cell.cell_contents = self._outlived(after, "a variable of the enclosing function")

    def _outlived(self, value: Any, name: str) -> Any:
        leaves, _ = flatten(value)
        if any(isinstance(leaf, Value) for leaf in leaves):
            raise failure(
                TraceError,
                f"a traced value was assigned to {name}, which outlives the call",
                "return it from the jitted function",
            )
        return self.unhook(value)


_EMPTY = object()


class _Namespace(dict):
    """The globals of hooked functions: what is not assigned here is read from the original.

    LOAD_GLOBAL asks `__missing__` of a dict subclass. Class bodies and evaluated text look into
    the dict itself, so their names are put there first.
    """

    __slots__ = ("before", "hooks", "original")

    def __init__(self, original: dict, hooks: Hooks):
        given = original.get("__builtins__", builtins)
        given = vars(given) if isinstance(given, types.ModuleType) else given
        super().__init__(
            {name: original[name] for name in _MODULE_NAMES if name in original},
            __builtins__={
                **given,
                **{name: hooks.hook(given[name]) for name in _BUILTINS if name in given},
                "__import__": hooks.import_module,
                **_EVALUATORS,
            },
            **{HOOKS: CaptureHooks},
        )
        self.original, self.hooks = original, hooks
        self.before = dict(self)

    def __missing__(self, name: str) -> Any:
        return self.hooks.read(self.original, name, self.original[name])

    def prepare(self, names: Iterable[str]) -> None:
        """Put names here that code will look for in the dict itself."""
        for name in names:
            if name in self.original and name not in self:
                value = self.original[name]
                self[name] = value  # hooking it may come here again
                self[name] = self.before[name] = self.hooks.read(self.original, name, value)

    def assigned(self) -> list[tuple[str, Any]]:
        """What STORE_GLOBAL put here."""
        return [
            (name, value)
            for name, value in self.items()
            if name not in self.before or self.before[name] is not value
        ]


_STORE_GLOBAL = dis.opmap["STORE_GLOBAL"]
_BUILTINS = ("all", "any", "len", "max", "min", "print", "sorted", "sum")
_MODULE_NAMES = ("__name__", "__package__", "__spec__", "__file__", "__loader__", "__doc__")


@functools.lru_cache(maxsize=1024)
def _names_in_class_bodies(code: types.CodeType) -> tuple[str, ...]:
    """The names that classes defined inside `code` use in their bodies."""
    found: list[str] = []
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if not constant.co_flags & _OPTIMIZED:
                found.extend(constant.co_names)
            found.extend(_names_in_class_bodies(constant))
    return tuple(found)


@functools.lru_cache(maxsize=1024)
def _globals_set(code: types.CodeType) -> tuple[str, ...]:
    """The globals that code, or functions in it, assign to."""
    found: list[str] = []
    if _STORE_GLOBAL in code.co_code[::2]:
        lines = dis.get_instructions(code)
        found.extend(line.argval for line in lines if line.opcode == _STORE_GLOBAL)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found.extend(_globals_set(constant))
    return tuple(found)


@functools.lru_cache(maxsize=1024)
def _all_names(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(_all_names, inner))


def _evaluating(run: Callable[..., Any]) -> Callable[..., Any]:
    """`eval` or `exec` for the traced code: the names in the text are made ready first."""

    def evaluate(
        source: Any, globals: dict | None = None, locals: Any = None, /, **options: Any
    ) -> Any:
        frame = sys._getframe(1)
        if globals is None:
            globals, locals = frame.f_globals, frame.f_locals if locals is None else locals
        code = source
        if not isinstance(code, types.CodeType):
            code = compile(source, "<string>", run.__name__, dont_inherit=True)
        if isinstance(globals, _Namespace):
            globals.prepare(_all_names(code))
        return run(code, globals, locals, **options)

    return evaluate


_OPTIMIZED = 1
_EVALUATORS = {"eval": _evaluating(eval), "exec": _evaluating(exec)}


class _Module(types.ModuleType):
    """A stand-in for a module, whose attributes are hooked."""

    def __init__(self, original: types.ModuleType, hooks: Hooks):
        super().__init__(original.__name__, original.__doc__)
        object.__setattr__(self, "_original", original)
        object.__setattr__(self, "_hooks", hooks)

    def __getattr__(self, name: str) -> Any:
        original, hooks = self._original, self._hooks
        value = getattr(original, name)
        if _is_known(original.__name__):
            hooked = vars(self)[name] = hooks.hook(value)  # these do not change: found at once
            return hooked
        if name not in vars(original):  # a package's own `__getattr__` made it
            return hooks.hook(value, name)
        return hooks.read(vars(original), name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._original, name, self._hooks._outlived(value, name))

    def __dir__(self) -> list[str]:
        return dir(self._original)

    def __reduce__(self) -> Any:
        return sys.modules.__getitem__, (self._original.__name__,)


def _is_jitted(value: Any) -> bool:
    """Whether `value` is a compiled function of ours; within a trace it is what it was made of."""
    ours = type(value).__module__.partition(".")[0] == __name__.partition(".")[0]
    return ours and not isinstance(value, Value) and hasattr(value, "__wrapped__")


def _switch(original: Any, implementation: Callable[..., Any]) -> Callable[..., Any]:
    """`implementation` inside a trace, `original` for code that kept a reference beyond it."""

    @functools.wraps(original)
    def created(*args: Any, **kwargs: Any) -> Any:
        if current_trace() is None:
            return original(*args, **kwargs)
        try:
            return implementation(*args, **kwargs)
        except TraceError as error:
            return made_through_python(original, error, args, kwargs)

    return created


def _is_known(module: str) -> bool:
    """Whether traced code gets something else for some of a module's functions."""
    return module in _KNOWN or module.partition(".")[0] in ("numpy", "scipy")


_KNOWN = ("bisect", "functools", "heapq", "itertools", "math", "tracejit", "warnings")


def _top_package(function: Any) -> str:
    """The installed package the jitted function is from; empty for a user's loose module."""
    module = getattr(function, "__module__", None) or ""
    name = module.partition(".")[0]
    return "" if name in ("", "__main__", "numpy", "tracejit") else name
