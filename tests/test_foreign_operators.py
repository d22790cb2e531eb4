"""Operators that foreign functions carry out: C functions, Numba's and SciPy's, LLVM IR."""

from __future__ import annotations

import ctypes
import math
import subprocess
import threading
from ctypes import POINTER, c_bool, c_double, c_float, c_int, c_int64, c_void_p
from shutil import which

import numpy as np
import pytest
import test_laws
from hypothesis import given, settings
from hypothesis import strategies as st
from operator_programs import COLLATZ, LERP, c_function, check, collatz, kernels_of, libm

import tracejit
from tracejit.errors import CompileError
from tracejit.ir.foreign import SCALARS
from tracejit.ir.op import OPS
from tracejit.ir.tensor import For, statements
from tracejit.ir.types import bool_, f32, f64, i64
from tracejit.ir.verify import Stage, verify
from tracejit.lower import pipeline
from tracejit.lower.pipeline import Options
from tracejit.operators.llvm_ir import read_definition, translated, variables
from tracejit.runtime.linked import read_function

X = np.linspace(0.1, 4, 37)
numba = pytest.importorskip("numba")
scipy_special = pytest.importorskip("scipy.special")


@pytest.fixture(scope="module")
def j0():
    return tracejit.op(c_function("j0", c_double, c_double), name="my_bessel")


def test_a_c_function_is_called_inside_a_fused_loop(j0):
    lowered = check(lambda x: np.sqrt(j0(x * 2) ** 2) + 1, X)
    assert kernels_of(lowered) == 1 and "bessel_foreign(" in str(lowered)
    np.testing.assert_allclose(j0(X), scipy_special.j0(X), rtol=1e-13)
    check(lambda x: j0(x).sum() + j0(2.0), X)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (2, 3, 5), (1025,)])
def test_any_shape(j0, shape):
    check(lambda x: j0(x + 1), np.random.default_rng(0).uniform(0, 9, shape))


def test_operands_broadcast_and_are_cast_as_those_of_ufuncs():
    hypot = tracejit.op(
        [
            c_function("hypotf", c_float, c_float, c_float),
            c_function("hypot", c_double, c_double, c_double),
        ],
        name="my_hypot_c",
    )
    single = X.astype(np.float32)
    lowered = check(
        lambda x, y: (hypot(x, y), hypot(y, 3.0), hypot(x[:, None], y[:4])), X, single, rtol=1e-6
    )
    assert "my_hypot_c_foreign_2(" in str(lowered) and "my_hypot_c_foreign(" in str(lowered)
    assert hypot(single, 2.0).dtype == np.float32 and hypot(X, single).dtype == np.float64
    check(lambda x: hypot(x, 1), np.arange(3, dtype=np.int16) + np.int16(1), rtol=1e-6)
    with pytest.raises(
        TypeError, match=r"no loop for c128\[3\], f64\[\(\)\]; it takes f32, f32; f64, f64"
    ):
        tracejit.jit(lambda x: hypot(x, 1.0))(np.ones(3, complex))
    with pytest.raises(ValueError, match="broadcast"):
        tracejit.jit(lambda x, y: hypot(x, y))(X, X[:5])


def test_integers_and_bools():
    absolute = tracejit.op(c_function("abs", c_int, c_int), name="my_abs_c")
    digit = tracejit.op(c_function("isdigit", c_int, c_int), name="my_digit_c")
    check(lambda x: absolute(x - 3), np.arange(9, dtype=np.int32))
    check(lambda x: digit(x) != 0, np.arange(40, 60, dtype=np.int32))
    callback = ctypes.CFUNCTYPE(c_bool, ctypes.c_int8, ctypes.c_uint16)(
        lambda a, b: a < 0 or b > 300
    )
    mixed = tracejit.op(callback, name="my_mixed_c")
    a = np.arange(-20, 20, dtype=np.int8)
    check(lambda a, b: np.where(mixed(a, b), 1.0, 2.0), a, np.arange(40, dtype=np.uint16) * 20)


def test_no_lane_calls_it_but_those_of_elements():
    """A function may stop at what is in no array, such as a divisor of zero."""
    seen = []

    @ctypes.CFUNCTYPE(c_double, c_double)
    def noted(value):
        seen.append(value)
        return value * 2

    operator = tracejit.op(noted, name="my_noted_lanes")
    for n in (1, 5, 13, 16, 37):
        x = np.arange(1.0, n + 1)
        compiled = tracejit.jit(lambda x: np.sin(np.exp(operator(x) / 99)) + np.tanh(x))
        for _ in range(2):
            seen.clear()
            np.testing.assert_allclose(compiled(x), np.sin(np.exp(x * 2 / 99)) + np.tanh(x))
            assert {*seen} == {*x}
    assert "in vector(" in str(compiled.lower(x))


def test_symbols_of_libraries():
    path = libm()._name
    cube_root = tracejit.op((path, "cbrt"), type="f64 -> f64", name="my_cbrt")
    assert cube_root.name.startswith("my_cbrt")
    check(lambda x: cube_root(x) + 1, X)
    with pytest.raises(ValueError, match="has no function nothing_here"):
        tracejit.op((path, "nothing_here"), type="f64 -> f64")


def test_it_obeys_the_laws(j0):
    record = OPS["my_bessel_foreign"]
    with np.errstate(all="ignore"):
        test_laws.test_type_rule_is_numpys(record)
        test_laws.test_every_stage_reads_back_and_means_the_same(record)
        test_laws.test_native_code_is_numpy(record)


def is_parallel(function, *arrays):
    module = tracejit.jit(function).trace(*arrays).module
    stages = pipeline.run(module, Options(32, 4))
    kernels = [k for k in stages[next(reversed(stages))].functions]
    loops = [s for k in kernels for s in statements(k.body) if isinstance(s, For)]
    return any(loop.mark == "parallel" for loop in loops)


def test_only_what_is_said_to_be_safe_is_called_by_several_threads(j0):
    safe = tracejit.op(c_function("j1", c_double, c_double), name="my_j1_safe", thread_safe=True)
    large = np.linspace(0, 9, 300_000)
    assert not is_parallel(lambda x: j0(x) + 1, large)
    assert is_parallel(lambda x: safe(x) + 1, large)
    assert is_parallel(lambda x: tracejit.op(LERP, name="my_lerp_parallel")(x, x, 0.5), large)
    square = np.ones((300, 300))
    assert is_parallel(lambda a: a @ a, square) and not is_parallel(lambda a: j0(a @ a), square)
    main, seen = threading.get_ident(), set()

    @ctypes.CFUNCTYPE(c_double, c_double)
    def noted(value):
        seen.add(threading.get_ident())
        return value

    same = tracejit.op(noted, name="my_noted_c")
    tracejit.jit(lambda x: same(x) * 2, threads=4)(large[:50_000])
    assert seen == {main}


def test_a_kernel_that_would_call_it_in_threads_is_not_legal(j0):
    text = """
@kernel
def f(x: f64[n], *, out: f64[n]):
    for i in parallel(0, n):
        out[i] = my_bessel_foreign(x[i])
"""
    with pytest.raises(tracejit.IRError, match="not said to be thread-safe"):
        verify(tracejit.parse(text), Stage.LOOPS)
    verify(tracejit.parse(text.replace("parallel", "range")), Stage.LOOPS)


def test_what_the_code_refers_to_is_kept():
    def make(scale):
        callback = ctypes.CFUNCTYPE(c_double, c_double)(lambda v: v * scale)
        return tracejit.op(callback, name="my_temporary")

    compiled = [tracejit.jit(lambda x, f=make(k): f(x)) for k in (2.0, 3.0)]
    for scale, function in zip((2.0, 3.0), compiled):
        np.testing.assert_array_equal(function(X), X * scale)


# Arrays.

SOURCE = """
#include <stdint.h>
void decay(int64_t n, double rate, const double* x, double* out) {
    double kept = 0;
    for (int64_t i = 0; i < n; i++) { kept = kept * rate + x[i]; out[i] = kept; }
}
void both(const float* x, const float* y, float* table, double* total, int n, int m) {
    *total = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) { table[i * m + j] = x[i] - y[j]; *total += x[i] * y[j]; }
}
int status(const double* x, double* out, int64_t n) { return 1; }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = which("cc") or which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("library")
    (folder / "code.c").write_text(SOURCE)
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", folder / "code.so", folder / "code.c"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(folder / "code.so"))


@pytest.fixture(scope="module")
def decay(library):
    pointer = POINTER(c_double)
    function = c_function("decay", None, c_int64, c_double, pointer, pointer, library=library)
    return tracejit.op(function, type="f64(),f64(n)->f64(n)", name="my_decay_c")


def test_a_function_of_arrays(decay):
    lowered = check(lambda x: decay(0.5, np.sin(x)) * 2, X)
    assert "extern('my_decay_c_foreign', 37, " in str(lowered)
    check(lambda r, x: decay(r, x), np.float64(0.25), X)


def test_batches_and_memory_that_is_not_contiguous(decay):
    table = np.random.default_rng(2).normal(size=(4, 3, 10))
    check(lambda x: decay(0.5, x), table)
    check(lambda x: decay(0.5, x), table[:, :, ::2])
    check(lambda r, x: decay(r, x), np.array([0.1, 0.2, 0.3]), table)
    check(lambda r, x: decay(r, x[0, 0]), np.linspace(0, 1, 4), table)
    strided = tracejit.jit(lambda x: decay(0.5, x))
    np.testing.assert_allclose(strided(table[::-1, :, ::3]), decay(0.5, table[::-1, :, ::3]))


def test_several_results_and_the_order_of_arguments(library):
    pointer = POINTER(c_float)
    function = c_function(
        "both", None, pointer, pointer, pointer, c_void_p, c_int, c_int, library=library
    )
    both = tracejit.op(function, type="(n),(m)->(n,m),f64()", thread_safe=True)
    x = X.astype(np.float32)
    check(lambda x: both(x, x[:5] + np.float32(1)), x, rtol=1e-5, atol=1e-5)
    told = tracejit.op(function, type="(n),(m)->(n,m),f64()", arguments=(0, 1, 2, 3, "n", "m"))
    for one, own in zip(told(x, x[:3]), both(x, x[:3])):
        np.testing.assert_array_equal(one, own)


def test_sizes_that_change(decay):
    compiled = tracejit.jit(lambda x: decay(0.5, x + 1))
    for n in range(10, 30):
        np.testing.assert_allclose(compiled(X[:n]), decay(0.5, X[:n] + 1))
    assert compiled.cache_info().misses < 8


def test_wrong_definitions(library, decay):
    pointer = POINTER(c_double)
    status = c_function("status", c_int, pointer, pointer, c_int64, library=library)
    with pytest.raises(TypeError, match="returns a i32, which nobody would look at"):
        tracejit.op(status, type="(n)->(n)")
    with pytest.raises(TypeError, match="does not fit"):
        tracejit.op(c_function("decay", None, c_int64, pointer, library=library), type="(n)->(n)")
    with pytest.raises(TypeError, match=r"of no dtype that is known"):
        tracejit.op(
            c_function("decay", None, c_void_p, c_void_p, c_int64, library=library), type="(n)->(n)"
        )
    with pytest.raises(TypeError, match="is no extent of"):
        tracejit.op(library.decay, type="f64(n)->f64(n)", arguments=(0, 1, "k"))
    with pytest.raises(TypeError, match="hypot is f64, f64 -> f64, not f64 -> f64"):
        tracejit.op(c_function("hypot", c_double, c_double, c_double), type="f64 -> f64")
    with pytest.raises(TypeError, match="is not known; set argtypes and restype"):
        tracejit.op(libm().tgamma)
    with pytest.raises(TypeError, match="needs Python's lock"):
        tracejit.op(ctypes.PYFUNCTYPE(c_double, c_double)(abs))
    with pytest.raises(
        TypeError, match=r"operand 1 is of f64, not complex128|operand 1 is of f64, not c128"
    ):
        tracejit.jit(lambda x: decay(0.5, x))(X.astype(complex))
    with pytest.raises(TypeError, match="is no definition"):
        tracejit.op(3.5)


# LLVM IR.


def test_llvm_ir_becomes_part_of_the_loop():
    lerp = tracejit.op(LERP, name="my_lerp_inlined")
    lowered = check(lambda x, y: np.sqrt(lerp(x, y, 0.25)) * 2, X, X[::-1].copy())
    assert kernels_of(lowered) == 1
    assert (
        "lerp_inlined_foreign(" not in str(lowered)
        and "call double @" not in lowered.compile().llvm_ir
    )


def test_bitcode():
    import llvmlite.binding as llvm

    code = llvm.parse_assembly(LERP).as_bitcode()
    lerp = tracejit.op(code, name="my_lerp_bitcode")
    check(lambda x: lerp(x, 2.0, x), X)


def test_a_loop_in_llvm_ir_is_called():
    steps = tracejit.op(COLLATZ, name="my_steps")
    n = np.arange(60)
    lowered = check(lambda n: steps(n + 1) * 2, n)
    assert "steps_foreign(" in str(lowered)
    np.testing.assert_array_equal(steps(n), [collatz(k) for k in range(60)])


def test_which_function_of_a_module_is_meant():
    two = LERP + LERP.replace("@lerp", "@other").replace("fadd", "fsub")
    with pytest.raises(CompileError, match=r"defines lerp, other(?s:.*)symbol="):
        tracejit.op(two)
    other = tracejit.op(two.replace("@other", "@my_other"), symbol="my_other")
    assert other.name.startswith("my_other")
    np.testing.assert_allclose(other(1.0, 2.0, 0.5), 0.5)
    with pytest.raises(CompileError, match="expected"):
        tracejit.op("define double @f(double %x) { nonsense }")
    with pytest.raises(TypeError, match="takes or returns what is no number"):
        tracejit.op("define void @f(ptr %x) { ret void }")


# Instructions, each with what it means: over x: double, y: double, n: i64, m: i64.
INSTRUCTIONS = {
    "fadd double %x, %y": lambda x, y, n, m: x + y,
    "fsub fast double %x, %y": lambda x, y, n, m: x - y,
    "fmul double %x, 2.5": lambda x, y, n, m: x * 2.5,
    "fdiv double %x, %y": lambda x, y, n, m: x / y,
    "frem double %x, %y": lambda x, y, n, m: np.fmod(x, y),
    "fneg double %x": lambda x, y, n, m: -x,
    "fmul double %x, 0x3FF8000000000000": lambda x, y, n, m: x * 1.5,
    "call double @llvm.fabs.f64(double %x)": lambda x, y, n, m: abs(x),
    "call double @llvm.sqrt.f64(double %x)": lambda x, y, n, m: np.sqrt(x),
    "call double @llvm.maxnum.f64(double %x, double %y)": lambda x, y, n, m: np.fmax(x, y),
    "call double @llvm.copysign.f64(double %x, double %y)": lambda x, y, n, m: np.copysign(x, y),
    "call double @tanh(double %x)": lambda x, y, n, m: np.tanh(x),
    "call double @pow(double %x, double %y)": lambda x, y, n, m: x**y,
    "sitofp i64 %n to double": lambda x, y, n, m: float(n),
}
CONDITIONS = {
    "fcmp olt double %x, %y": lambda x, y, n, m: x < y,
    "fcmp ult double %x, %y": lambda x, y, n, m: not x >= y,
    "fcmp uge double %x, %y": lambda x, y, n, m: not x < y,
    "fcmp une double %x, %y": lambda x, y, n, m: x != y,
    "fcmp oeq double %x, %y": lambda x, y, n, m: x == y,
    "fcmp uno double %x, %y": lambda x, y, n, m: math.isnan(x) or math.isnan(y),
    "fcmp ord double %x, %y": lambda x, y, n, m: not (math.isnan(x) or math.isnan(y)),
    "icmp slt i64 %n, %m": lambda x, y, n, m: n < m,
    "icmp ne i64 %n, 3": lambda x, y, n, m: n != 3,
}
VALUES = [-2.5, -1.0, 0.0, 0.5, 1.0, 3.0, float("nan"), float("inf")]
DECLARED = "\n".join(
    f"declare double @{name}({', '.join(['double'] * count)})"
    for name, count in [
        ("llvm.fabs.f64", 1), ("llvm.sqrt.f64", 1), ("llvm.maxnum.f64", 2),
        ("llvm.copysign.f64", 2), ("tanh", 1), ("pow", 2),
    ]
)  # fmt: skip
HEADER = "define double @f(double %x, double %y, i64 %n, i64 %m) {\n"


def meaning(body, own, name):
    """The function as an expression, as a call, and as NumPy has it, for many values."""
    operator = tracejit.op(HEADER + body + "}\n" + DECLARED, name=name)
    pairs = [(x, y, k % 5, 3) for k, x in enumerate(VALUES) for y in VALUES]
    x, y, n, m = map(np.array, zip(*pairs))
    with np.errstate(all="ignore"):
        wanted = np.array([own(a, b, int(c), int(d)) for a, b, c, d in zip(x, y, n, m)])
        called = operator(x, y, n, m)
        compiled = tracejit.jit(lambda *a: operator(*a))(x, y, n, m)
    np.testing.assert_allclose(called, wanted, rtol=1e-12)
    np.testing.assert_allclose(compiled, wanted, rtol=1e-12)
    (loop,) = operator.implementations["foreign"].loops
    return loop.expression


@pytest.mark.parametrize("text", INSTRUCTIONS)
def test_instructions(text):
    own = INSTRUCTIONS[text]

    def real(x, y, n, m):
        return own(np.float64(x), np.float64(y), n, m)

    assert meaning(f"  %r = {text}\n  ret double %r\n", real, "instruction") is not None


@pytest.mark.parametrize("text", CONDITIONS)
@pytest.mark.parametrize("form", ["select", "branch", "returns"])
def test_conditions(text, form):
    own = CONDITIONS[text]
    bodies = {
        "select": f"  %c = {text}\n  %r = select i1 %c, double 1.0, double 2.0\n  ret double %r\n",
        "branch": f"""
  %c = {text}
  br i1 %c, label %a, label %b
a:
  %s = call double @tanh(double 0.0)
  %t = fadd double %s, 1.0
  br label %e
b:
  br label %e
e:
  %r = phi double [ %t, %a ], [ 2.0, %b ]
  ret double %r
""",
        "returns": f"  %c = {text}\n  br i1 %c, label %a, label %b\na:\n  ret double 1.0\nb:\n  ret double 2.0\n",
    }
    expression = meaning(bodies[form], lambda *v: 1.0 if own(*v) else 2.0, "condition")
    assert expression is not None


def test_what_is_no_expression():
    for body in (
        "  %r = load double, ptr null\n  ret double %r\n",
        "  %q = sdiv i64 %n, %m\n  %r = sitofp i64 %q to double\n  ret double %r\n",
        "  %r = call double @unknown(double %x)\n  ret double %r\n",
    ):
        text = HEADER + body + "}\ndeclare double @unknown(double)\n"
        function = read_function(text)
        definition = read_definition(function.text, function.symbol)
        assert translated(definition, (f64, f64, i64, i64)) is None
    assert [v.dtype for v in variables((f32, bool_))] == [f32, bool_]


# Numba and SciPy.


def test_a_numba_function_is_inlined_for_the_dtypes_it_meets():
    @numba.njit
    def soft(x, y):
        return x * x / (1.0 + y) if x > 1 else math.exp(y)

    soft = tracejit.op(soft, name="my_soft")
    lowered = check(lambda x: soft(x, 0.5 * x) + 1, X)
    assert kernels_of(lowered) == 1 and "soft_foreign" not in str(lowered)
    check(lambda x: soft(x, x), X.astype(np.float32), rtol=1e-6)
    assert len(soft.implementations["foreign"].loops) >= 2
    assert soft(2.0, 1.0) == 2.0


def test_a_numba_cfunc_and_a_loop():
    @numba.cfunc("float64(float64, int64)", error_model="numpy")
    def series(x, n):
        total = 0.0
        for k in range(n):
            total += x**k / (k + 1.0)
        return total

    series = tracejit.op(series, name="my_series")
    n = np.arange(37) % 7
    lowered = check(lambda x, n: series(x / 4, n) * 2, X, n)
    assert "series_foreign(" in str(lowered)


def test_a_numba_function_that_may_raise_is_refused():
    @numba.njit
    def careful(x):
        if x < 0:
            raise ValueError("negative")
        return x

    with pytest.raises(TypeError, match="may raise an exception"):
        tracejit.jit(tracejit.op(careful, name="my_careful"))(X)


def test_scipy_low_level_callables():
    from scipy import LowLevelCallable

    own = LowLevelCallable(c_function("cos", c_double, c_double))
    check(lambda x: tracejit.op(own, name="my_cos_llc")(x) + 1, X)
    with_data = LowLevelCallable.from_cython(
        __import__("scipy.special.cython_special", fromlist=["x"]), "j1"
    )
    operator = tracejit.op(with_data, name="my_j1_llc")
    np.testing.assert_allclose(operator(X, 0), scipy_special.j1(X), rtol=1e-13)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 70), st.sampled_from(["j0", "j1", "y0", "erf", "lgamma"]))
def test_any_length(n, name):
    operator = tracejit.op(c_function(name, c_double, c_double), name=f"my_any_{name}")
    x = np.linspace(0.5, 9, n)
    np.testing.assert_array_equal(tracejit.jit(lambda x: operator(x))(x), operator(x))


def test_records_are_known(j0):
    assert SCALARS["my_bessel_foreign"].operands == (f64,)
