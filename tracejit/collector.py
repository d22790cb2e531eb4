"""Python's cycle collector, paused while a program is compiled, and while modules are imported.

Tracing and lowering make terms by the ten thousand, which refer to one another but never in a circle: looking
for circles among them finds nothing, and took a third of the time of lowering a large program, a tenth of tracing. What modules
define stays, and looking through it took a quarter of the time of importing them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


# limit: a child forked while another thread is in here starts with its collector off.
@contextmanager
def paused() -> Iterator[None]:
    """No collection inside the block, unless another thread's block ends before; on again after it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
