"""A pipeline as a value: passes in order, each with a name and the stage it leads to; edited by name.

A pass is a function `Module -> Module`. Those that need to know the machine, or the user's choices,
are bound to these when the pipeline runs, so a pipeline is edited before they are known:

    mine = tracejit.pipeline().insert_after("fold", my_pass).drop("squeeze")

A name that stands for several steps means all of them; what is inserted goes before the first, or
after the last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..ir.graph import Module
from ..ir.verify import Stage

Pass = Callable[[Module], Module]
Bind = Callable[[Any], Pass]


class Step:
    """A pass in a pipeline; called with a Module it runs, bound to `defaults`.

    `bind(options)` gives the function Module -> Module. Steps of the graph are for programs whose
    entry is a graph.
    """

    __slots__ = ("__name__", "bind", "defaults", "of_graph", "stage")

    def __init__(
        self,
        name: str,
        stage: Stage,
        bind: Bind,
        of_graph: bool = False,
        defaults: Any = None,
    ):
        self.__name__, self.stage, self.bind = name, stage, bind
        self.of_graph, self.defaults = of_graph, defaults

    @property
    def name(self) -> str:
        return self.__name__

    def __call__(self, module: Module) -> Module:
        return self.bind(self.defaults)(module)

    def at(self, stage: Stage) -> Step:
        """The same step on the way to another stage."""
        if stage is self.stage:
            return self
        return Step(self.name, stage, self.bind, self.of_graph, self.defaults)

    def __repr__(self) -> str:
        return f"<pass {self.name}, {self.stage.name}>"


def name_of(function: Any) -> str:
    """The name by which a pass is addressed: that of its function."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


class Pipeline(tuple):
    """Steps in order: a tuple, which is never changed; each edit gives another one."""

    __slots__ = ()

    @classmethod
    def of(cls, passes: Iterable[Any]) -> Pipeline:
        """Steps of any passes, in their order: none leads to an earlier stage than the one before."""
        if isinstance(passes, Pipeline):
            return passes
        stage, steps = Stage.TRACED, []
        for each in passes:
            if isinstance(each, Step) and each.stage.value > stage.value:
                stage = each.stage
            steps.append(_step(each, stage))
        return cls(steps)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple([step.name for step in self])

    @property
    def stages(self) -> dict[Stage, tuple[str, ...]]:
        """The names of the passes that lead to each stage."""
        return {s: tuple([step.name for step in self if step.stage is s]) for s in Stage}

    def insert_before(self, name: str, *passes: Pass) -> Pipeline:
        """The same with passes before the step of this name, in its stage."""
        place = self._places(name)[0]
        return self._inserted(place, passes, self[place].stage)

    def insert_after(self, name: str, *passes: Pass) -> Pipeline:
        """The same with passes after the step of this name, in its stage."""
        place = self._places(name)[-1]
        return self._inserted(place + 1, passes, self[place].stage)

    def prepend(self, *passes: Pass) -> Pipeline:
        """The same with passes before all others, on the program as it was traced."""
        return self._inserted(0, passes, Stage.TRACED)

    def append(self, *passes: Pass) -> Pipeline:
        """The same with passes after all others, on the program that becomes machine code."""
        return self._inserted(len(self), passes, self[-1].stage if self else Stage.TRACED)

    def replace(self, name: str, function: Pass) -> Pipeline:
        """The same with another pass in the place of the one of this name."""
        places = self._places(name)
        return Pipeline(
            [_step(function, s.stage) if k in places else s for k, s in enumerate(self)]
        )

    def drop(self, *names: str) -> Pipeline:
        """The same without the steps of these names."""
        places = {place for name in names for place in self._places(name)}
        return Pipeline([step for k, step in enumerate(self) if k not in places])

    def wrap(self, name: str, around: Callable[[Pass], Pass]) -> Pipeline:
        """The same with `around(pass)` in the place of the pass of this name; the name stays."""
        places = self._places(name)

        def wrapped(step: Step) -> Step:
            bind = lambda options: around(_named(step.bind(options), step.name))
            return Step(step.name, step.stage, bind, step.of_graph, step.defaults)

        return Pipeline([wrapped(s) if k in places else s for k, s in enumerate(self)])

    def _places(self, name: str) -> list[int]:
        found = [k for k, step in enumerate(self) if step.name == name]
        if not found:
            listed = ", ".join(dict.fromkeys(self.names))
            raise ValueError(f"the pipeline has no pass {name!r}; it has {listed}")
        return found

    def _inserted(self, place: int, passes: Iterable[Pass], stage: Stage) -> Pipeline:
        return Pipeline([*self[:place], *[_step(p, stage) for p in passes], *self[place:]])

    def __str__(self) -> str:
        return "\n".join(
            f"{stage.name:10}{' '.join(names)}" for stage, names in self.stages.items()
        )

    __repr__ = __str__


def _step(function: Any, stage: Stage) -> Step:
    if isinstance(function, Step):
        return function.at(stage)
    if not callable(function):
        raise TypeError(f"a pass is a function Module -> Module, not {function!r}")
    return Step(name_of(function), stage, lambda options: function)


def _named(function: Pass, name: str) -> Pass:
    """A bound pass under the name of its step."""
    if getattr(function, "__name__", None) == name:
        return function

    def bound(module: Module) -> Module:
        return function(module)

    bound.__name__ = name
    return bound
