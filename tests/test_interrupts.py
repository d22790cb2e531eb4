"""Signals while native loops run: their handlers run, what these raise ends the call, nothing is lost."""

import _thread
import ctypes
import gc
import resource
import signal
import threading
import time
from random import Random

import numpy as np
import pytest

import tracejit
from tracejit.ir.verify import Stage, verify
from tracejit.lower.tensor import interrupt

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="a timer sends the signals"),
    pytest.mark.skipif(
        threading.current_thread() is not threading.main_thread(), reason="signals need it"
    ),
]


class Enough(BaseException):
    """What the tests' handler raises."""


@pytest.fixture
def alarm():
    """Calls a function after some seconds, in a signal handler."""
    before = signal.getsignal(signal.SIGALRM)

    def start(seconds, handler, again=0.0):
        signal.signal(signal.SIGALRM, lambda *_: handler())
        signal.setitimer(signal.ITIMER_REAL, seconds, again)

    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def enough():
    raise Enough


@tracejit.jit
def forever(x):
    n = x * 0
    while x > 0:
        n = n + 1.0
    return n


@tracejit.jit
def collatz(x):
    out = np.zeros(len(x), np.int64)
    for i in range(len(x)):
        n = x[i]
        k = 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            k += 1
        out[i] = k
    return out


@tracejit.jit
def smooth(u, steps):
    for _ in range(steps):
        for i in range(1, len(u) - 1):
            u[i] = 0.5 * u[i] + 0.25 * (u[i - 1] + u[i + 1])
    return u


@tracejit.jit
def nested(x):
    count = 0
    for i in range(len(x)):
        for j in range(len(x)):
            t = x[i] * x[j]
            while t < 100:
                t = t * x[i]
                count += 1
    return count


def test_control_c_ends_an_endless_loop(alarm):
    assert forever(-1.0) == 0
    for _ in range(2):
        alarm(0.05, lambda: signal.raise_signal(signal.SIGINT))
        began = time.perf_counter()
        with pytest.raises(KeyboardInterrupt) as caught:
            forever(1.0)
        assert time.perf_counter() - began < 5
        assert not hasattr(caught.value, "add_note") or "while x > 0" in caught.value.__notes__[0]
    assert forever(-1.0) == 0


def test_an_interrupt_from_another_thread():
    timer = threading.Timer(0.05, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        forever(1.0)
    timer.join()


@pytest.mark.parametrize("place", [0, 1234, 2999])
def test_lanes_and_threads_are_ended(alarm, place):
    """Whether the calling thread or one of the pool is in the loop that never ends."""
    x = np.arange(1, 3001)
    wanted = collatz(x)
    x[place] = 0
    alarm(0.05, enough)
    with pytest.raises(Enough):
        collatz(x)
    x[place] = place + 1
    np.testing.assert_array_equal(collatz(x), wanted)


def test_nested_loops_are_ended(alarm):
    x = np.full(40, 2.0)
    assert nested(x) == 40 * 40 * 5
    x[33] = 1.0
    alarm(0.05, enough)
    with pytest.raises(Enough):
        nested(x)


def test_a_long_loop_of_short_ones_is_ended(alarm):
    u = np.random.default_rng(0).random(500)
    alarm(0.05, enough)
    with pytest.raises(Enough):
        smooth(u, 10**12)
    assert np.isfinite(u).all()  # it holds what the loop had come to
    np.testing.assert_allclose(smooth(u.copy(), 3), smooth.__wrapped__(u.copy(), 3))


def test_handlers_that_return_change_nothing(alarm):
    seen = []
    u = np.random.default_rng(0).random(1000)
    x = np.arange(1, 9)
    collatz(x)
    wanted = smooth(u.copy(), 20_000)
    alarm(0.005, lambda: seen.append(collatz(x)[-1]), again=0.02)
    found = smooth(u.copy(), 20_000)
    signal.setitimer(signal.ITIMER_REAL, 0)
    np.testing.assert_array_equal(found, wanted)
    assert seen and set(seen) == {3}


def test_other_threads_have_their_turns():
    """Also where the loop was expected to be too short to let the lock go."""
    turns = []
    done = threading.Event()

    def count():
        while not done.is_set():
            turns.append(time.perf_counter())
            time.sleep(0.001)
            if len(turns) == 20:
                _thread.interrupt_main()

    thread = threading.Thread(target=count)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            forever(1.0)
    finally:
        done.set()
        thread.join()


def test_an_exception_sent_to_another_thread():
    caught = []

    def run():
        try:
            forever(1.0)
        except Enough as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.05)
    send = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert send(ctypes.c_ulong(thread.ident), ctypes.py_object(Enough)) == 1
    thread.join(10)
    assert not thread.is_alive()
    assert len(caught) == 1


def test_nothing_is_lost(alarm):
    @tracejit.jit
    def fill(x, n):
        out = np.zeros(n)
        k = 0
        while x > 0:
            out[k % 7] += x
            k += 1
        return out

    size = 1 << 20
    fill(-1.0, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        alarm(0.02, enough)
        with pytest.raises(Enough):
            fill(1.0, size)
    gc.collect()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 10 * 8 * size


def test_short_loops_do_not_ask():
    @tracejit.jit
    def sweep(u):
        for i in range(1, len(u)):
            u[i] = 0.5 * u[i] + 0.25 * u[i - 1]

    assert "poll" not in str(sweep.trace(np.ones(3000)).lower())
    assert "poll" in str(sweep.trace(np.ones(3_000_000)).lower())


def test_loops_that_ask_run_in_lanes_and_by_threads():
    text = str(collatz.trace(np.arange(1, 30_001)).lower())
    parallel, vector, trip = map(text.index, ("in parallel(", "in vector(", "for trip in ordered("))
    assert parallel < vector < trip < text.rindex("extern('poll')")


@pytest.mark.parametrize("seed", range(20))
def test_strips_change_nothing(seed: int, monkeypatch):
    """Loops of all lengths, that end early or not, give what they gave in one piece."""
    monkeypatch.setattr(interrupt, "SHORT_CYCLES", 0.0)
    monkeypatch.setattr(interrupt, "LEAST_STRIP", 1)
    monkeypatch.setattr(interrupt, "_pause", lambda _: 4)
    random = Random(seed)
    start, most = random.randint(0, 9), random.choice([3, 7, 8, 9, 40])

    @tracejit.jit
    def sweep(x, n, last):
        steps = 0
        for i in range(start, n):
            x[i + 1] = 0.5 * x[i] + x[i + 1]
            for j in range(i):
                steps += j
                if steps > last:
                    break
        return steps

    for n in (0, 1, 4, 5, 8, 9, 41):
        x, n = np.random.default_rng(seed).random(50), np.int64(n)
        ours, wanted = x.copy(), x.copy()
        assert sweep(ours, n, np.int64(most)) == sweep.__wrapped__(wanted, n, np.int64(most))
        np.testing.assert_array_equal(ours, wanted)
    assert "extern" in str(sweep.lower(x, n, np.int64(most)))


def test_loops_in_lanes_ask_together():
    module = tracejit.parse("""
@kernel
def orbit(x: f64[64], n: i64[()], *, out: f64[64]):
    steps: index = n[()]
    for i in vector(0, 64, 8):
        z: f64 = x[i]
        for k in ordered(0, steps):
            z = z * z * 0.5 - 1.0
        out[i] = z
""")
    module = interrupt.poll_signals(module)
    verify(module, Stage.SCHEDULED)
    assert "poll" in tracejit.show(module)
