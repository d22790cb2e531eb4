"""How NumPy goes over memory, told from shapes and strides alone."""

import numpy as np
import pytest

import tracejit
from tracejit.ir.iteration import reshaped_strides

SHAPES = [
    (4, 6),
    (2, 3, 4),
    (24,),
    (1, 24),
    (24, 1),
    (2, 1, 12),
    (3, 8),
    (2, 2, 2, 3),
    (6, 1, 4),
    (1, 1, 24, 1),
]


def _views(shape):
    whole = np.arange(24 * 2 ** len(shape)).reshape([2 * n for n in shape])
    yield np.arange(24).reshape(shape)
    yield np.arange(24).reshape(shape).T
    yield np.arange(24).reshape(shape)[::-1]
    yield np.arange(24).reshape(shape)[..., ::-1]
    yield whole[tuple(slice(0, None, 2) for _ in shape)]
    yield whole[tuple(slice(n) for n in shape)]
    yield np.broadcast_to(np.arange(shape[-1]), shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("new", SHAPES)
def test_reshapes_without_a_copy_are_numpys(shape, new):
    for view in _views(shape):
        if view.size != 24:
            continue
        strides = tuple(step // view.itemsize for step in view.strides)
        found = reshaped_strides(view.shape, strides, new)
        expected = view.reshape(new)
        assert (found is not None) == np.shares_memory(view, expected)
        if found is not None:
            wide = [axis for axis, extent in enumerate(new) if extent != 1]
            own = [expected.strides[axis] // view.itemsize for axis in wide]
            assert [found[axis] for axis in wide] == own


def test_memory_is_not_looked_at_to_find_out():
    x = np.zeros((3000, 4096), np.float32)
    assert tracejit.jit(lambda x: x.T.reshape(-1))(x).shape == (3000 * 4096,)
