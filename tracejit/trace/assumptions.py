"""Values that decide about the types of results: the program is made for those at hand.

Where a later run finds another value, the call is left to NumPy and the next one compiled anew, as
where a function that is called through Python gives something unlike its first result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import ops
from ..ir.types import bool_, i64
from .context import current_trace
from .host import no_rule
from .promotion import cast, constant
from .value import Value, known_value, literal, node_of, value_at_hand


def assumed(value: Any) -> Any:
    """The number that a traced value is for the arguments at hand, for which the program is made."""
    if not isinstance(value, Value):
        return value
    node = node_of(value)
    known = known_value(node)
    trace = current_trace()
    assert trace is not None
    if known is not None:
        return np.asarray(known)[()]
    if not trace.recovers:
        raise no_rule("a function whose results are of other types for other values")
    found = value_at_hand(node)
    same = ops.equal(node, literal(found))
    token = constant(0, i64) if trace.token is None else trace.token
    trace.token = ops.assumed(token, cast(same, bool_))
    trace.locate(trace.token)
    trace.values[trace.token] = np.zeros((), np.int64)
    return found[()]
