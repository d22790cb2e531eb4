"""Programs of many fields that fuse: losses, norms, attention, optimisers, statistics, images, physics, finance, signals."""

from . import (
    attention,
    finance,
    images,
    losses,
    norms,
    optimisers,
    physics,
    signals,
    statistics,
)
from .record import FusedProgram

SECTIONS: dict[str, list[FusedProgram]] = {
    "losses": losses.PROGRAMS,
    "norms": norms.PROGRAMS,
    "attention": attention.PROGRAMS,
    "optimisers": optimisers.PROGRAMS,
    "statistics": statistics.PROGRAMS,
    "images": images.PROGRAMS,
    "physics": physics.PROGRAMS,
    "finance": finance.PROGRAMS,
    "signals": signals.PROGRAMS,
}
PROGRAMS = [program for section in SECTIONS.values() for program in section]
