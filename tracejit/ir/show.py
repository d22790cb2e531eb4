"""Programs as text: `show` writes what `parse` reads back to the very same terms."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from . import tensor
from .dims import Dim, Symbol
from .graph import MODULE_TEXT, Function, Module, Node, callees
from .op import Op
from .syntax import (
    ATOM,
    AUGMENTED,
    INDEX_WORD,
    INFIX,
    LOOP_WORDS,
    PRECEDENCE,
    PREFIX,
    Names,
    host_name,
    scalar_dtype,
    symbol_names,
)
from .tensor import Buffer, Expression, For, Index, Kernel, Literal, Load, Statement, Variable
from .term import Term, location_of, postorder, terms_in
from .types import ArrayType, DType, Layout, TupleType, bool_, f64, i64

# An expression longer than this, or longer than the second number and used twice, gets a name.
LONG, REPEATED = 64, 16


def show(program: Module | Function | Kernel, notes: bool = False) -> str:
    """The text of a Module, or of one Function or Kernel alone.

    With `notes`, graph lines end in a comment: the type, and the place in the user's code.
    """
    if isinstance(program, Module):
        shown: tuple = program.functions
    else:
        shown = (program,)
    unknowns = bounded_unknowns(shown)
    taken = [unknown.name for unknown in unknowns]
    names = _function_names([*shown, *[callee for f in shown for callee in callees(f)]], taken)
    texts = [
        _kernel(f, names) if isinstance(f, Kernel) else _function(f, names, notes) for f in shown
    ]
    if unknowns:
        texts.insert(0, "\n".join(map(_bounds, unknowns)) + "\n")
    return "\n\n".join(texts)


def line_of(function: Function | Kernel, term: Term) -> str:
    """Which line of a function's own text, counted from 1, a node or a statement is; "" if none."""
    names = _function_names([function, *callees(function)])
    places: dict[Term, int] = {}
    if isinstance(function, Kernel):
        lines = _KernelText(function, names, places).lines()
    else:
        lines = _function(function, names, False, places).split("\n")
    if term not in places:
        return ""
    return f"line {places[term]} of {function.name}: {lines[places[term] - 1].strip()}"


def _show_module(module: Module) -> str:
    return show(module)


MODULE_TEXT[:] = [_show_module]


def bounded_unknowns(functions: Iterable[Function | Kernel]) -> list[Symbol]:
    """The unknowns with bounds of their own in these functions, after those that bound them."""
    types: dict[Term, None] = {}
    for function in functions:
        if isinstance(function, Function):
            for node in function.nodes:
                values = (node.type, *[value for _, value in node.attributes])
                types.update(dict.fromkeys(terms_in(values)))
        else:
            local = [s for s in tensor.statements(function.body) if isinstance(s, tensor.Allocate)]
            buffers = (*function.parameters, *[s.buffer for s in local])
            types.update(dict.fromkeys([buffer.type for buffer in buffers]))
    roots = [term for term in types if not isinstance(term, Function | Kernel)]
    found = [t for t in postorder(roots) if isinstance(t, Symbol) and t.depth]
    return sorted(found, key=lambda unknown: unknown.depth)


def _bounds(unknown: Symbol) -> str:
    """The line that says between what bounds an unknown is."""
    most = "" if unknown.most is None else f", {unknown.most}"
    return f"{unknown.name} = bounded({unknown.least}{most})"


def _function_names(
    functions: Iterable[Function | Kernel], taken: Iterable[str] = ()
) -> dict[Term, str]:
    names = Names(taken)
    return {f: names.pick(f.name) for f in dict.fromkeys(functions)}


def _named(text: str, shown: str, name: str) -> str:
    """What stands for `text` when the name it introduces could not be written as it is."""
    return text if shown == name else f"named({name!r}, {text})"


def _annotation(type: ArrayType, mark: str) -> str:
    """What stands behind a parameter's colon."""
    return f"{mark}({type})" if mark else str(type)


def _header(f: Function | Kernel, names: dict[Term, str], parameters: list[str]) -> list[str]:
    lines = [] if names[f] == f.name else [f"@named({f.name!r})"]
    return [*lines, f"def {names[f]}({', '.join(parameters)}):"]


def show_value(value: Any, names: dict[Term, str] | None = None) -> str:
    """An attribute as text that `parse` evaluates to the same value."""
    if type(value) is tuple:
        items = [show_value(item, names) for item in value]
        return f"({', '.join(items)}{',' * (len(items) == 1)})"
    if isinstance(value, bool | int | float | str | bytes) or value is None:
        return repr(value)
    if type(value) is complex:
        return f"c128({value.real!r}, {value.imag!r})"
    if isinstance(value, Dim | DType | ArrayType | Layout):
        return str(value)
    if isinstance(value, TupleType):
        return f"tuple_type({', '.join(map(str, value.items))})"
    if isinstance(value, Op):
        return value.name
    if names is not None and value in names:
        return names[value]
    return f"host({host_name(value)!r})"


# Graph functions.


def _function(
    f: Function, functions: dict[Term, str], notes: bool, places: dict[Term, int] | None = None
) -> str:
    """The text of a graph function; `places`, if given, learns the line of each node."""
    nodes = f.nodes
    names = Names(functions.values())
    for node in nodes:
        names.taken |= symbol_names((node.type, *[value for _, value in node.attributes]))
    shown: dict[Term, str] = dict(functions)
    parameters = []
    for p in f.parameters:
        shown[p] = names.pick(p.attrs["name"])
        mark = next((word for word in ("updated", "constant") if word in p.attrs), "")
        annotation = _annotation(p.type, mark)
        parameters.append(f"{shown[p]}: {_named(annotation, shown[p], p.attrs['name'])}")
    lines = _header(f, functions, parameters)
    unpacked = _unpacked(nodes, f.results)
    for node in nodes:
        if node in shown:
            continue
        if node in unpacked:
            items = [unpacked[node].get(i) for i in range(len(node.type.items))]
            shown.update({n: names.fresh("t") for n in items if n is not None})
            target = ", ".join("_" if n is None else shown[n] for n in items)
            target += "," * (len(items) == 1)
        else:
            target = shown[node] = names.fresh("t")
        arguments = [shown[operand] for operand in node.operands]
        arguments += [f"{key}={show_value(value, shown)}" for key, value in node.attributes]
        line = f"    {target} = {node.op.name}({', '.join(arguments)})"
        if places is not None:
            places[node] = len(lines) + 1
        lines.append(line + _note(node) if notes else line)
    results = ", ".join(shown[result] for result in f.results)
    lines.append(f"    return {results}" if f.results else "    return ()")
    return "\n".join(lines) + "\n"


def _unpacked(nodes: list[Node], results: tuple[Node, ...]) -> dict[Node, dict[int, Node]]:
    """The nodes of several results all of whose uses are `item`s; these become one line."""
    found: dict[Node, dict[int, Node]] = {}
    other: set[Node] = set(results)
    for node in nodes:
        if node.op.name == "item":
            found.setdefault(node.operands[0], {})[node.attrs["index"]] = node
        else:
            other.update(node.operands)
    return {node: items for node, items in found.items() if node not in other}


def _note(node: Node) -> str:
    location = location_of(node)
    return f"  # {node.type}" + (f"  {location}" if location else "")


# Kernels.


def show_statement(term: Statement | Expression) -> str:
    """One statement, or the first line of a loop, or an expression, for messages."""
    functions = {term.kernel: term.kernel.name} if isinstance(term, tensor.Call) else {}
    writer = _KernelText(Kernel("", (), 0, ()), functions)
    if isinstance(term, Expression):
        text, _ = writer.expressions((term,), {}, "")[term]
        return "; ".join([*writer.out, text])
    writer.body((tensor.map_bodies(term, lambda body: ()),), "")
    return "; ".join(line for line in writer.out if line.strip() != "pass")


def _kernel(kernel: Kernel, functions: dict[Term, str]) -> str:
    return "\n".join(_KernelText(kernel, functions).lines()) + "\n"


class _KernelText:
    """The state of writing one kernel: the names in scope, and the aliases that still hold.

    An alias `v0 = ...` stands for an expression that is long or used again. It is the expression,
    not a variable: the parser puts it back. So that the text also *runs* right, an alias is
    forgotten as soon as something it reads is written.
    """

    def __init__(
        self, kernel: Kernel, functions: dict[Term, str], places: dict[Term, int] | None = None
    ):
        self.kernel, self.functions, self.places = kernel, functions, places
        self.names = Names(functions.values())
        self.shown: dict[Term, str] = {}
        self.aliases: dict[Expression, str] = {}
        self.out: list[str] = []

    def lines(self) -> list[str]:
        kernel = self.kernel
        for index in _free_indices(kernel):
            self.shown[index] = index.name
            self.names.taken.add(index.name)
        parameters = []
        for position, buffer in enumerate(kernel.parameters):
            if position == len(kernel.inputs):
                parameters.append("*")
            name = self.declare(buffer, buffer.name)
            annotation = _annotation(buffer.type, buffer.space * (buffer.space == tensor.UPDATED))
            parameters.append(f"{name}: {_named(annotation, name, buffer.name)}")
        header = ["@kernel", *_header(kernel, self.functions, parameters)]
        self.body(kernel.body, "    ")
        if self.places is not None:
            for statement, line in self.places.items():
                self.places[statement] = line + len(header)
        return [*header, *self.out]

    def declare(self, term: Term, name: str) -> str:
        if term not in self.shown:
            self.shown[term] = self.names.pick(name)
        return self.shown[term]

    def name(self, term: Any) -> str:
        """The name of something used; what was never declared is shown all the same."""
        return self.declare(term, term.name)

    def body(self, body: tuple[Statement, ...], indent: str) -> None:
        shown, taken, aliases = dict(self.shown), set(self.names.taken), dict(self.aliases)
        uses = _uses(body)
        for statement in body:
            roots = tensor.expressions_of(statement)
            texts = self.expressions(roots, uses, indent)
            self.statement(statement, [texts[root] for root in roots], indent)
            self.forget(_written((statement,)))
        if not body:
            self.out.append(f"{indent}pass")
        self.shown, self.names.taken = shown, taken | {*self.aliases.values()}
        # One that was forgotten and found again inside is known inside alone.
        self.aliases = {e: v for e, v in self.aliases.items() if aliases.get(e) == v}

    def forget(self, written: set[Term]) -> None:
        if written:
            self.aliases = {e: v for e, v in self.aliases.items() if e.free.isdisjoint(written)}

    def statement(self, statement: Statement, texts: list[tuple[str, int]], indent: str) -> None:
        plain = [text for text, _ in texts]
        if self.places is not None:
            self.places.setdefault(statement, len(self.out) + 1)
        match statement:
            case For(index, _, _, body, mark, lanes):
                known = index in self.shown
                name = self.declare(index, index.name)
                extra = [str(lanes)] if mark == "vector" else [f"lanes={lanes}"] * (lanes != 1)
                iterator = f"{LOOP_WORDS.get(mark, mark)}({', '.join([*plain, *extra])})"
                line = f"{indent}for {name} in {_named(iterator, name, index.name)}:"
                self.out.append(line)
                self.forget(_written(body) | {index})
                self.body(body, indent + "    ")
                self.forget({index})
                if not known:
                    del self.shown[index]
                    self.names.taken.discard(name)
                return
            case tensor.If(_, then, orelse):
                self.out.append(f"{indent}if {plain[0]}:")
                self.body(then, indent + "    ")
                if orelse:
                    self.out.append(f"{indent}else:")
                    self.body(orelse, indent + "    ")
                return
            case tensor.Break():
                line = f"if {plain[0]}: break"
            case tensor.Let(variable, _):
                name = self.declare(variable, variable.name)
                kind = INDEX_WORD if isinstance(variable, Index) else str(variable.dtype)
                annotation = _named(kind, name, variable.name)
                line = f"{name}: {annotation} = {plain[0]}"
            case tensor.Assign(variable, _):
                line = f"{self.name(variable)} = {plain[0]}"
            case tensor.Accumulate(target, op, _):
                place = self.place(target, plain[:-1])
                if op in AUGMENTED:
                    line = f"{place} {INFIX[op]}= {plain[-1]}"
                else:
                    line = f"{place} = accumulate({op}, {place}, {plain[-1]})"
            case tensor.Store(buffer, _, _):
                line = f"{self.place(buffer, plain[:-1])} = {plain[-1]}"
            case tensor.Allocate(buffer):
                name = self.declare(buffer, buffer.name)
                line = f"{name}: {_named(str(buffer.type), name, buffer.name)} = {buffer.space}()"
            case tensor.Call(kernel, buffers):
                line = self.call(kernel, buffers)
            case tensor.Extern(symbol, arguments):
                given = self.arguments(arguments, plain)
                line = f"extern({', '.join([show_value(symbol), *given])})"
            case _:
                line = f"# {statement!r}"
        self.out.append(indent + line)

    def place(self, target: Buffer | Load | Variable, indices: list[str]) -> str:
        if isinstance(target, Variable):
            return self.name(target)
        buffer = target.buffer if isinstance(target, Load) else target
        return f"{self.name(buffer)}[{', '.join(indices) or '()'}]"

    def call(self, kernel: Kernel, buffers: tuple[Buffer, ...]) -> str:
        arguments = [self.name(buffer) for buffer in buffers]
        names, signature = Names(self.functions.values()), kernel.signature
        names.taken |= {index.name for index in _free_indices(signature)}
        formal = [names.pick(buffer.name) for buffer in signature.parameters]
        for position in range(len(signature.inputs), min(len(arguments), len(formal))):
            arguments[position] = f"{formal[position]}={arguments[position]}"
        return f"{self.functions[kernel]}({', '.join(arguments)})"

    def arguments(self, arguments: tuple, texts: list[str]) -> list[str]:
        """Of a foreign function, from the texts of all expressions in them."""
        found, rest = [], iter(texts)
        for argument in arguments:
            if isinstance(argument, tensor.Address):
                indices = ", ".join(f"{next(rest)}:" for _ in argument.indices)
                found.append(f"{self.name(argument.buffer)}[{indices or '...'}]")
            else:
                found.append(next(rest))
        return found

    def expressions(
        self, roots: tuple[Expression, ...], uses: dict[Expression, int], indent: str
    ) -> dict[Expression, tuple[str, int]]:
        """Text and precedence of each; emits an alias where one is worth its line."""
        texts: dict[Expression, tuple[str, int]] = {}

        def below(e: Expression) -> tuple[Expression, ...]:
            return () if e in self.aliases else tensor.parts(e)

        for e in postorder(roots, below):
            if e in self.aliases:
                texts[e] = self.aliases[e], ATOM
                continue
            text, precedence = self.expression(e, texts)
            used = uses.get(e, 0)
            limit = REPEATED if used > 1 else LONG if e not in roots else math.inf
            if len(text) > limit and tensor.parts(e):
                self.aliases[e] = name = self.names.fresh("v")
                self.out.append(f"{indent}{name} = {text}")
                text, precedence = name, ATOM
            texts[e] = text, precedence
        return texts

    def expression(
        self, e: Expression, texts: dict[Expression, tuple[str, int]]
    ) -> tuple[str, int]:
        match e:
            case Literal(value, dtype):
                return _literal(value, dtype)
            case Index() | Variable():
                return self.name(e), ATOM
            case Load(buffer, indices):
                return self.place(buffer, [texts[index][0] for index in indices]), ATOM
            case tensor.Table(data, index, dtype):
                return f"{dtype}({show_value(data)})[{texts[index][0]}]", ATOM
            case tensor.Apply(op, operands, dtype):
                return _apply(op, operands, dtype, [texts[operand] for operand in operands])
        return repr(e), ATOM


def _literal(value: Any, dtype: DType) -> tuple[str, int]:
    kind = type(value)
    if kind is complex:
        return f"{dtype}({value.real!r}, {value.imag!r})", ATOM
    text = repr(value)
    if (kind, dtype) in ((float, f64), (int, i64), (bool, bool_)):
        return text, PRECEDENCE["~"] if text.startswith("-") else ATOM
    return f"{dtype}({text})", ATOM


def _apply(op: str, operands: tuple, dtype: DType, texts: list[tuple[str, int]]) -> tuple[str, int]:
    arguments = ", ".join(text for text, _ in texts)
    if op == "cast":
        if isinstance(operands[0], Literal):
            return f"cast({arguments}, dtype={dtype})", ATOM
        return f"{dtype}({arguments})", ATOM
    if scalar_dtype(op, tuple([operand.dtype for operand in operands])) is not dtype:
        separator = ", " if arguments else ""
        return f"{op}({arguments}{separator}dtype={dtype})", ATOM
    if op in INFIX and len(texts) == 2:
        sign = INFIX[op]
        here = PRECEDENCE[sign]
        (left, a), (right, b) = texts
        left = f"({left})" if a < here or a == here == 1 else left
        right = f"({right})" if b <= here else right
        return f"{left} {sign} {right}", here
    if op in PREFIX and len(texts) == 1 and not isinstance(operands[0], Literal):
        text, precedence = texts[0]
        here = PRECEDENCE["~"]
        return PREFIX[op] + (f"({text})" if precedence < here else text), here
    return f"{op}({arguments})", ATOM


def _uses(body: tuple[Statement, ...]) -> dict[Expression, int]:
    roots = [root for statement in body for root in tensor.expressions_of(statement)]
    operands = [part for e in postorder(roots, tensor.parts) for part in tensor.parts(e)]
    return Counter([*roots, *operands])


def _written(body: Iterable[Statement]) -> set[Term]:
    """The variables and buffers the statements may change."""
    written: set[Term] = set()
    for statement in tensor.statements(body):
        match statement:
            case tensor.Let(term, _) | tensor.Assign(term, _):
                written.add(term)
            case tensor.Accumulate(target, _, _):
                written.add(target.buffer if isinstance(target, Load) else target)
            case tensor.Store(term, _, _) | tensor.Allocate(term):
                written.add(term)
            case tensor.Call(_, buffers):
                written.update(buffers)
            case tensor.Extern():
                written.update(address.buffer for address in statement.addresses)
            case For(index):
                written.add(index)
    return written


def _free_indices(kernel: Kernel) -> list[Index]:
    """The unknown extents a kernel's types and expressions mention, as the Indexes they are."""
    symbols = symbol_names(tuple(buffer.type for buffer in kernel.parameters))
    for statement in tensor.statements(kernel.body):
        if isinstance(statement, tensor.Allocate):
            symbols |= symbol_names(statement.buffer.type)
    return [Index(name) for name in sorted(symbols)]
