"""runtime.engine: text to object code to addresses, errors, unloading, threads, fork."""

import ctypes
import gc
import os
import sys
import threading

import pytest
from children import run_in_child, run_python
from llvmlite import binding

from tracejit.errors import CompileError
from tracejit.runtime import engine

# Python 3.12 and later warn of the very thing that is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

ADD = """
define i64 @f(i64 %x) {
  %y = add i64 %x, ADDEND
  ret i64 %y
}
"""


def make_adder(addend: int) -> engine.Library:
    return engine.load(engine.compile_ir(ADD.replace("ADDEND", str(addend))), ["f"])


def call(library: engine.Library, argument: int, name: str = "f") -> int:
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address(name))
    return function(argument)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("passes", ["", "O1", "O2", "O3"])
def test_levels_and_passes_give_the_same_function(level, passes):
    code = engine.compile_ir(ADD.replace("ADDEND", "-7"), level, passes)
    assert call(engine.load(code, ["f"]), 49) == 42


def test_level_and_passes_are_checked():
    with pytest.raises(ValueError, match="level is 4"):
        engine.compile_ir(ADD.replace("ADDEND", "1"), level=4)
    with pytest.raises(ValueError, match="passes is 'O9'"):
        engine.compile_ir(ADD.replace("ADDEND", "1"), passes="O9")


def test_libraries_with_equal_symbols_are_independent():
    first, second = make_adder(1), make_adder(2)
    assert (call(first, 10), call(second, 10)) == (11, 12)


def test_only_exports_have_addresses():
    library = make_adder(1)
    with pytest.raises(KeyError):
        library.address("g")


def test_several_exports_and_data():
    text = "@data = global i64 5\n" + ADD.replace("ADDEND", "1") + "@g = alias i64 (i64), ptr @f"
    library = engine.load(engine.compile_ir(text), ["f", "g", "data"])
    assert call(library, 1, "g") == 2
    assert ctypes.c_int64.from_address(library.address("data")).value == 5


def test_imports_are_bound_before_the_process():
    callback = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: x * 100)
    text = """
    declare i64 @labs(i64)
    define i64 @f(i64 %x) {
      %y = call i64 @labs(i64 %x)
      ret i64 %y
    }
    """
    code = engine.compile_ir(text)
    assert call(engine.load(code, ["f"]), -3) == 3
    address = ctypes.cast(callback, ctypes.c_void_p).value
    assert call(engine.load(code, ["f"], {"labs": address}), -3) == -300


def test_libm_is_resolvable():
    text = """
    declare double @erf(double)
    define double @f(double %x) {
      %y = call double @erf(double %x)
      ret double %y
    }
    """
    library = engine.load(engine.compile_ir(text), ["f"])
    function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(library.address("f"))
    assert function(1.0) == pytest.approx(0.8427007929497149, rel=1e-15)


def test_a_syntax_error_names_the_callers_line():
    with pytest.raises(CompileError, match="2:11: error: '%x' defined with type 'i64'"):
        engine.compile_ir("define i64 @f(i64 %x) {\n  ret i32 %x\n}")


def test_illegal_code_is_an_error_not_a_crash():
    text = """
    define i64 @f(i1 %x) {
      br i1 %x, label %a, label %b
    a:
      %y = add i64 1, 2
      br label %b
    b:
      ret i64 %y
    }
    """
    with pytest.raises(CompileError, match="does not dominate"):
        engine.compile_ir(text)


def test_link_errors():
    code = engine.compile_ir(ADD.replace("ADDEND", "1"))
    with pytest.raises(CompileError, match="cannot link.*not_there"):
        engine.load(code, ["not_there"])
    with pytest.raises(CompileError, match="cannot link"):
        engine.load(b"not an object file", ["f"])
    undefined = "declare void @tracejit_nowhere()\ndefine void @f() {\n"
    undefined += "  call void @tracejit_nowhere()\n  ret void\n}"
    with pytest.raises(CompileError, match="cannot link"):
        engine.load(engine.compile_ir(undefined), ["f"])
    assert call(make_adder(1), 1) == 2


def test_target_describes_the_host():
    host = engine.target()
    assert engine.target() is host
    assert host.vector_bytes in (16, 32, 64)
    assert host.has_masks or host.vector_bytes < 64
    assert host.data_layout and host.triple and host.cpu
    assert "llvmlite" in engine.compiler_version()


def test_code_for_another_target():
    text = """
    define <16 x float> @f(<16 x float> %x) {
      %y = fadd <16 x float> %x, %x
      ret <16 x float> %y
    }
    """
    if "x86_64" not in engine.target().triple:
        pytest.skip("the text names x86 registers")
    baseline = engine.target()._replace(cpu="x86-64", features="")
    assert "xmm" in engine.assembly(text, target=baseline)
    assert "zmm" not in engine.assembly(text, target=baseline)
    wide = engine.target()._replace(cpu="x86-64-v4", features="")
    assert "zmm" in engine.assembly(text, target=wide)


def mapped_executable_bytes() -> int:
    total = 0
    with open("/proc/self/maps") as maps:
        for line in maps:
            bounds, permissions = line.split()[:2]
            if "x" in permissions:
                low, high = (int(bound, 16) for bound in bounds.split("-"))
                total += high - low
    return total


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")
def test_dropped_libraries_are_unloaded():
    code = engine.compile_ir(ADD.replace("ADDEND", "1"))
    for _ in range(20):
        engine.load(code, ["f"])
    gc.collect()
    before = mapped_executable_bytes()
    for _ in range(200):
        engine.load(code, ["f"])
    gc.collect()
    assert mapped_executable_bytes() - before < 50 * 4096
    kept = [engine.load(code, ["f"]) for _ in range(200)]
    assert mapped_executable_bytes() - before >= 200 * 4096
    assert all(call(library, 1) == 2 for library in kept)


@pytest.mark.parametrize("in_cycle", [False, True])
def test_a_library_dropped_while_llvm_is_busy_is_unloaded_later(in_cycle):
    library = make_adder(1)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("f"))
    cycle = [library] if in_cycle else []
    cycle.append(cycle)
    held, release = threading.Event(), threading.Event()

    def hold():
        with engine.lock:
            held.set()
            release.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    del library, cycle  # must not wait for the lock
    gc.collect()
    assert len(engine._dropped) == 1
    assert function(1) == 2  # nothing but the engine unloads it
    release.set()
    thread.join()
    make_adder(2)
    assert not engine._dropped


def test_many_threads_compile_and_load():
    results = {}

    def work(addend):
        for round_number in range(8):
            results[addend, round_number] = call(make_adder(addend), round_number)

    threads = [threading.Thread(target=work, args=(addend,)) for addend in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {(addend, k): addend + k for addend in range(6) for k in range(8)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_an_interrupt_inside_llvmlite_leaves_its_lock_free(monkeypatch):
    make_adder(1)
    lock = binding.ffi.lib._lock._lock

    def interrupted(*_):
        lock.acquire()
        raise KeyboardInterrupt

    monkeypatch.setattr(binding, "parse_assembly", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_adder(2)
    monkeypatch.undo()
    found = []
    thread = threading.Thread(target=lambda: found.append(call(make_adder(3), 4)), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert found == [7]


def test_the_child_of_a_fork_can_compile():
    library = make_adder(1)
    stop = threading.Event()

    def compile_for_ever():
        while not stop.is_set():
            make_adder(3)

    def work():
        assert call(library, 1) == 2
        assert call(make_adder(5), 1) == 6

    thread = threading.Thread(target=compile_for_ever)
    thread.start()
    try:
        assert [run_in_child(work) for _ in range(10)] == [0] * 10
    finally:
        stop.set()
        thread.join()


def test_llvmlite_is_imported_lazily_and_exit_is_clean():
    program = """
import sys
from tracejit.runtime import engine
assert "llvmlite" not in sys.modules
code = engine.compile_ir("define i64 @f(i64 %x) { ret i64 %x }")
kept = engine.load(code, ["f"])
"""
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")


# Where the process has no room for code and constants side by side but far below, and a page for constants alone
# above: with gigabytes between them, one cannot name the other's place.
FRAGMENTED = """
import ctypes
from tracejit.runtime import engine

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long
]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
READ, PRIVATE_ANONYMOUS_NORESERVE, PAGE = 1, 0x4022, 4096


def taken(size):
    place = libc.mmap(None, size, READ, PRIVATE_ANONYMOUS_NORESERVE, -1, 0)
    if place == ctypes.c_void_p(-1).value:
        print("no room")
        raise SystemExit
    return place


steps = [
    f"%a{k} = fmul double %x{k}, {1.5 + k % 60}\\n%x{k + 1} = fadd double %a{k}, {0.25 + k % 60}" for k in range(900)
]
code = engine.compile_ir(
    "define double @f(double %x0) {\\n" + "\\n".join(steps) + "\\nret double %x900\\n}"
)
first = engine.load(code, ["f"])
pages = [taken(PAGE) for _ in range(60)]
far = taken(5 << 30)
for size in (1 << 24, 1 << 20, 1 << 16, 2 * PAGE):
    for _ in range(30_000):
        if taken(size) < far:
            break
for page in pages[1::2]:
    libc.munmap(page, PAGE)
second = engine.load(code, ["f"])
f, g = [ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(x._addresses["f"]) for x in (first, second)]
assert f(0.0) == g(0.0)
print("linked")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is taken as Linux gives it")
def test_code_and_constants_are_near_each_other_in_a_process_with_much_memory():
    done = run_python(FRAGMENTED)
    if "no room" in done.stdout:
        pytest.skip("so much address space is not allowed")
    assert done.stdout == "linked\n", done.stderr[-500:]
