"""The reference interpreter: the text of a Module, executed with NumPy.

The text is compiled as the Python it is, in a scope where ops are their NumPy references. Only
three things are rewritten first, because Python's scalars are not NumPy's: a kernel's literals
and loop indices become NumPy scalars, and `t: f64[n] = local()` learns the type it announces, and
what the unknowns in it are at the time.

limit: Python compiles at most 20 loops inside each other, so deeper kernels raise SyntaxError here.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from ..errors import IRError, ShapeError
from .dims import Dim, Quotient, Symbol, bind
from .foreign import foreign
from .graph import Function, Module
from .op import OPS, Op
from .parse import read_type
from .show import show
from .syntax import AST_LOCK, hosted, symbol_names
from .tensor import UPDATED, Kernel
from .types import DTYPES, ArrayType, DType, Layout, TupleType


def reference(module: Module, *arrays: Any, extents: Mapping[str, int] | None = None) -> Any:
    """What NumPy computes for `module`: an array of the exact dtype and shape, or a tuple of them.

    Nothing is changed in place: the new values of updated parameters are the first results. Works
    at every stage. Symbolic extents take their values from the arrays, or from `extents` where
    these do not have them. Raises ShapeError
    where the arrays do not fit the parameters, IRError where an op breaks its own type rule.
    """
    entry = module.entry
    run = _load(module)
    run.know(extents or {})
    with np.errstate(all="ignore"):
        results = run(*arrays)
    if isinstance(entry, Kernel):
        return results
    results = results if len(entry.results) != 1 else (results,)
    checked = tuple([_checked(value, type, run.dims) for value, type in zip(results, entry.types)])
    return checked[0] if len(checked) == 1 else checked


def _checked(value: Any, type: ArrayType, dims: dict[str, int]) -> np.ndarray:
    array = np.asarray(value)
    known = symbol_names(type) <= dims.keys()
    shape = tuple([bind(extent, dims) for extent in type.shape]) if known else array.shape
    if array.shape != shape or array.dtype != type.dtype.numpy:
        raise IRError(f"a result is {array.dtype}{list(array.shape)} where the type says {type}")
    return array


def _load(module: Module) -> _Routine:
    """Every function of the module as a callable; the entry's is returned."""
    text = show(module)
    with AST_LOCK:
        tree = ast.parse(text)
    dims: dict[str, int] = {}
    graph_scope = {**_SCOPE, **{name: op.reference for name, op in OPS.items()}}
    graph_scope |= {"call": lambda *operands, callee: callee(*operands)}
    graph_scope |= _control(lambda name, value: _bind(name, value, dims, graph_scope, kernel_scope))
    kernel_scope = {**_SCOPE, **{name: _scalar(op) for name, op in OPS.items()}}
    kernel_scope |= dict.fromkeys(("local", "kept", "register"), _unwritten)
    routine = None
    definitions = [line for line in tree.body if isinstance(line, ast.FunctionDef)]
    for function, definition in zip(module.functions, definitions):
        assert isinstance(definition, ast.FunctionDef)
        is_kernel = isinstance(function, Kernel)
        scope = kernel_scope if is_kernel else graph_scope
        body = _compile(definition, scope, is_kernel)
        kind = _KernelRoutine if is_kernel else _Routine
        routine = kind(function, body, dims, (graph_scope, kernel_scope))
        graph_scope[definition.name] = routine
        kernel_scope[definition.name] = routine.write
    assert routine is not None
    return routine


def _compile(definition: ast.FunctionDef, scope: dict[str, Any], is_kernel: bool) -> Callable:
    definition.decorator_list = []
    for argument in (*definition.args.args, *definition.args.kwonlyargs):
        argument.annotation = None
    definition = (_Scalars(scope) if is_kernel else _Binders()).visit(definition)
    module = ast.fix_missing_locations(ast.Module([definition], []))
    with AST_LOCK:
        code = compile(module, "<tracejit text>", "exec")
    exec(code, scope)
    return scope[definition.name]


def _bind(name: str, value: int, dims: dict, graph_scope: dict, kernel_scope: dict) -> None:
    """Let an unknown have a value, as long as it has no other one."""
    dims[name] = graph_scope[name] = int(value)
    kernel_scope[name] = np.int64(value)


def _control(bind: Callable[[str, int], None]) -> dict[str, Callable[..., Any]]:
    """The ops of control flow, run; `index` and `extents` are names of unknowns."""

    def tupled(results: Any) -> tuple:
        return results if type(results) is tuple else (results,)

    def single(results: Any) -> Any:
        return results[0] if len(results) == 1 else tuple(results)

    def for_loop(
        *operands: Any, index: str, start: int, stop: int, body: Any, carried: int, breaks: Any = 0
    ) -> Any:
        values, read = operands[:carried], operands[carried:]
        for position in range(start, stop):
            bind(index, position)
            values = tupled(body(*values, *read))
            if breaks and values[-1]:
                break
            values = values[:carried]
        return single(values[:carried])

    def while_loop(*operands: Any, condition: Any, body: Any, carried: int) -> Any:
        values, read = operands[:carried], operands[carried:]
        while condition(*values, *read):
            values = tupled(body(*values, *read))
        return single(values)

    def branch(choice: Any, *operands: Any, branches: tuple, usual: bool = False) -> Any:
        return branches[min(max(int(choice), 0), len(branches) - 1)](*operands)

    def scope(*operands: Any, extents: tuple[str, ...], body: Any, once: bool = False) -> Any:
        for name, value in zip(extents, operands):
            bind(name, int(value))
        return body(*operands[len(extents) :])

    return {"for_loop": for_loop, "while_loop": while_loop, "branch": branch, "scope": scope}


class _Binders(ast.NodeTransformer):
    """Makes the unknowns that an op binds their names."""

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        match node:
            case ast.keyword("index", ast.Name(name)):
                node.value = ast.Constant(name)
            case ast.keyword("extents", ast.Tuple(items)):
                node.value = ast.Tuple([ast.Constant(item.id) for item in items], ast.Load())
        return node


class _Scalars(ast.NodeTransformer):
    """Makes a kernel's literals NumPy scalars, computed once, and its allocations typed."""

    def __init__(self, scope: dict[str, Any]):
        self.scope = scope

    def hoist(self, value: Any) -> ast.expr:
        name = f"_literal_{len(self.scope)}"
        self.scope[name] = value
        return ast.Name(name, ast.Load())

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        kinds = {float: np.float64, int: np.int64, bool: np.bool_}
        kind = kinds.get(type(node.value))
        return node if kind is None else self.hoist(kind(node.value))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return self.visit_Constant(ast.Constant(-node.operand.value))
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Name) and node.func.id in DTYPES and not node.keywords:
            try:
                values = [_literal_value(argument) for argument in node.args]
            except ValueError:
                return self.generic_visit(node)
            return self.hoist(DTYPES[node.func.id](*values))
        node.args = [self.visit(argument) for argument in node.args]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        match node.value:
            case ast.Call(ast.Name("local" | "kept" | "register"), [], []):
                type = read_type(node.annotation)
                names = [ast.Constant(name) for name in sorted(symbol_names(type))]
                known = ast.Dict(names, [ast.Name(name.value, ast.Load()) for name in names])
                value = ast.Call(node.value.func, [self.hoist(type), known], [])
            case _:
                value = self.visit(node.value)
        return ast.Assign([node.target], value)

    def visit_For(self, node: ast.For) -> ast.stmt:
        node.iter = self.visit(node.iter)
        node.body = [self.visit(line) for line in node.body]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        node.value = self.visit(node.value)
        if not (isinstance(node.slice, ast.Tuple) and not node.slice.elts):
            node.slice = self.visit(node.slice)
        return node


def _literal_value(node: ast.expr) -> Any:
    """The Python value of an expression made of literals alone; ValueError for any other."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name("inf" | "nan" as name):
            return float(name)
        case ast.UnaryOp(ast.USub(), operand):
            return -_literal_value(operand)
        case ast.Tuple(items):
            return tuple([_literal_value(item) for item in items])
        case ast.Call(ast.Name("c128"), [real, imaginary], []):
            return complex(_literal_value(real), _literal_value(imaginary))
    raise ValueError


class _Routine:
    """A graph function, executable: called with arrays it returns its results."""

    def __init__(
        self,
        function: Function | Kernel,
        body: Callable[..., Any],
        dims: dict[str, int],
        scopes: tuple[dict[str, Any], dict[str, Any]],
    ):
        self.function, self.body, self.dims, self.scopes = function, body, dims, scopes

    def know(self, extents: Mapping[str, int]) -> None:
        """Let unknowns have these values from here on."""
        for name, value in extents.items():
            _bind(name, value, self.dims, *self.scopes)

    def arguments(self, types: tuple[ArrayType, ...], arrays: tuple) -> list[np.ndarray]:
        """The arrays, checked against the types, whose unknown extents become known."""
        name = self.function.name
        if len(arrays) != len(types):
            raise ShapeError(f"{name} takes {len(types)} arrays, not {len(arrays)}")
        found = [np.asarray(a) for a in arrays]
        shapes = [array.shape for array in found]
        solved = solve_dims([type.shape for type in types], shapes)
        self.know(solved)
        for position, (array, type) in enumerate(zip(found, types)):
            known = symbol_names(type) <= self.dims.keys()
            shape = tuple([bind(n, self.dims) for n in type.shape]) if known else array.shape
            if array.dtype != type.dtype.numpy or array.shape != shape:
                given = f"{array.dtype}{list(array.shape)}"
                raise ShapeError(f"argument {position} of {name} is {given}, not {type}")
        return found

    def __call__(self, *arrays: Any) -> Any:
        types = tuple(p.type for p in self.function.parameters)
        return self.body(*self.arguments(types, arrays))

    def write(self, *inputs: Any, **outputs: Any) -> None:
        """Run on existing arrays, as a kernel runs it: on memory, whatever its shape is."""
        signature = self.function.signature
        given = [_view(a, b.type, self.dims) for a, b in zip(inputs, signature.inputs)]
        results = self(*given)
        results = results if isinstance(results, tuple) else (results,)
        updated = [a for a, b in zip(given, signature.inputs) if b.space == UPDATED]
        fresh = [_view(a, b.type, self.dims) for a, b in zip(outputs.values(), signature.fresh)]
        for target, result in zip((*updated, *fresh), results):
            target[...] = result


class _KernelRoutine(_Routine):
    """A kernel, executable: called with its inputs it returns its outputs, in memory of their own."""

    def write(self, *inputs: Any, **outputs: Any) -> None:
        """Run on existing arrays, as one kernel runs another: on memory, whatever its shape is."""
        types = tuple(b.type for b in self.function.parameters)
        given = [_view(a, t, self.dims) for a, t in zip((*inputs, *outputs.values()), types)]
        self.arguments(types, tuple(given))
        self.body(*given[: len(inputs)], **dict(zip(outputs, given[len(inputs) :])))

    def __call__(self, *arrays: Any) -> Any:
        kernel = self.function
        types = tuple(b.type for b in kernel.inputs)
        inputs = [
            _in_memory(np.copy(array) if buffer.space == UPDATED else array, buffer.type)
            for array, buffer in zip(self.arguments(types, arrays), kernel.inputs)
        ]
        fresh = [_unwritten(buffer.type, self.dims) for buffer in kernel.fresh]
        names = self.body.__code__.co_varnames[len(inputs) : len(inputs) + len(fresh)]
        self.body(*inputs, **dict(zip(names, fresh)))
        updated = [a for a, buffer in zip(inputs, kernel.inputs) if buffer.space == UPDATED]
        outputs = (*updated, *fresh)
        return outputs[0] if len(outputs) == 1 else outputs


def _view(array: Any, type: ArrayType, dims: dict[str, int]) -> Any:
    """The same memory in another shape of equal size."""
    if type.layout is None and symbol_names(type) <= dims.keys():
        shape = tuple([bind(extent, dims) for extent in type.shape])
        if np.shape(array) != shape and np.size(array) == math.prod(shape):
            return np.reshape(array, shape, copy=False)
    return array


def _in_memory(array: np.ndarray, type: ArrayType) -> np.ndarray:
    """The same values with the strides of the type, where these are positive, for `extern`."""
    if type.layout is None:
        return np.require(array, requirements="C")
    strides = tuple([step * array.itemsize for step in type.layout.strides])
    if array.strides == strides or min(strides, default=0) <= 0 or not array.size:
        return array
    reach = sum(step * (n - 1) for step, n in zip(type.layout.strides, array.shape))
    view = np.lib.stride_tricks.as_strided(np.zeros(1 + reach, array.dtype), array.shape, strides)
    view[...] = array
    return view


def _unwritten(type: ArrayType, dims: Mapping[str, int]) -> np.ndarray:
    """New memory, filled with something conspicuous so that reading it is noticed."""
    kind = type.dtype.kind
    filling = np.nan if kind in "fc" else True if kind == "b" else 85
    return np.full(tuple([bind(n, dims) for n in type.shape]), filling, type.dtype.numpy)


def solve_dims(shapes: list[tuple], actual: list[tuple[int, ...]]) -> dict[str, int]:
    """The values of the unknowns in `shapes` for which they are the `actual` ones.

    An extent tells an unknown when it is `c * n + d`, everything else in it known. Raises
    ShapeError when there is no solution in whole numbers; what no extent tells is left out.
    """
    pairs = [
        (extent, size)
        for shape, sizes in zip(shapes, actual)
        for extent, size in zip(shape, sizes)
        if isinstance(extent, Dim)
    ]
    known: dict[str, int] = {}
    while True:
        before = len(known)
        for extent, size in pairs:
            unknown = symbol_names(extent) - known.keys()
            if len(unknown) == 1:
                (name,) = unknown
                found = _solve(extent, size, name, known)
                if found is not None:
                    known[name] = found
        if len(known) == before:
            return known


def _solve(extent: Dim, size: int, name: str, known: dict[str, int]) -> int | None:
    """The value of `name` that makes `extent` come to `size`, where it appears linearly."""
    for _, atoms in extent.terms:
        own = [atom for atom in atoms if name in symbol_names(_as_dim(atom))]
        if own and not (len(own) == 1 and isinstance(own[0], Symbol)):
            return None
    at_zero = bind(extent, {**known, name: 0})
    slope = bind(extent, {**known, name: 1}) - at_zero
    if slope == 0:
        return None
    if (size - at_zero) % slope:
        raise ShapeError(f"no whole number {name} makes {extent} equal to {size}")
    return (size - at_zero) // slope


def _as_dim(atom: Symbol | Quotient) -> Dim:
    return Dim(((1, (atom,)),))


@cache
def _scalar(op: Op) -> Callable[..., Any]:
    """The op on NumPy scalars, giving one; `dtype` overrules the dtype of the result."""
    if op.name == "cast":
        return lambda operand, dtype: dtype(operand)

    def run(*operands: Any, dtype: DType | None = None) -> Any:
        result = np.asarray(op.reference(*operands))[()]
        return result if dtype is None else dtype(result)

    return run


def _indices(start: Any, stop: Any, *_: Any, **__: Any) -> Iterator[np.int64]:
    """A loop of any mark: its iterations in order."""
    return map(np.int64, range(int(start), int(stop)))


def _extern(symbol: Any, *arguments: Any) -> None:
    known = foreign(symbol)
    assert known is not None
    known.reference(*arguments)


def _accumulate(combine: Callable[..., Any], target: Any, value: Any) -> Any:
    return combine(target, value)


_SCOPE: dict[str, Any] = {
    **DTYPES,
    **dict.fromkeys(("range", "ordered", "vector", "parallel", "unroll", "apart"), _indices),
    "accumulate": _accumulate,
    "extern": _extern,
    "named": lambda name, value: value,
    "strides": lambda *strides: Layout(strides),
    "tuple_type": lambda *items: TupleType(items),
    "host": hosted,
    "inf": float("inf"),
    "nan": float("nan"),
}
