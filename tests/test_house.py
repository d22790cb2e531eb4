"""The shape of the house: imports point down, none hides in a function, every module says its idea."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tracejit"
# From the ground up; a module belongs to the longest prefix, and may import only what is lower,
# or what has its own prefix. Equal heights do not see each other.
LAYERS = {
    "collector": 0,
    "config": 0,
    "deferred": 0,
    "errors": 0,
    "events": 0,
    "interruption": 0,
    "registered": 0,
    "ir.host": 1,
    "ir.term": 1,
    "ir.types": 1,
    "ir.dims": 1,
    "ir.tensor": 2,
    "ir.expressions": 2,
    "ir.op": 2,
    "ir.graph": 2,
    "ir": 3,
    "ir.ops": 4,
    "trace": 5,
    "lower": 5,
    "runtime": 5,
    "report": 6,
    "operators": 6,
    "jit": 7,
    "numpy": 7,
    "nn": 8,
    "": 9,
    "command": 10,
    "testing": 10,
    "pytest_plugin": 11,
    "__main__": 11,
}
# Modules of one layer that may see each other: the ground floors are single ideas in several files.
SHARED = {0, 1, 2, 3}
DEPENDENCIES = {"numpy", "llvmlite"}
LATE = {("runtime.engine", "llvmlite")}
# What runtime may know of programs: types, never ops.
RUNTIME_SEES = {"ir.types", "ir.dims", "ir.term"}
LONG = 500

FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(path: Path) -> list[tuple[str, ast.stmt]]:
    """What a file imports: modules of the package by their name in it, others by full name."""
    name = module_of(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [("/" + alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".")
            if node.level == 0 and base[0] != PACKAGE.name:
                found.append(("/" + str(node.module), node))
                continue
            if node.level == 0:
                base = base[1:]
            else:
                parts = package.split(".") if package else []
                base = [part for part in parts[: len(parts) - node.level + 1] + base if part]
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                found.append((inner if inner in MODULES else ".".join(base), node))
    return found


def layer_of(module: str) -> tuple[int, str]:
    prefixes = [p for p in LAYERS if module == p or module.startswith(p + ".") or p == ""]
    longest = max(prefixes, key=len)
    if module and not longest:  # a module at the top is part of the flow
        longest = "jit"
    return LAYERS[longest], longest


def test_imports_point_down():
    for name, path in MODULES.items():
        here, prefix = layer_of(name)
        for target, node in imports_of(path):
            where = f"{name}:{node.lineno} imports {target}"
            if target.startswith("/"):
                top = target[1:].partition(".")[0]
                assert top in DEPENDENCIES or top in sys.stdlib_module_names, where
                continue
            there, other = layer_of(target)
            assert there < here or other == prefix or (there == here and here in SHARED), where
            if prefix == "runtime" and other != "runtime":
                assert here != there and (there == 0 or target in RUNTIME_SEES), where


def test_no_import_rings():
    below = {
        name: {
            t
            for t, _ in imports_of(path)
            if t in MODULES and t != name and MODULES[t].name != "__init__.py"
        }
        for name, path in MODULES.items()
    }
    remaining = dict(below)
    while remaining:
        free = [name for name, targets in remaining.items() if not targets & remaining.keys()]
        assert free, f"modules that import each other: {sorted(remaining)}"
        for name in free:
            del remaining[name]


def test_no_import_hides_in_a_function():
    for name, path in MODULES.items():
        for function in ast.walk(tree_of(path)):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                for node in ast.walk(function):
                    if isinstance(node, ast.Import | ast.ImportFrom):
                        names = {alias.name.partition(".")[0] for alias in node.names}
                        allowed = {(name, imported) for imported in names} <= LATE
                        assert allowed, f"{name}:{node.lineno} imports inside a function"


def test_every_module_opens_with_a_sentence():
    for name, path in MODULES.items():
        docstring = ast.get_docstring(tree_of(path))
        assert docstring, f"{name} has no docstring"
        first = docstring.split("\n\n")[0].strip()
        assert first[-1] in ".?!:", f"{name}: {first!r}"


def test_print_what_is_long(capsys):
    """No failure: long files may hold two ideas, and someone should look."""
    long = [(len(path.read_text().splitlines()), name) for name, path in MODULES.items()]
    with capsys.disabled():
        for count, name in sorted(long, reverse=True):
            if count > LONG:
                print(f"\n{name}: {count} lines", end="")
