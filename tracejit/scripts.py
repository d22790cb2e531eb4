"""Finding a call of a function in a script: run it until it makes one, and take its arguments.

A jitted function is seen where its calls enter the compiler, any other by Python's profiling hook;
neither while another function is traced, when arguments stand for values. What is found ends the
script there and then.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .compiler import Compiler
from .jit import Jitted, jit
from .trace.context import current_trace

Call = tuple[Any, tuple, dict[str, Any]]


class NotFound(Exception):
    """There is no such script, function or call; the message says what to do."""


class _Found(BaseException):
    """The call that was looked for; no Exception, so that scripts do not handle it."""

    def __init__(self, call: Call):
        self.call = call


def find_call(target: str, arguments: str | None = None, argv: Sequence[str] = ()) -> Call:
    """The function that `script.py:function` names, jitted, and the arguments of its first call.

    With `arguments`, the text between the parentheses of a call, the script is run as a module, and
    they are evaluated in it. Raises NotFound with what is missing.
    """
    path, name = _split(target)
    if arguments is not None:
        return _call_with(path, name, arguments, argv)
    try:
        with _watched(path, name):
            _run(path, "__main__", argv)
    except _Found as found:
        return found.call
    raise NotFound(_why_not_called(path, name))


def _split(target: str) -> tuple[Path, str]:
    file, colon, name = target.rpartition(":")
    if not colon or not name or "/" in name or name.endswith(".py"):
        raise NotFound(f"{target} should be SCRIPT:FUNCTION, such as model.py:step")
    path = Path(file)
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.py"))[:8] if path.parent.is_dir() else []
        hint = f"; in {path.parent}/ there are {', '.join(near)}" if near else ""
        raise NotFound(f"there is no file {file}{hint}")
    return path.resolve(), name


def _run(path: Path, name: str, argv: Sequence[str]) -> types.ModuleType:
    """Run a script; what it prints goes to standard error, beside what is asked of it."""
    module = types.ModuleType(name)
    module.__file__ = str(path)
    before = sys.argv, list(sys.path), sys.modules.get(name)
    sys.argv, sys.modules[name] = [str(path), *argv], module
    sys.path.insert(0, str(path.parent))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
    except SystemExit as error:
        if error.code not in (None, 0):
            print(f"tracejit: the script ended with exit status {error.code}", file=sys.stderr)
    except Exception as error:
        # Without our own frames, which say nothing of the script.
        traceback.print_exception(error.with_traceback(error.__traceback__.tb_next))
        raise NotFound(f"{path.name} failed before the call: {type(error).__name__}") from None
    finally:
        sys.argv, sys.path[:] = before[0], before[1]
        if before[2] is not None:
            sys.modules[name] = before[2]
    return module


def _function_at(module: types.ModuleType, path: Path, name: str) -> Any:
    """The function of this name, with dots for classes."""
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise NotFound(_no_function(vars(module), path, name))
    if not callable(found):
        raise NotFound(f"{name} in {path.name} is no function but {type(found).__name__}")
    return found


def _no_function(names: dict[str, Any], path: Path, name: str) -> str:
    own = [
        key
        for key, value in names.items()
        if isinstance(value, types.FunctionType | Jitted)
        and getattr(value, "__module__", None) == names.get("__name__")
    ]
    hint = f"; it has {', '.join(own[:12])}" if own else ""
    return f"{path.name} has no function {name}{hint}"


def _call_with(path: Path, name: str, arguments: str, argv: Sequence[str]) -> Call:
    module = _run(path, path.stem, argv)
    function = _function_at(module, path, name)
    scope = {"np": np, **vars(module), "__call": lambda *args, **kwargs: (args, kwargs)}
    try:
        args, kwargs = eval(f"__call({arguments})", scope)
    except Exception as error:
        text = f"--args {arguments!r}: {type(error).__name__}: {error}"
        raise NotFound(f"{text}; write it as between the parentheses of a call") from None
    return _jitted(function), args, kwargs


def _jitted(function: Any) -> Any:
    return function if isinstance(function, Jitted) else jit(function)


@contextlib.contextmanager
def _watched(path: Path, name: str) -> Iterator[None]:
    """Raise _Found at the first call of the function, in whatever thread."""
    call = Compiler.call

    def seen(compiler: Compiler, args: tuple, kwargs: dict[str, Any]) -> Any:
        code = getattr(compiler.jitted.__wrapped__, "__code__", None)
        if code is not None and _is_code(code, path, name) and current_trace() is None:
            raise _Found((compiler.jitted, args, kwargs))
        return call(compiler, args, kwargs)

    profile = _profiler(path, name)
    before = sys.getprofile()
    Compiler.call = seen
    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield
    finally:
        Compiler.call = call
        sys.setprofile(before)
        threading.setprofile(before)


def _is_code(code: types.CodeType, path: Path, name: str) -> bool:
    qualified = getattr(code, "co_qualname", code.co_name)  # Python 3.10 has the last part alone
    wanted = name if hasattr(code, "co_qualname") else name.rpartition(".")[2]
    return qualified == wanted and code.co_filename == str(path)


def _profiler(path: Path, name: str) -> Callable[[types.FrameType, str, Any], None]:
    def profile(frame: types.FrameType, event: str, _: Any) -> None:
        if event == "call" and _is_code(frame.f_code, path, name) and current_trace() is None:
            function = _function_of(frame, name)
            if function is not None:
                raise _Found((function, *_arguments(frame)))

    return profile


def _function_of(frame: types.FrameType, name: str) -> Any:
    """The function that is called, jitted, if its module knows it by its name."""
    found: Any = types.SimpleNamespace(**frame.f_globals)
    for part in name.split("."):
        found = getattr(found, part, None)
    if getattr(getattr(found, "__wrapped__", found), "__code__", None) is not frame.f_code:
        return None
    return _jitted(found)


def _arguments(frame: types.FrameType) -> tuple[tuple, dict[str, Any]]:
    """What a function that is about to run was called with."""
    code, values = frame.f_code, frame.f_locals
    names = code.co_varnames
    positional = [values[n] for n in names[: code.co_argcount]]
    count = code.co_argcount + code.co_kwonlyargcount
    named = {n: values[n] for n in names[code.co_argcount : count]}
    if code.co_flags & 0x04:  # *args
        positional += values[names[count]]
        count += 1
    if code.co_flags & 0x08:  # **kwargs
        named |= values[names[count]]
    return tuple(positional), named


def _why_not_called(path: Path, name: str) -> str:
    text = path.read_text()
    last = name.rpartition(".")[2]
    if f"def {last}" not in text and f"{last} =" not in text:
        names = [
            line.split("def ")[1].partition("(")[0]
            for line in text.splitlines()
            if line.startswith("def ")
        ]
        hint = f"; it defines {', '.join(names[:12])}" if names else ""
        return f"{path.name} has no function {name}{hint}"
    return (
        f"{path.name} ran to its end and never called {name}, unless inside another compiled function; "
        "give arguments with --args, or those of the script after --"
    )
