"""What TRACEJIT_DEBUG and TRACEJIT_DUMP show while programs are compiled."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .config import config
from .deferred import module
from .ir.graph import Module
from .ir.text import diff, show
from .ir.verify import Stage

_numbers = itertools.count(1)


def say(level: int, text: Callable[[], str]) -> None:
    """Print to standard error when TRACEJIT_DEBUG is at least `level`."""
    if config.debug >= level:
        print(text(), file=sys.stderr)


def watch_passes() -> tuple[Callable[[Any, Module, Module], None], ...]:
    """At TRACEJIT_DEBUG=6: what each pass changed, as a diff."""
    return (_show_change,) if config.debug >= 6 else ()


def _show_change(step: Any, before: Module, after: Module) -> None:
    if before is after:
        return
    names = f"before {step.__name__}", f"after {step.__name__}"
    print(diff(before, after, names), file=sys.stderr)


def show_kernels(stages: dict[Stage, Module], options: Any) -> None:
    """At TRACEJIT_DEBUG=2 what each kernel does, at 3 its loops."""
    say(2, lambda: _explained(stages, options))
    say(3, lambda: show(stages[Stage.SCHEDULED]))


def _explained(stages: dict[Stage, Module], options: Any) -> str:
    data = module("tracejit.report.explain").describe(stages, options)
    return module("tracejit.report.text").as_text(data)


def show_code(name: str, llvm_ir: str, assembly: Callable[[], str]) -> None:
    """At TRACEJIT_DEBUG=4 the LLVM IR, at 5 the assembly; with TRACEJIT_DUMP both as files."""
    say(4, lambda: llvm_ir)
    say(5, assembly)
    if config.dump:
        dump(name, ".ll", llvm_ir)
        dump(name, ".s", assembly())


def dump(name: str, suffix: str, text: str) -> None:
    """Write `text` to a new file in the directory of TRACEJIT_DUMP, if that is set."""
    if config.dump:
        folder = Path(config.dump)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{next(_numbers):04d}_{name}{suffix}").write_text(text)


def dump_module(stage: str, module: Module) -> None:
    if config.dump:
        dump(f"{module.entry.name}_{stage}", ".py", show(module))
