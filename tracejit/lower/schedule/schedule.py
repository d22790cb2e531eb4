"""A schedule as a value: its steps in order, which print as text, parse back, and apply to kernels.

>>> matmul = (
...     tracejit.Schedule()
...     .split("j", 16, "panel", "column")
...     .interchange("k", "column")
...     .vectorize("column", 8)
... )
>>> print(matmul)
split('j', 16, 'panel', 'column')
interchange('k', 'column')
vectorize('column', 8)
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from ...errors import IRError
from ...ir.graph import Function, Kernel, Module, map_kernels
from ...ir.syntax import AST_LOCK
from ...ir.tensor import Apply, expressions_of, parts, statements
from ...ir.term import location_of, postorder
from ...ir.verify_kernel import verify_kernel
from ..tensor.loops import origin_of
from .steps import STEPS, settled


class Step(NamedTuple):
    """A step by name, with what it is told."""

    name: str
    arguments: tuple

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.arguments))})"


class Schedule(tuple):
    """Steps in order; a method for each step gives the schedule with that step at its end.

    Called with a Kernel it gives the scheduled one, or raises IRError naming the step that the
    kernel's dependences do not allow.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """The schedule that a text is, one step a line. Raises IRError, with the line, for others."""
        try:
            with AST_LOCK:
                lines = ast.parse(text).body
        except SyntaxError as error:
            raise IRError(f"line {error.lineno}: {error.msg}") from error
        found = cls()
        for line in lines:
            match line:
                case ast.Expr(ast.Call(ast.Name(name), arguments, keywords)):
                    try:
                        given = [ast.literal_eval(argument) for argument in arguments]
                        named = {k.arg: ast.literal_eval(k.value) for k in keywords if k.arg}
                        found = found.then(name, *given, **named)
                    except (ValueError, TypeError, IRError) as error:
                        raise IRError(f"line {line.lineno}: {error}") from error
                case _:
                    raise IRError(f"line {line.lineno}: not a step: {ast.unparse(line)}")
        return found

    def then(self, name: str, *arguments: Any, **named: Any) -> Schedule:
        """The schedule with one more step."""
        if name not in STEPS:
            raise IRError(f"there is no step {name!r}; there are {', '.join(STEPS)}")
        bound = inspect.signature(STEPS[name]).bind(None, *arguments, **named)
        return Schedule([*self, Step(name, bound.args[1:])])

    def __getattr__(self, name: str) -> Callable[..., Schedule]:
        if name not in STEPS:
            raise AttributeError(f"there is no step {name!r}; there are {', '.join(STEPS)}")
        return lambda *arguments, **named: self.then(name, *arguments, **named)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *STEPS]

    def __add__(self, other: Any) -> Schedule:
        return Schedule([*self, *other])

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    __repr__ = __str__

    def __call__(self, kernel: Kernel) -> Kernel:
        """The kernel after all steps."""
        for number, step in enumerate(self, 1):
            try:
                kernel = STEPS[step.name](kernel, *step.arguments)
                verify_kernel(kernel)
            except IRError as error:
                message = f"step {number}, {step}: {error.message}"
                raise IRError(message, error.location, error.hint) from error
        return settled(kernel)

    def on(self, *, kernel: str = "", op: str = "", line: str = "") -> Callable[[Module], Module]:
        """A pass that schedules the kernels of a name, that compute an op, or from a source line.

        It belongs directly after `to_loops`, or `plain_loops` in its place, in a pipeline. A line is told as errors tell it: `model.py:12`.
        Raises IRError where a Module has no such kernel.
        """
        if not (kernel or op or line):
            raise TypeError("say which kernels: kernel=, op= or line=")

        def is_meant(found: Kernel) -> bool:
            origin = origin_of(found)
            nodes = origin.nodes if origin is not None else []
            return (
                kernel in ("", found.name)
                and (not op or any(node.op.name == op for node in nodes) or _computes(found, op))
                and (not line or any((location_of(node) or "").endswith(line) for node in nodes))
            )

        def schedule(module: Module) -> Module:
            meant = [f for f in module.functions if isinstance(f, Kernel) and is_meant(f)]
            if not meant:
                names = [f.name for f in module.functions if not isinstance(f, Function)]
                wanted = ", ".join(word for word in (kernel, op, line) if word)
                raise IRError(f"no kernel is {wanted}; there are {', '.join(names) or 'none yet'}")
            if isinstance(module.entry, Kernel):
                return Module(self(module.entry)) if meant == [module.entry] else module
            return map_kernels(module, lambda found: self(found) if found in meant else found)

        return schedule


def _computes(kernel: Kernel, op: str) -> bool:
    roots = [e for statement in statements(kernel.body) for e in expressions_of(statement)]
    return any(isinstance(e, Apply) and e.op == op for e in postorder(roots, parts))
