"""Text as programs: `parse` reads what `show` writes."""

from __future__ import annotations

import ast
from typing import Any, NoReturn

from ..errors import IRError, TracejitError
from . import tensor
from .dims import Dim, symbol
from .graph import Function, Module, Node, item, parameter
from .op import OPS
from .syntax import AST_LOCK, INDEX_WORD, LOOP_MARKS, OPERATORS, hosted, scalar_dtype
from .tensor import Buffer, Expression, Index, Kernel, Literal, Load, Statement, Variable
from .types import ArrayType, DType, Layout, TupleType, bool_, dtype_named, f64, i64

_BARE = {float: f64, int: i64, bool: bool_}


def parse(text: str) -> Module:
    """The Module whose entry is the last function of `text`.

    Raises IRError, with the line, where the text is not a program.
    """
    try:
        with AST_LOCK:
            tree = ast.parse(text)
    except SyntaxError as error:
        raise IRError(f"line {error.lineno}: {error.msg}") from error
    functions: dict[str, Function | Kernel] = {}
    unknowns: dict[str, Dim] = {}
    for definition in tree.body:
        match definition:
            case ast.Assign([ast.Name(name)], ast.Call(ast.Name("bounded"), bounds, [])):
                limits = [_Reader({}, unknowns).value(bound) for bound in bounds]
                unknowns[name] = symbol(name, *limits)
                continue
        if not isinstance(definition, ast.FunctionDef):
            _refuse(definition, "only functions, and bounds of unknowns, stand at the top")
        is_kernel, name = _decorators(definition)
        reader = _KernelReader if is_kernel else _FunctionReader
        functions[definition.name] = reader(functions, unknowns).read(definition, name)
    if not functions:
        raise IRError("the text has no function")
    return Module(list(functions.values())[-1])


def read_type(annotation: ast.expr, unknowns: dict[str, Dim] | None = None) -> ArrayType:
    """The type an annotation of the text stands for; `unknowns` are those with bounds."""
    return _Reader({}, unknowns or {}).type(_unwrap(annotation, "")[0])


def _refuse(at: ast.AST, problem: str) -> NoReturn:
    shown = ast.unparse(at).split("\n")[0]
    raise IRError(f"line {getattr(at, 'lineno', '?')}: {problem}: {shown}")


def _decorators(definition: ast.FunctionDef) -> tuple[bool, str]:
    is_kernel, name = False, definition.name
    for decorator in definition.decorator_list:
        match decorator:
            case ast.Name("kernel"):
                is_kernel = True
            case ast.Call(ast.Name("named"), [ast.Constant(str() as name)], []):
                pass
            case _:
                _refuse(decorator, "unknown decorator")
    return is_kernel, name


def _unwrap(expression: ast.expr, name: str) -> tuple[ast.expr, str]:
    """What `named(...)` stands around, and the name it gives."""
    match expression:
        case ast.Call(ast.Name("named"), [ast.Constant(str() as given), inner], []):
            return inner, given
    return expression, name


class _Reader:
    """Attributes, extents and types: Python values, in any kind of function."""

    def __init__(self, functions: dict[str, Function | Kernel], unknowns: dict[str, Dim]):
        self.functions, self.unknowns = functions, unknowns

    def value(self, e: ast.expr) -> Any:
        match e:
            case ast.Constant(value):
                return value
            case ast.Tuple(items):
                return tuple([self.value(item) for item in items])
            case ast.Name(name):
                return self.word(name)
            case ast.UnaryOp(ast.USub(), operand):
                return -self.value(operand)
            case ast.BinOp(left, ast.MatMult(), right):
                return self.value(left) @ self.value(right)
            case ast.BinOp(left, sign, right):
                a, b = self.value(left), self.value(right)
                match sign:
                    case ast.Add():
                        return a + b
                    case ast.Sub():
                        return a - b
                    case ast.Mult():
                        return a * b
                    case ast.FloorDiv():
                        return a // b
            case ast.Subscript(ast.Name(name), shape) if dtype_named(name):
                return dtype_named(name)[self.value(shape)]
            case ast.Call(ast.Name(name), arguments, []):
                return self.built(e, name, [self.value(argument) for argument in arguments])
        _refuse(e, "not an attribute")

    def word(self, name: str) -> Any:
        if name in ("inf", "nan"):
            return float(name)
        if name in self.functions:
            return self.functions[name]
        return self.unknowns.get(name) or dtype_named(name) or OPS.get(name) or symbol(name)

    def built(self, e: ast.expr, name: str, arguments: list[Any]) -> Any:
        if name == "strides":
            return Layout(tuple(arguments))
        if name == "tuple_type":
            return TupleType(tuple(arguments))
        if name == "c128":
            return complex(*arguments)
        if name == "host" and hosted(arguments[0]) is not None:
            return hosted(arguments[0])
        _refuse(e, "not an attribute")

    def type(self, e: ast.expr) -> ArrayType:
        found = self.value(e)
        return found if isinstance(found, ArrayType) else _refuse(e, "not a type")

    def annotated(self, argument: ast.arg) -> tuple[str, ArrayType, str]:
        """A parameter's name, its type, and how it is marked: "updated", "constant" or not at all."""
        if argument.annotation is None:
            _refuse(argument, "a parameter needs a type")
        inner, name = _unwrap(argument.annotation, argument.arg)
        match inner:
            case ast.Call(ast.Name("updated" | "constant" as mark), [type], []):
                return name, self.type(type), mark
        return name, self.type(inner), ""


class _FunctionReader(_Reader):
    """Reads a graph function."""

    def read(self, definition: ast.FunctionDef, name: str) -> Function:
        self.nodes: dict[str, Node] = {}
        for argument in definition.args.args:
            given, type, mark = self.annotated(argument)
            self.nodes[argument.arg] = parameter(given, type, mark == "updated", mark == "constant")
        parameters = tuple(self.nodes.values())
        for statement in definition.body:
            match statement:
                case ast.Assign([ast.Name(target)], value):
                    self.nodes[target] = self.node(value)
                case ast.Assign([ast.Tuple(targets)], value):
                    node = self.node(value)
                    for position, target in enumerate(targets):
                        if target.id != "_":
                            self.nodes[target.id] = item(node, index=position)
                case ast.Return(ast.Tuple(results)):
                    return Function(name, parameters, tuple([self.operand(r) for r in results]))
                case ast.Return(ast.Name() as result):
                    return Function(name, parameters, (self.operand(result),))
                case ast.Pass():
                    pass
                case _:
                    _refuse(statement, "not a line of a graph function")
        _refuse(definition, "a graph function ends by returning")

    def node(self, e: ast.expr) -> Node:
        match e:
            case ast.Call(ast.Name(name), operands, keywords) if name in OPS:
                attrs = {k.arg: self.value(k.value) for k in keywords if k.arg}
                found = tuple([self.operand(operand) for operand in operands])
                try:
                    return Node.apply(OPS[name], found, attrs)
                except TracejitError as error:
                    _refuse(e, str(error))
        _refuse(e, "not an op")

    def operand(self, e: ast.expr) -> Node:
        match e:
            case ast.Name(name) if name in self.nodes:
                return self.nodes[name]
            case ast.Call():
                return self.node(e)
        _refuse(e, "not a value")


class _KernelReader(_Reader):
    """Reads a kernel; `scope` holds what names stand for at the current line."""

    scope: dict[str, Any]

    def read(self, definition: ast.FunctionDef, name: str) -> Kernel:
        self.scope = {}
        for argument in (*definition.args.args, *definition.args.kwonlyargs):
            given, type, mark = self.annotated(argument)
            space = tensor.UPDATED if mark == "updated" else tensor.ARGUMENT
            self.scope[argument.arg] = Buffer(given, type, space)
        parameters = tuple(self.scope.values())
        results = len(definition.args.kwonlyargs)
        return Kernel(name, parameters, results, self.body(definition.body))

    def body(self, lines: list[ast.stmt]) -> tuple[Statement, ...]:
        outer = dict(self.scope)
        found = []
        for line in lines:
            try:
                found.extend(self.statement(line))
            except (TracejitError, RecursionError):
                raise
            except (TypeError, ValueError) as error:
                _refuse(line, str(error))
        self.scope = outer
        return tuple(found)

    def statement(self, line: ast.stmt) -> list[Statement]:
        """The statement of a line; none for a line that only names an expression."""
        match line:
            case ast.For(ast.Name(name), ast.Call() as iterator, body, []):
                return [self.loop(name, iterator, body)]
            case ast.For(ast.Name(name), iterator, body, []):
                _refuse(line, "not a loop")
            case ast.If(condition, [ast.Break()], []):
                return [tensor.Break(self.expression(condition))]
            case ast.If(condition, then, orelse):
                chosen = self.expression(condition)
                return [tensor.If(chosen, self.body(then), self.body(orelse))]
            case ast.AnnAssign(ast.Name(name), annotation, ast.expr() as value):
                return [self.declaration(name, annotation, value)]
            case ast.AugAssign(target, sign, value) if type(sign) in OPERATORS:
                op = OPERATORS[type(sign)]
                return [tensor.Accumulate(self.place(target), op, self.expression(value))]
            case ast.Assign(
                [target], ast.Call(ast.Name("accumulate"), [ast.Name(op), _, value], [])
            ):
                return [tensor.Accumulate(self.place(target), op, self.expression(value))]
            case ast.Assign([ast.Subscript() as target], value):
                load = self.place(target)
                return [tensor.Store(load.buffer, load.indices, self.expression(value))]
            case ast.Assign([ast.Name(name)], value):
                found = self.expression(value)
                if isinstance(self.scope.get(name), Variable):
                    return [tensor.Assign(self.scope[name], found)]
                self.scope[name] = found
                return []
            case ast.Expr(ast.Call(ast.Name("extern"), [symbol, *given], [])):
                arguments = tuple([self.argument(e) for e in given])
                return [tensor.Extern(self.value(symbol), arguments)]
            case ast.Expr(ast.Call(ast.Name(name), arguments, keywords)):
                kernel = self.functions.get(name)
                if kernel is None:
                    _refuse(line, "no kernel or function above is called so")
                given = [*arguments, *[keyword.value for keyword in keywords]]
                return [tensor.Call(kernel, tuple([self.buffer(e) for e in given]))]
            case ast.Pass():
                return []
        _refuse(line, "not a line of a kernel")

    def loop(self, shown: str, iterator: ast.expr, body: list[ast.stmt]) -> tensor.For:
        iterator, name = _unwrap(iterator, shown)
        match iterator:
            case ast.Call(ast.Name(word), [start, stop, *lanes], keywords):
                given = [*lanes, *[k.value for k in keywords if k.arg == "lanes"]]
                count = self.value(given[0]) if given else 1
                bounds = self.expression(start), self.expression(stop)
                outer, index = dict(self.scope), Index(name)
                self.scope[shown] = index
                inside = self.body(body)
                self.scope = outer
                return tensor.For(index, *bounds, inside, LOOP_MARKS.get(word, word), count)
        _refuse(iterator, "not a loop")

    def declaration(self, shown: str, annotation: ast.expr, value: ast.expr) -> Statement:
        annotation, name = _unwrap(annotation, shown)
        match value:
            case ast.Call(ast.Name("local" | "kept" | "register" as space), [], []):
                self.scope[shown] = Buffer(name, self.type(annotation), space)
                return tensor.Allocate(self.scope[shown])
        found = self.expression(value)
        match annotation:
            case ast.Name(word) if word == INDEX_WORD:
                self.scope[shown] = Index(name)
            case _:
                dtype = self.value(annotation)
                if not isinstance(dtype, DType):
                    _refuse(annotation, "not a dtype")
                self.scope[shown] = Variable(name, dtype)
        return tensor.Let(self.scope[shown], found)

    def place(self, e: ast.expr) -> Any:
        match e:
            case ast.Subscript(ast.Name() as name, ast.Tuple(indices)):
                return Load(self.buffer(name), tuple([self.expression(i) for i in indices]))
            case ast.Subscript(ast.Name() as name, index):
                return Load(self.buffer(name), (self.expression(index),))
            case ast.Name(name) if isinstance(self.scope.get(name), Variable):
                return self.scope[name]
        _refuse(e, "not a place to write")

    def argument(self, e: ast.expr) -> Expression | tensor.Address:
        """Of a foreign function: an expression, or memory from an element on."""
        match e:
            case ast.Subscript(ast.Name() as name, ast.Constant(value)) if value is ...:
                return tensor.Address(self.buffer(name), ())
            case ast.Subscript(ast.Name() as name, ast.Slice() as only):
                return tensor.Address(self.buffer(name), (self.expression(only.lower),))
            case ast.Subscript(ast.Name() as name, ast.Tuple([ast.Slice(), *_] as slices)):
                indices = tuple([self.expression(part.lower) for part in slices])
                return tensor.Address(self.buffer(name), indices)
        return self.expression(e)

    def buffer(self, e: ast.expr) -> Buffer:
        if isinstance(e, ast.Name) and isinstance(self.scope.get(e.id), Buffer):
            return self.scope[e.id]
        _refuse(e, "not a buffer")

    def expression(self, e: ast.expr) -> Expression:
        match e:
            case ast.Constant() | ast.UnaryOp(ast.USub(), ast.Constant() | ast.Name("inf")):
                value = self.value(e)
                if type(value) in _BARE:
                    return Literal(value, _BARE[type(value)])
            case ast.Name(name):
                found = self.scope.get(name)
                if found is None:
                    return Literal(float(name), f64) if name in ("inf", "nan") else Index(name)
                if isinstance(found, Expression):
                    return found
            case ast.Subscript(ast.Call(ast.Name(name), [ast.Tuple() as data], []), index):
                return tensor.Table(self.value(data), self.expression(index), dtype_named(name))
            case ast.Subscript():
                return self.place(e)
            case ast.UnaryOp(sign, operand) if type(sign) in OPERATORS:
                return self.apply(e, OPERATORS[type(sign)], [operand])
            case ast.BinOp(left, sign, right) if type(sign) in OPERATORS:
                return self.apply(e, OPERATORS[type(sign)], [left, right])
            case ast.Compare(left, [sign], [right]) if type(sign) in OPERATORS:
                return self.apply(e, OPERATORS[type(sign)], [left, right])
            case ast.Call(ast.Name(name), [*arguments], []) if dtype_named(name):
                if all(map(_is_number, arguments)):
                    numbers = [self.value(argument) for argument in arguments]
                    value = complex(*numbers) if len(numbers) == 2 else numbers[0]
                    return Literal(value, dtype_named(name))
                return tensor.Apply("cast", (self.expression(*arguments),), dtype_named(name))
            case ast.Call(ast.Name(name), operands, []):
                return self.apply(e, name, operands)
            case ast.Call(ast.Name(name), operands, [ast.keyword("dtype", dtype)]):
                return self.apply(e, name, operands, self.value(dtype))
        _refuse(e, "not an expression")

    def apply(
        self, e: ast.expr, op: str, operands: list[ast.expr], dtype: DType | None = None
    ) -> Expression:
        found = tuple([self.expression(operand) for operand in operands])
        dtype = dtype or scalar_dtype(op, tuple([operand.dtype for operand in found]))
        if dtype is None:
            listed = ", ".join(str(operand.dtype) for operand in found)
            _refuse(e, f"{op}({listed}) has no rule; say its dtype")
        return tensor.Apply(op, found, dtype)


def _is_number(e: ast.expr) -> bool:
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
        e = e.operand
    return isinstance(e, ast.Constant) or (isinstance(e, ast.Name) and e.id in ("inf", "nan"))
