"""The cycle collector is off while a program is lowered and as it was afterwards."""

import gc

import numpy as np
import pytest

import tracejit
from tracejit import collector


@pytest.fixture(autouse=True)
def collector_on():
    gc.enable()
    yield
    gc.enable()


def test_paused():
    with collector.paused():
        assert not gc.isenabled()
        with collector.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_stays_off_where_it_was():
    gc.disable()
    with collector.paused():
        pass
    assert not gc.isenabled()


def test_on_again_after_an_error():
    with pytest.raises(ZeroDivisionError), collector.paused():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_lowering_pauses_it():
    seen = []

    def see(module):
        seen.append(gc.isenabled())
        return module

    x = np.arange(3.0)
    compiled = tracejit.jit(lambda x: x + 1, passes=[see, *tracejit.pipeline()])
    compiled(x)
    assert seen == [False] and gc.isenabled()
