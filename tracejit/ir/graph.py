"""The graph IR: Nodes apply ops to Nodes; Functions name them; a Module is what an entry reaches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import wraps
from operator import attrgetter
from typing import Any

from ..errors import IRError, NotNumbers, TracejitError
from .dims import Extent, plain
from .op import CONTROL, CREATION, MOVEMENT, OPS, UPDATE, Op, _default_apply, define
from .tensor import ARGUMENT, UPDATED, Buffer, Kernel, change_kernels
from .term import Term, from_same_place, postorder, rebuild, substituted, terms_in
from .types import ArrayType, TupleType, contiguous, f32


def _check_moves(op: Op, types: list, type: Any, attrs: dict[str, Any]) -> None:
    """Refuse to compute with what is stored only."""
    stores = op.kind == UPDATE and not attrs.get("combine")
    if stores or op.kind in (MOVEMENT, CONTROL, CREATION) or op.name in ("cast", "where"):
        return
    listed = ", ".join(map(str, types))
    raise NotNumbers(
        f"{op.name}({listed}) is of {type}, numbers that are stored and converted only",
        hint="compute with x.astype(np.float32)",
    )


class Node(Term):
    """`op(*operands, **attrs)`; its type is computed by the op's rule when it is made."""

    __slots__ = ("op", "operands", "attributes", "type")
    op: Op
    operands: tuple[Node, ...]
    attributes: tuple[tuple[str, Any], ...]

    def check(self) -> None:
        types = [operand.type for operand in self.operands]
        try:
            type = self.op.type_rule(*types, **self.attrs)
        except TracejitError:
            raise
        except (AssertionError, TypeError, ValueError, IndexError, KeyError) as error:
            attrs = "".join(f", {k}={v!r}" for k, v in self.attributes)
            listed = ", ".join(map(str, types))
            raise IRError(f"{self.op.name}({listed}{attrs}): {error}") from error
        if any([getattr(t, "dtype", f32).is_stored_only for t in (*types, type)]):
            _check_moves(self.op, types, type, self.attrs)
        object.__setattr__(self, "type", type)

    @staticmethod
    def apply(op: Op, operands: tuple, attrs: dict[str, Any]) -> Node:
        for key, value in attrs.items():
            if type(value) is tuple and any(type(item) is Extent for item in value):
                attrs[key] = tuple([plain(item) for item in value])
            elif type(value) is Extent:
                attrs[key] = plain(value)
        return Node(op, tuple(operands), tuple(sorted(attrs.items())))

    @property
    def attrs(self) -> dict[str, Any]:
        return dict(self.attributes)

    @property
    def shape(self) -> tuple:
        return self.type.shape

    @property
    def dtype(self) -> Any:
        return self.type.dtype

    def __repr__(self) -> str:
        return f"<{self.op.name}: {self.type}>"


_default_apply.append(Node.apply)


class Function(Term):
    """A graph program: parameters (nodes of op `parameter`), results, and a name for reading.

    Its first results are the values that its updated parameters have in the end, in their order.
    """

    __slots__ = ("_callees", "_nodes", "name", "parameters", "results")
    name: str
    parameters: tuple[Node, ...]
    results: tuple[Node, ...]

    @property
    def types(self) -> tuple[ArrayType, ...]:
        """The types of the results."""
        return tuple(result.type for result in self.results)

    @property
    def updated(self) -> tuple[Node, ...]:
        """The parameters whose memory is to hold a new value in the end."""
        return tuple([p for p in self.parameters if is_updated(p)])

    @property
    def signature(self) -> Kernel:
        """The parameters of the Kernel that a Function is for kernels that call it; without a body."""
        spaces = [UPDATED if is_updated(p) else ARGUMENT for p in self.parameters]
        inputs = [Buffer(p.attrs["name"], p.type, s) for p, s in zip(self.parameters, spaces)]
        fresh = self.types[len(self.updated) :]
        outs = [Buffer(f"out{k}", contiguous(t), ARGUMENT) for k, t in enumerate(fresh)]
        return Kernel(self.name, (*inputs, *outs), len(outs), ())

    @property
    def nodes(self) -> list[Node]:
        """Every node, operands first; parameters included even when unused."""
        try:
            return list(self._nodes)
        except AttributeError:  # not asked for yet
            nodes = postorder((*self.parameters, *self.results), operands_of)
            object.__setattr__(self, "_nodes", tuple(nodes))
            return nodes

    @property
    def callees(self) -> tuple[Function | Kernel, ...]:
        """The functions and kernels that are called directly, in order of first call."""
        try:
            return self._callees
        except AttributeError:
            values = [value for node in self.nodes for _, value in node.attributes]
            terms = [term for value in values for term in terms_in(value)]
            found = tuple(dict.fromkeys(t for t in terms if isinstance(t, Function | Kernel)))
            object.__setattr__(self, "_callees", found)
            return found

    def __repr__(self) -> str:
        listed = ", ".join(str(p.type) for p in self.parameters)
        return f"<Function {self.name}({listed})>"


class Module(Term):
    """A program: the entry and all that it reaches by calls, graph Functions and Kernels alike."""

    __slots__ = ("_functions", "entry")
    entry: Function | Kernel

    @property
    def functions(self) -> tuple[Function | Kernel, ...]:
        """Callees before callers; the entry is last."""
        try:
            return self._functions
        except AttributeError:  # not asked for yet
            functions = tuple(postorder((self.entry,), callees))
            object.__setattr__(self, "_functions", functions)
            return functions

    def __str__(self) -> str:
        return MODULE_TEXT[0](self)

    def __repr__(self) -> str:
        return f"<Module {self.entry!r}, {len(self.functions)} functions>"


# The printer of Modules; set by ir.text, which is above.
MODULE_TEXT: list[Callable[[Module], str]] = []


operands_of: Callable[[Node], tuple[Node, ...]] = attrgetter("operands")


def callees(function: Function | Kernel) -> list[Function | Kernel]:
    """The functions and kernels `function` calls directly, in order of first call."""
    return list(function.callees)


def rebuild_nodes(
    results: Iterable[Node], visit: Callable[[Node], Node], start: dict[Node, Node] | None = None
) -> tuple[Node, ...]:
    """Rebuild a graph bottom-up; `visit` sees each node with its operands already replaced.

    What takes a node's place is from the same line of the user's program. `start` maps nodes to replacements that are taken as they are.
    """
    new: dict[Node, Node] = dict(start or {})
    for node in postorder(results, lambda n: () if n in new else n.operands):
        if node not in new:
            operands = tuple([new[operand] for operand in node.operands])
            same = operands == node.operands
            made = visit(node if same else Node(node.op, operands, node.attributes))
            new[node] = from_same_place(made, node)
    return tuple(new[result] for result in results)


def substitute(results: Iterable[Node], replacement: dict[Node, Node]) -> tuple[Node, ...]:
    """Exchange nodes for others, all at once."""
    return rebuild_nodes(results, lambda node: node, replacement)


def programs_of(module: Module) -> set[Function | Kernel]:
    """The entry, and the bodies of control flow: the Functions that ops other than `call` run."""
    found: set[Function | Kernel] = {module.entry}
    for function in module.functions:
        if isinstance(function, Function) and function.callees:
            for node in function.nodes:
                if node.op is not call:
                    attached = [t for _, value in node.attributes for t in terms_in(value)]
                    found.update(t for t in attached if isinstance(t, Function))
    return found


def map_functions(
    module: Module,
    change: Callable[[Function], Any],
    chosen: Callable[[Function], bool] = lambda _: True,
) -> Module:
    """Apply `change` to every graph Function that is `chosen`, callees first, and rewire the calls."""
    done: dict[Term, Term] = {}

    def rewire(node: Node) -> Node:
        attributes = tuple([(key, substituted(value, done)) for key, value in node.attributes])
        return node if attributes == node.attributes else Node(node.op, node.operands, attributes)

    for function in module.functions:
        done[function] = function
        if isinstance(function, Function):
            new = function
            if any(done[callee] is not callee for callee in callees(function)):
                new = function.replace(results=rebuild_nodes(function.results, rewire))
            done[function] = change(new) if chosen(function) else new
    return Module(done[module.entry])


def map_module(module: Module, change: Callable[[Any], Any]) -> Module:
    """Apply `change` to every Function and Kernel, callees first, and rewire the calls."""
    done: dict[Term, Any] = {}

    def kernel(found: Kernel) -> Kernel:
        """A Kernel, and those it calls."""
        if found not in done:
            done[found] = change_kernels(found, change)
        return done[found]

    def rewire(node: Node) -> Node:
        attributes = tuple([(key, substituted(value, done)) for key, value in node.attributes])
        return node if attributes == node.attributes else Node(node.op, node.operands, attributes)

    for function in module.functions:
        if isinstance(function, Kernel):
            kernel(function)
        else:
            if any(done[callee] is not callee for callee in callees(function)):
                new = function.replace(results=rebuild_nodes(function.results, rewire))
            else:
                new = function
            done[function] = change(new)
    return Module(done[module.entry])


def map_programs(module: Module, change: Callable[[Function], Any]) -> Module:
    """Apply `change` to the entry and to the bodies of control flow, inner ones first."""
    return map_functions(module, change, programs_of(module).__contains__)


def each_program(change: Callable[..., Module]) -> Callable[..., Module]:
    """A pass that changes the entry, as one that changes the bodies of control flow in the same way."""

    @wraps(change)
    def changed(module: Module, *args: Any, **options: Any) -> Module:
        def one(function: Function) -> Any:
            return change(Module(function), *args, **options).entry

        return map_programs(module, one)

    return changed


def map_kernels(
    module: Module, change: Callable[[Kernel], Kernel], spared: Collection[Function] = ()
) -> Module:
    """Apply `change` to every Kernel the entry calls, or is, and those that bodies of control flow
    call which are not `spared`."""
    entry = module.entry
    if isinstance(entry, Kernel):
        return Module(change_kernels(entry, change))
    done: dict[Kernel, Kernel] = {}

    def visit(node: Node) -> Node:
        callee = node.attrs.get("callee") if node.op is call else None
        if not isinstance(callee, Kernel):
            return node
        if callee not in done:
            done[callee] = change_kernels(callee, change)
        return call(*node.operands, callee=done[callee])

    def program(function: Function) -> Function:
        return function.replace(results=rebuild_nodes(function.results, visit))

    return map_functions(module, program, programs_of(module).difference(spared).__contains__)


def _no_reference(*_: Any, **__: Any) -> Any:
    raise IRError("a parameter has no value of its own")


def _parameter_type(
    *, name: str, type: ArrayType, updated: bool = False, constant: bool = False
) -> ArrayType:
    return type


parameter_op = define(Op("parameter", CONTROL, _parameter_type, _no_reference, cost=0.0))


def parameter(name: str, type: ArrayType, updated: bool = False, constant: bool = False) -> Node:
    """The formal input `name`; within a Function, names are distinct.

    `updated`: the memory that is passed holds the matching result when the Function is done.
    `constant`: it is the same in all calls, and so are its elements.
    """
    marks = {"updated": updated, "constant": constant}
    return parameter_op(name=name, type=type, **{key: True for key, on in marks.items() if on})


def is_updated(parameter: Node) -> bool:
    """Whether a parameter is updated in place."""
    return "updated" in parameter.attrs


def is_constant(parameter: Node) -> bool:
    """Whether a parameter is the same array with the same elements in all calls."""
    return "constant" in parameter.attrs


def _call_type(*types: ArrayType, callee: Function | Kernel) -> ArrayType | TupleType:
    if isinstance(callee, Kernel):
        inputs, outputs = callee.inputs, callee.outputs
        wanted, results = [b.type for b in inputs], tuple(b.type for b in outputs)
    else:
        wanted, results = [p.type for p in callee.parameters], callee.types
    if [(t.shape, t.dtype) for t in types] != [(t.shape, t.dtype) for t in wanted]:
        raise TypeError(f"{callee.name} takes ({', '.join(map(str, wanted))})")
    return results[0] if len(results) == 1 else TupleType(results)


def _call_reference(*_: Any, **__: Any) -> Any:
    raise IRError("calls are made by the interpreter of the caller")


call = define(Op("call", CONTROL, _call_type, _call_reference))


def _item_type(source: TupleType, *, index: int) -> ArrayType:
    return source.items[index]


item = define(Op("item", CONTROL, _item_type, lambda source, *, index: source[index], cost=0.0))


def call_results(callee: Function | Kernel, *operands: Node) -> tuple[Node, ...]:
    """Call, and name each result."""
    node = call(*operands, callee=callee)
    if isinstance(node.type, TupleType):
        return tuple(item(node, index=i) for i in range(len(node.type.items)))
    return (node,)


__all__ = [
    "OPS",
    "Function",
    "Kernel",
    "Module",
    "Node",
    "call",
    "call_results",
    "callees",
    "each_program",
    "item",
    "map_functions",
    "map_kernels",
    "map_module",
    "map_programs",
    "operands_of",
    "parameter",
    "programs_of",
    "rebuild",
    "rebuild_nodes",
    "substitute",
]
