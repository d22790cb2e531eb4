"""An operator: a name, what its results are, and one or several ways to compute it.

In a program it is one node of its own name, until the pass `expand` puts what it is made of in its
place. A name never changes its meaning: who defines another operator of the same name, as in a
notebook, gets one that programs call `name_2`; programs that were traced before keep the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from ..errors import ShapeError, TraceError
from ..ir.graph import Node, item
from ..ir.op import OPAQUE, Composite, Op, define
from ..ir.syntax import is_reserved
from ..ir.types import ArrayType, TupleType
from ..registered import Applied
from ..trace.context import current_trace, failure, tracing
from ..trace.scipy_objects import is_traced
from .calls import Operand, Parameters, as_argument, to_operand
from .host import HostCall
from .implementation import (
    Application,
    Implementation,
    contiguous,
    to_types,
    type_of,
    unique_name,
)
from .makers import make, to_options
from .signature import Signature

Samples = Callable[[Any], Any]


class Operator(Applied):
    """A function of arrays that is one node in programs. Made by `op`."""

    def __init__(
        self,
        name: str,
        implementation: Implementation,
        type: Callable[..., Any] | Signature | None,
        reference: Callable[..., Any] | None,
        samples: Samples | None,
    ):
        self.name = unique_name(name, is_reserved)
        self._type, self._reference = type, reference
        self._implementations = {implementation.kind: implementation}
        self.parameters = implementation.parameters or Parameters.numbered(name, None)
        self._record = define(
            Op(
                self.name,
                OPAQUE,
                self._type_rule,
                self._run_record,
                Composite(self._expanded),
                samples=samples,
            )
        )
        self.__name__ = self.__qualname__ = name

    @property
    def implementations(self) -> MappingProxyType[str, Implementation]:
        """The ways to compute it, by name; the first is taken where no other is asked for."""
        return MappingProxyType(self._implementations)

    def implement(self, definition: Any = None, *, name: str = "", **options: Any) -> Any:
        """Another way to compute the same, with the options of `op`.

        Without a name it is called "generated", "foreign" or "python", by what it is. A call takes
        it where it is asked for: `by(name)`.
        """
        if definition is None:
            return lambda found: self.implement(found, name=name, **options)
        found = make(self.name, definition, to_options(**{"type": self._type, **options}))
        name = name or found.kind
        if name in self._implementations:
            raise TypeError(
                f"op {self.name} has an implementation {name!r} already; give this one a name of its own"
            )
        if isinstance(found, HostCall) and found.has_effects:
            found.alike = self._chosen("").types
        self._implementations[name] = found
        return self

    def by(self, implementation: str) -> Callable[..., Any]:
        """This operator, computed in this way wherever it is called so."""
        self._chosen(implementation)
        return Chosen(self, implementation)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call("", args, kwargs)

    def __repr__(self) -> str:
        return f"<op {self.name}: {', '.join(self._implementations)}>"

    def call(self, by: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Call with an implementation; "": the first. Within a trace it becomes a node."""
        chosen = self._chosen(by)
        if isinstance(chosen, HostCall) and chosen.has_effects:
            return chosen.call(args, kwargs)
        if current_trace() is None or not is_traced((args, kwargs)):
            return self.run(by, args, kwargs)
        given, attrs = self.parameters.split(args, kwargs)
        operands = [to_operand(value) for value in given]
        scalars = tuple([operand.scalar for operand in operands])
        scalars = scalars if any(scalars) else ()
        types = tuple([operand.node.type for operand in operands])
        call = _application(types, scalars, attrs)
        self._types(by, call)  # what the definition raises passes as it is
        marks = {**({"by": by} if by else {}), **({"scalars": scalars} if scalars else {})}
        nodes = self._applied(operands, {**attrs, **marks})
        return chosen.built(given, nodes, call)

    def run(self, by: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The results for NumPy's arrays."""
        with tracing(None):
            if not by and self._reference is not None:
                return self._reference(*args, **kwargs)
            return self._chosen(by).run(args, kwargs)

    def _applied(self, operands: list[Operand], attrs: dict[str, Any]) -> tuple[Node, ...]:
        """The node of a call, and that taken apart into its results."""
        node = self._record(*[operand.node for operand in operands], **attrs)
        trace = current_trace()
        if trace is not None:
            trace.locate(node)
        if isinstance(node.type, TupleType):
            return tuple([item(node, index=k) for k in range(len(node.type.items))])
        return (node,)

    def _chosen(self, by: str) -> Implementation:
        if not by:
            return next(iter(self._implementations.values()))
        found = self._implementations.get(by)
        if found is None:
            raise TypeError(
                f"op {self.name} has no implementation {by!r}; it has "
                f"{', '.join(map(repr, self._implementations))}"
            )
        return found

    # The record.

    def _types(self, by: str, call: Application) -> tuple[ArrayType, ...]:
        """The types of the results, for which all that say so must agree."""
        found = self._chosen(by).types(call)
        if self._type is not None:
            self._agree(found, self._declared(call, found), by, "its type rule says")
        elif by and self._chosen(by) is not self._chosen(""):
            own = self._chosen("").types(call)
            self._agree(found, own, by, f"{next(iter(self._implementations))!r} gives")
        return found

    def _declared(self, call: Application, found: tuple[ArrayType, ...]) -> tuple[ArrayType, ...]:
        """What `type` says; `found` tells the dtypes that a signature leaves open."""
        if isinstance(self._type, Signature):
            dtypes = [type.dtype for type in found]
            return self._type.types(call.types, dtypes, f"op {self.name}")
        args, kwargs = self.parameters.join(call.types, call.attrs)
        assert self._type is not None
        return to_types(self._type(*args, **kwargs), f"the type rule of op {self.name}")

    def _agree(
        self, found: tuple[ArrayType, ...], wanted: tuple[ArrayType, ...], by: str, who: str
    ) -> None:
        if found == wanted:
            return
        name = by or next(iter(self._implementations))
        shown, said = (", ".join(map(str, types)) for types in (found, wanted))
        is_shape = [t.dtype for t in found] == [t.dtype for t in wanted]
        raise failure(
            ShapeError if is_shape else TraceError,
            f"op {self.name}: its implementation {name!r} gives {shown}, and {who} {said}",
            "let the definition and its type agree",
        )

    def _type_rule(
        self, *types: ArrayType, by: str = "", scalars: tuple[str, ...] = (), **attrs: Any
    ) -> ArrayType | TupleType:
        found = self._types(by, _application(types, scalars, attrs))
        if not found:
            raise TypeError(f"op {self.name} has no results")
        return found[0] if len(found) == 1 else TupleType(found)

    def _expanded(
        self, *operands: Node, by: str = "", scalars: tuple[str, ...] = (), **attrs: Any
    ) -> tuple[Node, ...]:
        types = tuple([operand.type for operand in operands])
        return self._chosen(by).nodes(operands, _application(types, scalars, attrs))

    def _run_record(
        self, *arrays: Any, by: str = "", scalars: tuple[str, ...] = (), **attrs: Any
    ) -> Any:
        given = [as_argument(x, s) for x, s in zip(arrays, scalars or ("",) * len(arrays))]
        args, kwargs = self.parameters.join(given, attrs)
        types = tuple([type_of(array) for array in arrays])
        result = self.run(by, args, kwargs)
        return self._chosen(by).results_of(result, _application(types, scalars, attrs))


class Chosen(Applied):
    """An operator with the implementation that it is to be computed by."""

    def __init__(self, operator: Operator, by: str):
        self.operator, self._by = operator, by
        self.__name__ = self.__qualname__ = operator.__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.operator.call(self._by, args, kwargs)

    def __repr__(self) -> str:
        return f"<op {self.operator.name} by {self._by}>"


def _application(
    types: tuple[ArrayType, ...], scalars: tuple[str, ...], attrs: dict[str, Any]
) -> Application:
    types = tuple([contiguous(type) for type in types])
    return Application(types, scalars, tuple(sorted(attrs.items())))
