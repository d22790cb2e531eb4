"""Operators of a user's: say how something is computed, and call it."""

from .definitions import op
from .operator import Operator

__all__ = ["Operator", "op"]
