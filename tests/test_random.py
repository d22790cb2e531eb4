"""Random numbers in compiled code: NumPy's streams, states and errors, without Python in between."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import tracejit
from tracejit.ir.numpy_random import can_draw, pairs_offset
from tracejit.ir.op import OPS
from tracejit.trace import outside

X = np.linspace(0.25, 3.0, 12).reshape(3, 4)

# Each is a call of a method of a Generator `g`, or of a RandomState `s`, natively drawn.
NEW = [
    "g.random()", "g.random(5)", "g.random((2, 3))", "g.random(4, dtype=np.float32)",
    "g.random(size=())", "g.standard_normal()", "g.standard_normal((3, 2))",
    "g.standard_normal(5, np.float32)", "g.standard_exponential(7)",
    "g.standard_exponential(3, dtype='f4')", "g.normal()", "g.normal(2.0, 3)", "g.normal(size=4)",
    "g.normal(x)", "g.normal(x, 0.5, (2, 3, 4))", "g.normal(1.0, x)", "g.normal(x[0, 1], x[1, 1])",
    "g.normal(loc=1, scale=x[:, 1:2])", "g.normal(x.T)", "g.normal(x[:, ::2])",
    "g.uniform()", "g.uniform(1, 3)", "g.uniform(-1.0, x)", "g.uniform(high=x[0, 0] + 1, size=9)",
    "g.exponential()", "g.exponential(2.0, 8)", "g.exponential(x)", "g.exponential(scale=x[0, 0])",
    "g.gamma(2.0)", "g.gamma(x, 2.0)", "g.standard_gamma(x)", "g.beta(0.5, x)", "g.f(2.0, x)",
    "g.laplace(x)", "g.gumbel(0, x)", "g.logistic(1.0, 2.0, 3)", "g.lognormal(0.5, x)",
    "g.wald(x, 2.0)", "g.vonmises(0.5, x)", "g.noncentral_chisquare(x, 0.5)", "g.chisquare(x)",
    "g.pareto(x)", "g.weibull(x)", "g.power(x)", "g.rayleigh(x)", "g.standard_t(x)",
    "g.standard_cauchy(3)", "g.poisson(x)", "g.poisson(30.0, 5)", "g.poisson()",
    "g.geometric(x / 4)", "g.zipf(x + 1.5)", "g.logseries(x / 4)", "g.binomial(10, x / 4)",
    "g.binomial(100, 0.4, 6)", "g.binomial(n=5, p=0.5)", "g.integers(10)", "g.integers(3, 9, 20)",
    "g.integers(5, size=(2, 2))", "g.integers(0, 1, 4)", "g.integers(1 << 40, size=5)",
    "g.integers(-5, 5, 6, endpoint=True)", "g.integers(7, size=9, dtype=np.int32)",
    "g.integers(k)", "g.integers(0, k)", "g.integers(k, k + np.arange(1, 13).reshape(3, 4))",
    "g.integers(low=0, high=k[0, 1], size=4)", "g.permutation(9)", "g.permutation(x)",
    "g.permutation(x, axis=1)", "g.permutation(1)", "g.permutation(0)", "g.choice(9)",
    "g.choice(9, 4)", "g.choice(x, 3)", "g.choice(x[0])", "g.choice(x, 2, axis=1)",
    "g.choice(x[0], (2, 3))", "g.choice(3, p=[0.2, 0.3, 0.5])", "g.choice(2, 20, p=(0.25, 0.75))",
    "g.choice(x, 9, p=[0.5, 0, 0.5])", "g.choice(x, (2, 4), p=[0.1] * 2 + [0.4] * 2, axis=1)",
    "g.choice(x[0, :3], p=[1, 0, 0])", "g.triangular(0, 0.5, 2)", "g.triangular(x - 1, x, x + 1)",
    "g.triangular(0.0, x[0, 0], 9.0, 5)", "g.negative_binomial(3, 0.25, 4)",
    "g.negative_binomial(x, x / 8)", "g.hypergeometric(5, 6, 7)", "g.hypergeometric(k, 20, k + 3)",
    "g.hypergeometric(k[0, 0], 20, 3, (2, 2))",
]  # fmt: skip
OLD = [
    "s.random_sample()", "s.random_sample((2, 3))", "s.random(4)", "s.rand()", "s.rand(2, 3)",
    "s.randn()", "s.randn(3)", "s.randn(2, 2)", "s.standard_normal(5)", "s.normal(2.0, 3.0)",
    "s.normal(x, 0.5)", "s.normal(size=3)", "s.normal(1.0, x[0, 1], 3)", "s.uniform(1, 3)",
    "s.uniform(2, 1, 4)", "s.uniform(-1.0, x)", "s.exponential(2.0)", "s.exponential(x)",
    "s.exponential(size=3)", "s.standard_exponential(4)", "s.laplace(x)", "s.gumbel(0, x)",
    "s.logistic(size=3)", "s.poisson(x)", "s.poisson(20.0, 4)", 
    "s.binomial(10, x / 4)", "s.binomial(60, 0.5, 5)", "s.randint(10)", "s.randint(3, 9, 20)",
    "s.randint(0, k[1, 1])", "s.randint(0, 1 << 40, 4)", "s.permutation(9)", "s.permutation(x)",
    "s.choice(9)", "s.choice(9, 4)", "s.choice(x[0], 3)", "s.choice(x[0])",
    "s.choice(3, 50, p=[0.2, 0.3, 0.5])", "s.choice(x[0, :2], p=[0.5, 0.5])",
    "s.triangular(0, 0.5, 2, 3)", "s.triangular(x - 1, x, x + 1)",
]  # fmt: skip
K = np.arange(1, 13).reshape(3, 4)


def made():
    return np.random.default_rng(5), np.random.RandomState(5)


def states(g, s):
    new, old = g.bit_generator.state, s.get_state(legacy=False)
    return repr(new), repr(old)


def same(wanted, got):
    assert type(got) is type(wanted), (type(got), type(wanted))
    np.testing.assert_array_equal(got, wanted, strict=isinstance(wanted, np.ndarray))


def program(text):
    return eval(f"lambda g, s, x, k: {text}", {"np": np})


def is_native(function, *args):
    program = function.trace(*args).module.entry
    calls = [n.attrs["function"].name for n in program.nodes if n.op is OPS["host_call"]]
    return calls == ["numpy.random.begin"] * len(calls)


@pytest.mark.parametrize("text", NEW + OLD)
def test_streams_and_states_are_numpys(text):
    function, jitted = program(text), tracejit.jit(program(text))
    ours, numpys = made(), made()
    for _ in range(3):
        same(function(*numpys, X, K), jitted(*ours, X, K))
        assert states(*ours) == states(*numpys)
    if can_draw("normal") and pairs_offset() is not None:
        assert is_native(jitted, *ours, X, K), text


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is
        return type(error), str(error)


@pytest.mark.parametrize(
    "text",
    [
        "g.normal(0.0, x[0, 0] - 1)", "g.exponential(-x)", "g.poisson(x - 1)", "g.integers(k[0, 0] - 1)",
        "g.integers(k, 5)", "g.binomial(3, x)", "g.uniform(x, 0.3)", "g.gamma(x - 1)", "g.zipf(x)",
        "g.binomial(k - 2, 0.5)", "g.geometric(x)", "s.normal(0.0, -x)", "g.exponential(x * np.nan)",
        "g.triangular(x, 0.5, 2.0)", "g.triangular(x, x, x)", "g.negative_binomial(2, x)",
        "g.hypergeometric(k - 5, 3, 2)", "g.hypergeometric(k, 3, 6)", "s.triangular(0.0, x, 1.0)",
    ],
)  # fmt: skip
def test_illegal_parameters_are_numpys_to_refuse(text):
    def with_draws(f):
        return lambda g, s, x, k: (g.random(3), s.standard_normal(), f(g, s, x, k))[2]

    function = with_draws(program(text))
    jitted = tracejit.jit(function)
    outcome(jitted, *made(), X * 0 + 0.5, K * 0 + 4)
    ours, numpys = made(), made()
    for _ in range(2):
        wanted, got = outcome(function, *numpys, X, K), outcome(jitted, *ours, X, K)
        assert wanted == got if isinstance(wanted, tuple) else (same(wanted, got) is None)
        assert states(*ours) == states(*numpys)


@pytest.mark.parametrize(
    "text",
    [
        "g.integers(0)", "g.normal(0.0, -1.0)", "g.random(-1)", "g.normal(x, size=3)", "g.beta(x, 0)",
        "g.choice(x, 3, axis=5)", "g.random(3, 'i4')", "g.permutation(2.5)",
        "g.normal(1, 2, 3, 4)", "g.normal(mean=1)", "g.choice(0)", "g.choice(2, p=[0.5, 0.6])", "g.choice(3, p=[0.5, 0.5])",
        "s.choice(2, p=[1.5, -0.5])", "g.exponential(1j)", "s.rand(-1)",
    ],
)  # fmt: skip
def test_errors_are_numpys(text):
    wanted, got = (outcome(f, *made(), X, K) for f in (program(text), tracejit.jit(program(text))))
    assert wanted == got


def walk(g, n):
    x, places = 0.0, np.zeros(n)
    for i in range(n):
        if g.random() < 0.75:
            x += g.normal(0.0, 1.0 + i % 3)
        else:
            x -= g.exponential()
        places[i] = x
    return places


def pairs(s, n):
    total = 0.0
    for _ in range(n):
        total += s.normal() * s.uniform(1.0, 2.0) + s.randint(0, 5)
    return total


def hits(g, n):
    count = 0
    while count < n:
        x, y = g.random(), g.random()
        if x * x + y * y < 1.0:
            count += 1
    return x, y


def resampled(g, x, n):
    means = np.empty(n)
    for i in range(n):
        means[i] = x[g.integers(0, x.size, x.size)].mean()
    return means


def dealt(g, x):
    for _ in range(3):
        g.shuffle(x)
        x[0] = g.integers(100)
    return g.permutation(x.size)[:3]


def steps(g, n):
    rows = np.zeros((n, n))
    for i in range(n):
        rows[i, :i] = g.standard_normal(i)
        rows[i, i] = g.choice([-1.0, 1.0])
    return rows


@pytest.mark.parametrize(
    "function, args",
    [(walk, (50,)), (hits, (40,)), (resampled, (X.ravel(), 9)), (dealt, (np.arange(9),)), (steps, (6,))],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_draws_in_loops(function, args):
    jitted = tracejit.jit(function)
    ours, numpys = made()[0], made()[0]
    for _ in range(3):
        given, own = ([a.copy() if isinstance(a, np.ndarray) else a for a in args] for _ in "12")
        np.testing.assert_allclose(jitted(ours, *own), function(numpys, *given), rtol=1e-12)
        for a, b in zip(given, own):
            np.testing.assert_array_equal(a, b)
        assert ours.bit_generator.state == numpys.bit_generator.state


def test_every_second_normal_number_is_kept_for_later():
    jitted = tracejit.jit(pairs)
    for count in (5, 4, 7):  # odd and even, from one call to the next
        ours, numpys = made()[1], made()[1]
        for _ in range(2):
            assert np.isclose(jitted(ours, count), pairs(numpys, count), rtol=1e-12)
            assert states(made()[0], ours) == states(made()[0], numpys)


def test_the_global_generator():
    def estimate(n):
        inside = 0
        for _ in range(n):
            inside += np.random.rand() ** 2 + np.random.uniform(0, 1) ** 2 < 1.0
        return inside / n + np.random.normal(size=3).sum()

    jitted = tracejit.jit(estimate)
    np.random.seed(8)
    wanted = [estimate(20) for _ in range(3)]
    np.random.seed(8)
    np.testing.assert_allclose([jitted(20) for _ in range(3)], wanted, rtol=1e-13)


def test_generators_made_in_the_program():
    def f(x):
        total = 0.0
        for seed in range(4):
            g = np.random.default_rng(seed)
            total += g.random() + g.normal(x[0])
        g = np.random.default_rng(9)
        return total + g.random(3) * x[:3], np.random.RandomState(3).randn(2)

    jitted = tracejit.jit(f)
    for _ in range(2):
        for a, b in zip(f(X.ravel()), jitted(X.ravel())):
            np.testing.assert_allclose(b, a, rtol=1e-13)


def test_loops_ask_once_for_a_generator_that_was_made_before_them(monkeypatch):
    def walks(seed, n):
        rng, path = np.random.default_rng(seed), np.empty((n, 40))
        for k in range(n):
            own, x = np.random.default_rng(k), 0.0
            for i in range(40):
                step = rng.normal()
                if step > 0.0:
                    step = step * own.random()
                x += step
                path[k, i] = x
        return path

    count = []
    begin = outside.begin_drawing
    monkeypatch.setattr(outside, "begin_drawing", lambda *args: count.append(0) or begin(*args))
    compiled = tracejit.jit(walks)
    compiled(4, 30)
    count.clear()
    np.testing.assert_allclose(compiled(4, 30), walks(4, 30), rtol=1e-12)
    assert len(count) <= 31  # the one, and each of the others


def test_a_failure_puts_the_states_back():
    def f(g, a):
        first = g.random(2)
        return np.linalg.inv(a) * first[0], g.normal()

    jitted, ours = tracejit.jit(f), made()[0]
    jitted(ours, np.eye(40))
    before = ours.bit_generator.state
    with pytest.raises(np.linalg.LinAlgError):
        jitted(ours, np.zeros((40, 40)))
    numpys = np.random.default_rng()
    numpys.bit_generator.state = before
    with pytest.raises(np.linalg.LinAlgError):
        f(numpys, np.zeros((40, 40)))
    assert ours.bit_generator.state == numpys.bit_generator.state


def test_bit_generators():
    for kind in (np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM):
        jitted = tracejit.jit(walk)
        ours, numpys = (np.random.Generator(kind(3)) for _ in range(2))
        np.testing.assert_allclose(jitted(ours, 30), walk(numpys, 30), rtol=1e-12)
        assert repr(ours.bit_generator.state) == repr(numpys.bit_generator.state)


def test_threads_share_a_generator():
    """No number is drawn twice, and none is lost, whoever draws."""

    def f(g, n):
        out = np.zeros(n)
        for i in range(n):
            out[i] = g.random()
        return out

    jitted, ours, numpys = tracejit.jit(f), made()[0], made()[0]
    jitted(np.random.default_rng(0), 400)
    found = [[] for _ in range(4)]

    def draw(own):
        for _ in range(25):
            own.append(jitted(ours, 400))

    threads = [threading.Thread(target=draw, args=(own,)) for own in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drawn = np.sort(np.concatenate([run for own in found for run in own]))
    np.testing.assert_array_equal(drawn, np.sort(numpys.random(40_000)))


def test_two_generators_in_two_orders_do_not_block_each_other():
    def f(one, other, n):
        total = 0.0
        for _ in range(n):
            total += one.random() - other.random()
        return total

    jitted, (a, b) = tracejit.jit(f), (np.random.default_rng(k) for k in (1, 2))
    jitted(a, b, 1000)
    threads = [
        threading.Thread(target=lambda pair=pair: [jitted(*pair, 1000) for _ in range(30)])
        for pair in ((a, b), (b, a))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_a_called_function_may_draw_from_the_same_generator_in_a_thread():
    g = np.random.default_rng(4)

    @tracejit.host
    def elsewhere(x):
        found = []
        thread = threading.Thread(target=lambda: found.append(g.random()))
        thread.start()
        thread.join(20)
        return x + found[0]

    jitted = tracejit.jit(lambda x: elsewhere(x + g.random()) + g.random())
    numpys = np.random.default_rng(4)
    jitted(1.0)
    g.bit_generator.state = numpys.bit_generator.state
    for _ in range(2):
        wanted = 1.0 + numpys.random() + numpys.random() + numpys.random()
        assert np.isclose(jitted(1.0), wanted, rtol=1e-14)


def test_the_reference_draws_too():
    jitted = tracejit.jit(lambda g, x: g.normal(x, 0.5).sum() + g.random() + g.integers(4))
    wanted = jitted(made()[0], X)
    with tracejit.config.use(reference=True):
        again = tracejit.jit(lambda g, x: g.normal(x, 0.5).sum() + g.random() + g.integers(4))
        assert np.isclose(again(made()[0], X), wanted, rtol=1e-13)


def test_checks_refuse_draws():
    with pytest.raises(tracejit.UnsupportedError, match="several times"):
        tracejit.jit(lambda g: g.random(3) + 1, check=True)(made()[0])


def test_draws_before_a_program_is_traced_again():
    """What cannot be undone is not done again; what was drawn is, from where it was drawn."""
    noted = []

    @tracejit.host
    def note(x):
        noted.append(float(x))
        return x

    def f(g, p):
        first = g.random() + g.dirichlet([0.5, 1.0])[0]
        second = note(first) + g.normal()
        return np.roots(p) * second + g.integers(5), g.random(2)

    jitted, ours, numpys = tracejit.jit(f), made()[0], made()[0]
    for p in ([1.0, 0, -1], [1.0, 0, 1], [0, 1.0, 2], [1.0, 0, -4]):
        wanted = f(numpys, np.array(p))
        expected, noted[:] = noted[:], []
        got = jitted(ours, np.array(p))
        assert noted == expected
        for a, b in zip(wanted, got):
            np.testing.assert_allclose(b, a, rtol=1e-12)
        assert ours.bit_generator.state == numpys.bit_generator.state
        noted.clear()


def test_draws_are_no_fallback():
    jitted = tracejit.jit(lambda g, x: g.normal(x).sum(), fallback="error")
    assert np.isclose(jitted(made()[0], X), made()[0].normal(X).sum(), rtol=1e-14)
    assert "through Python, not compiled" not in str(jitted.explain(made()[0], X))
    with pytest.raises(tracejit.UnsupportedError, match="no rule"):
        tracejit.jit(lambda g: g.multinomial(9, [0.5, 0.5]), fallback="error")(made()[0])


def test_generators_are_where_an_index_out_of_bounds_leaves_them():
    def function(g, x):
        y = np.zeros(5)
        y[g.integers(0, 8)] = g.normal()
        x[0] = g.random()
        return y

    jitted = tracejit.jit(function)
    for seed in range(6):
        ours, numpys = np.random.default_rng(seed), np.random.default_rng(seed)
        x, z = np.zeros(2), np.zeros(2)
        try:
            wanted = function(numpys, z)
        except IndexError as error:
            with pytest.raises(IndexError, match=str(error)):
                jitted(ours, x)
        else:
            np.testing.assert_array_equal(jitted(ours, x), wanted)
        assert ours.bit_generator.state == numpys.bit_generator.state
        np.testing.assert_array_equal(x, z)


def test_what_both_arms_draw_first_is_drawn_once():
    def first(g, x):
        t = g.random()
        if t > 0.5:
            t = g.permutation(x)[0]
        else:
            g.shuffle(x)
        return t

    def then(g, x):
        for i in range(3):
            if g.random() > 0.5:
                x[i] = g.normal()
                t = g.normal() if x[0] > 0 else g.random()
            else:
                x[i] = g.normal()
                t = g.random()
        return t

    def chosen(g, x):
        t = g.random()
        y = g.normal() if t > 0.5 else g.normal()
        return y + (g.normal(y) if t > 0.5 else g.normal(-y)) + x[0]

    for function in (first, then, chosen):
        jitted = tracejit.jit(function)
        for seed in range(6):
            ours, numpys = np.random.default_rng(seed), np.random.default_rng(seed)
            x, z = np.arange(4.0), np.arange(4.0)
            assert jitted(ours, x) == function(numpys, z)
            assert ours.bit_generator.state == numpys.bit_generator.state
            np.testing.assert_array_equal(x, z)


def test_functions_that_draw_are_not_called_with_stand_ins():
    """What `np.vectorize` calls draws for itself: NumPy runs the function, once, of the user's generator."""
    done = []

    def of_module(x, g):
        return np.vectorize(lambda v: done.append(v) or v + np.random.normal())(x)

    def of_generator(x, g):
        return np.vectorize(lambda v: done.append(v) or v + g.normal())(x)

    def of_method(x, g):
        draw = g.normal
        return np.vectorize(lambda v: done.append(v) or v + draw())(x)

    for function in (of_module, of_generator, of_method):
        jitted = tracejit.jit(function)
        for seed in (1, 2):
            results, counts = [], []
            for called in (jitted, function):
                np.random.seed(seed)
                done.clear()
                results.append(called(X, np.random.default_rng(seed)))
                counts.append(len(done))
            np.testing.assert_array_equal(*results)
            assert counts[0] == counts[1]


def test_methods_of_generators_get_no_stand_in_outside_traces():
    """Their C code would take its memory for a generator's."""
    hidden = "ran" + "dom"

    def function(x):
        return np.vectorize(lambda v: v + getattr(np, hidden).normal())(x)

    with pytest.raises(tracejit.UnsupportedError, match="called through Python"):
        tracejit.jit(function)(X)


@pytest.mark.parametrize(
    "fails",
    [
        lambda y, rng: y @ np.ones(4),
        lambda y, rng: y[7],
        lambda y, rng: rng.normal(0, -1),
    ],
)
def test_what_was_drawn_before_an_error_of_tracing(fails):
    """The function raises whatever is drawn, so that tracing it comes to that; the generator has drawn."""

    def function(rng):
        return fails(rng.normal(size=3), rng)

    jitted = tracejit.jit(function)
    for _ in range(2):
        ours, theirs = np.random.default_rng(1), np.random.default_rng(1)
        for called, rng in ((jitted, ours), (function, theirs)):
            with pytest.raises((ValueError, IndexError)):
                called(rng)
        assert ours.bit_generator.state == theirs.bit_generator.state
