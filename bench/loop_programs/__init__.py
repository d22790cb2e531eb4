"""Programs of Python loops and branches, as anyone would write them, and as experts do for the peers."""

from . import scalars, solvers, states, stencils
from .record import LoopProgram

PROGRAMS: tuple[LoopProgram, ...] = (
    *scalars.PROGRAMS,
    *states.PROGRAMS,
    *solvers.PROGRAMS,
    *stencils.PROGRAMS,
)
