"""Assertions about what a function compiles to, so that a slow program fails a test as a wrong one does.

Each takes a function, jitted or not, and the arguments of a call; what it says when it fails names the
kernels, the lines and the reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..deferred import module
from ..events import Compile, compiles
from ..jit import Jitted, jit
from ..report.records import CHECK, COPY, PYTHON, Data, KernelRecord

MOST_REASONS = 2


def assert_kernels(
    f: Any, args: Sequence[Any], *, at_most: int | None = None, exactly: int | None = None,
    kwargs: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """The call `f(*args, **kwargs)` runs at most, or exactly, so many kernels.

    Kernels are loops over memory, calls of libraries and of Python, and copies; checks of indices
    ahead of writes are none.

    >>> assert_kernels(softmax, (x,), at_most=1)
    """
    if (at_most is None) == (exactly is None):
        raise TypeError("assert_kernels takes one of at_most= and exactly=")
    data = _described(f, args, kwargs)
    kernels = [kernel for kernel in data.kernels if kernel.kind != CHECK]
    count = len(kernels)
    if at_most is not None and count > at_most:
        raise AssertionError(
            _listed(data, kernels, f"runs {_many(count)}, at most {at_most} allowed")
        )
    if exactly is not None and count != exactly:
        raise AssertionError(_listed(data, kernels, f"runs {_many(count)}, not {exactly}"))


def assert_no_fallback(
    f: Any, args: Sequence[Any], *, kwargs: dict[str, Any] | None = None
) -> None:
    """No part of the call `f(*args, **kwargs)` runs through Python.

    NumPy's own compiled code (sorting, LAPACK, transforms), which is called without Python, may be.
    """
    data = _described(f, args, kwargs)
    kernels = [kernel for kernel in data.kernels if kernel.kind == PYTHON]
    if kernels or data.python:
        text = _listed(data, kernels, "calls Python")
        raise AssertionError("\n".join([text, *[f"  {note}" for note in data.python]]))


def assert_no_copy(f: Any, args: Sequence[Any], *, kwargs: dict[str, Any] | None = None) -> None:
    """The call `f(*args, **kwargs)` copies no array: neither between kernels nor to take an argument.

    A kernel is a copy if it computes nothing and writes about as much as it reads: a slice that is
    stored for a library, a value that is saved because a write would destroy it.
    """
    data = _described(f, args, kwargs)
    kernels = [kernel for kernel in data.kernels if kernel.kind == COPY]
    if kernels or data.copies:
        text = _listed(data, kernels, "copies arrays")
        raise AssertionError("\n".join([text, *[f"  {note}" for note in data.copies]]))


def assert_compiles_once(f: Any, calls: Iterable[Any], *, at_most: int = 1) -> None:
    """All the `calls` together compile `f` once, or `at_most` times.

    calls   the arguments of each: a tuple, or a dict of keywords, or a pair of both

    The function is compiled anew for this: what it was called with before does not count. The calls
    are made, with all their effects.

    >>> assert_compiles_once(step, [(x, 1.0), (y, 2.0)])
    """
    fresh = _fresh(f)
    made: list[tuple[int, Compile]] = []
    for number, given in enumerate(calls, 1):
        args, kwargs = _arguments(given)
        with compiles() as found:
            fresh(*args, **kwargs)
        made += [(number, compile) for compile in found if compile.name == _name(fresh)]
    if len(made) > at_most:
        lines = [f"{_name(fresh)} was compiled {len(made)} times, at most {at_most} allowed"]
        lines += [f"  call {n}: {c.signature}: {c.why}" for n, c in made]
        raise AssertionError("\n".join(lines))


def jitted(f: Any) -> Jitted:
    """The function as it is, or jitted."""
    return f if isinstance(f, Jitted) else jit(f)


def _fresh(f: Any) -> Jitted:
    """The same function with the same options, and nothing compiled yet."""
    return Jitted(f._function, f._options) if isinstance(f, Jitted) else jit(f)


def _name(f: Jitted) -> str:
    return f._compiler.name


def _arguments(given: Any) -> tuple[tuple, dict[str, Any]]:
    if isinstance(given, dict):
        return (), given
    if not isinstance(given, tuple | list):
        raise TypeError(f"a call is a tuple of arguments, not {type(given).__name__}: (x,)")
    is_pair = len(given) == 2 and isinstance(given[0], tuple) and isinstance(given[1], dict)
    return (tuple(given[0]), given[1]) if is_pair else (tuple(given), {})


def _described(f: Any, args: Sequence[Any], kwargs: dict[str, Any] | None) -> Data:
    if not isinstance(args, tuple | list):
        raise TypeError(
            f"args is a tuple of arguments, not {type(args).__name__}: write (x,) for one"
        )
    explain = module("tracejit.explaining").explain
    return explain(jitted(f)._compiler, tuple(args), kwargs or {}, runs=False).data


def _many(count: int) -> str:
    return f"{count} kernel{'s' * (count != 1)}"


def _listed(data: Data, kernels: Iterable[KernelRecord], problem: str) -> str:
    """The message: what is wrong, and each of the kernels with its lines and why it stands alone."""
    lines = [f"{data.name}({data.signature}) {problem}"]
    for kernel in kernels:
        places = ", ".join(line.place for line in kernel.lines[:4]) or "no line"
        work = ", ".join(kernel.operations) or kernel.kind
        lines.append(f"  {kernel.number}. {kernel.name} ({kernel.kind}) at {places}: {work}")
        for line in kernel.lines[:2]:
            lines.append(f"       {line.place}  {line.text.strip()}")
        lines += [f"     {reason}" for reason in kernel.why_not[:MOST_REASONS]]
    return "\n".join(lines)
