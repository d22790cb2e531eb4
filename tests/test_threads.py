"""runtime.threads: every iteration once, limits, nesting, Python threads, fork, signals, exit."""

import ctypes
import functools
import multiprocessing
import os
import signal
import sys
import threading
import time

import pytest
from children import run_in_child, run_python

from tracejit.runtime import engine, threads

BODIES = """
declare void @tj_parallel_for(ptr, ptr, i64, i64, i64)
declare i64 @pthread_self()
declare i32 @sched_yield()

define void @count(ptr %context, i64 %i) {
  %a = atomicrmw add ptr %context, i64 1 seq_cst
  ret void
}

define void @mark(ptr %context, i64 %i) {
  %at = getelementptr i8, ptr %context, i64 %i
  %old = load i8, ptr %at
  %new = add i8 %old, 1
  store i8 %new, ptr %at
  ret void
}

; context[i] = this thread
define void @who(ptr %context, i64 %i) {
  %self = call i64 @pthread_self()
  %at = getelementptr i64, ptr %context, i64 %i
  store i64 %self, ptr %at
  %y = call i32 @sched_yield()
  ret void
}

; Wait until context[1] threads are here at once; context[2] counts those who gave up.
define void @meet(ptr %context, i64 %i) {
entry:
  %wanted_at = getelementptr i64, ptr %context, i64 1
  %wanted = load i64, ptr %wanted_at
  %gave_up_at = getelementptr i64, ptr %context, i64 2
  %before = atomicrmw add ptr %context, i64 1 seq_cst
  br label %look
look:
  %turn = phi i64 [ 0, %entry ], [ %next, %wait ]
  %here = load atomic i64, ptr %context acquire, align 8
  %all = icmp uge i64 %here, %wanted
  br i1 %all, label %done, label %wait
wait:
  %y = call i32 @sched_yield()
  %next = add i64 %turn, 1
  %late = icmp ugt i64 %next, 20000000
  br i1 %late, label %give_up, label %look
give_up:
  %g = atomicrmw add ptr %gave_up_at, i64 1 seq_cst
  br label %done
done:
  ret void
}

; context[3 + i] = this thread, once all are here
define void @place(ptr %context, i64 %i) {
  call void @meet(ptr %context, i64 %i)
  %self = call i64 @pthread_self()
  %behind = add i64 %i, 3
  %at = getelementptr i64, ptr %context, i64 %behind
  store i64 %self, ptr %at
  ret void
}

define void @nest(ptr %context, i64 %i) {
  call void @tj_parallel_for(ptr @count, ptr %context, i64 16, i64 0, i64 0)
  ret void
}

define void @repeat(ptr %function, ptr %context, i64 %count, i64 %regions) {
entry:
  br label %again
again:
  %done = phi i64 [ 0, %entry ], [ %next, %again ]
  call void @tj_parallel_for(ptr %function, ptr %context, i64 %count, i64 0, i64 0)
  %next = add i64 %done, 1
  %is_last = icmp eq i64 %next, %regions
  br i1 %is_last, label %out, label %again
out:
  ret void
}
"""

# Python 3.12 and later warn of the very thing that is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


class Pool:
    """A pool's entry point with the test bodies bound to it."""

    def __init__(self, address: int):
        names = ["count", "mark", "who", "meet", "place", "nest", "repeat"]
        self.bodies = engine.load(engine.compile_ir(BODIES), names, {"tj_parallel_for": address})
        integer, pointer = ctypes.c_int64, ctypes.c_void_p
        signature = ctypes.CFUNCTYPE(None, pointer, pointer, *[integer] * 3)
        self._run = signature(address)
        again = ctypes.CFUNCTYPE(None, pointer, pointer, integer, integer)
        self._repeat = again(self.bodies.address("repeat"))

    def run(
        self, body: str, context, count: int, max_threads: int = 0, nanoseconds: int = 0
    ) -> None:
        address = self.bodies.address(body)
        self._run(address, ctypes.addressof(context), count, max_threads, nanoseconds)

    def repeat(self, body: str, context, count: int, regions: int) -> None:
        self._repeat(self.bodies.address(body), ctypes.addressof(context), count, regions)

    def count(self, count: int, max_threads: int = 0) -> int:
        context = ctypes.c_int64(0)
        self.run("count", context, count, max_threads)
        return context.value

    def meet(self, wanted: int) -> bool:
        """Whether that many threads can be inside one region at once."""
        context = (ctypes.c_int64 * 3)(0, wanted, 0)
        self.run("meet", context, wanted)
        return context[2] == 0


def systems() -> list[str]:
    native = threads._platform()[0]
    return {"linux": ["linux", "posix", "none"], "posix": ["posix", "none"]}.get(native, ["none"])


@functools.cache  # for ever, as the workers live for ever
def load_pool(system: str) -> engine.Library:
    return threads._load(system, threads._platform()[1])


@pytest.fixture(params=systems())
def pool(request, monkeypatch):
    """The pool with each of the platform parts this system can run; four threads."""
    monkeypatch.setattr(threads, "_library", load_pool(request.param))
    with threads.threads(4):
        made = Pool(threads.parallel_for_address())
        made.is_parallel = request.param != "none"
        yield made


@pytest.fixture
def native_pool():
    with threads.threads(2):
        yield Pool(threads.parallel_for_address())


@pytest.mark.parametrize("count", [-3, 0, 1, 2, 3, 4, 5, 63, 100_001])
def test_every_iteration_runs_once(pool, count):
    marks = (ctypes.c_uint8 * (max(count, 0) + 1))()
    pool.run("mark", marks, count)
    assert bytes(marks) == b"\1" * max(count, 0) + b"\0"


@pytest.mark.parametrize("max_threads", [1, 2, 3, 9, -1])
def test_at_most_max_threads_take_part(pool, max_threads):
    cap = min(max_threads, 4) if max_threads > 0 else 4
    for _ in range(50):
        who = (ctypes.c_int64 * 64)()
        pool.run("who", who, 64, max_threads)
        assert 0 not in who
        assert len(set(who)) <= cap


def test_threads_really_run_at_once(pool):
    if not pool.is_parallel:
        pytest.skip("this platform part is serial")
    assert pool.meet(4)
    time.sleep(0.01)  # every worker is parked now
    assert pool.meet(4)


def test_little_work_wakes_nobody(pool):
    if not pool.is_parallel:
        pytest.skip("this platform part is serial")

    def workers(nanoseconds: int) -> int:
        """How many take part in a long region that is said to take so long, after all went to sleep."""
        time.sleep(0.05)
        who = (ctypes.c_int64 * 50_000)()
        pool.run("who", who, len(who), 0, nanoseconds)
        return len(set(who))

    assert pool.meet(4)
    # On a busy machine some may not have gone to sleep yet.
    assert any(workers(1) == 1 for _ in range(20))
    assert any(workers(0) > 1 for _ in range(20)), "unknown work does"
    assert any(workers(1000) > 1 for _ in range(20)), "and so does much"


def test_the_limit_goes_up_and_down(pool):
    for limit in (1, 3, 16, 2, 40, 1, 5):
        with threads.threads(limit):
            who = (ctypes.c_int64 * 64)()
            pool.run("who", who, 64)
            assert 1 <= len(set(who)) <= limit
            assert pool.count(1000) == 1000
            assert not pool.is_parallel or pool.meet(limit)


def test_nested_regions(pool):
    context = ctypes.c_int64(0)
    pool.run("nest", context, 64)
    assert context.value == 64 * 16


def test_many_regions(pool):
    context = ctypes.c_int64(0)
    with threads.threads(2):
        pool.repeat("count", context, 5, 200_000)
    assert context.value == 1_000_000


def test_regions_with_pauses_of_every_length(pool):
    for step in range(300):
        assert pool.count(10) == 10
        time.sleep(step * 1e-6)


def test_more_threads_than_cores(pool):
    with threads.threads(32):
        context = ctypes.c_int64(0)
        pool.repeat("count", context, 100, 300)
        assert context.value == 30_000


def test_many_python_threads_and_a_changing_limit(pool):
    wrong = []
    stop = threading.Event()

    def work():
        for _ in range(1500):
            got = pool.count(37)
            if got != 37:
                wrong.append(got)

    def change():
        while not stop.is_set():
            for limit in (1, 2, 5, 3):
                threads.set_num_threads(limit)

    before = threads.get_num_threads()
    workers = [threading.Thread(target=work) for _ in range(6)]
    changer = threading.Thread(target=change)
    for thread in [*workers, changer]:
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    changer.join()
    threads.set_num_threads(before)
    assert wrong == []


@needs_fork
def test_fork(pool):
    assert pool.count(1000) == 1000

    def work():
        assert pool.count(1000) == 1000
        assert not pool.is_parallel or pool.meet(4)

    assert run_in_child(work) == 0
    assert run_in_child(lambda: run_in_child(work) == 0 or os._exit(1)) == 0
    assert pool.count(1000) == 1000


@needs_fork
def test_fork_during_a_region(pool):
    stop = threading.Event()

    def run_regions():
        context = ctypes.c_int64(0)
        while not stop.is_set():
            pool.repeat("count", context, 50, 100)

    def work():
        for _ in range(20):
            assert pool.count(10) == 10
        assert not pool.is_parallel or pool.meet(4)

    thread = threading.Thread(target=run_regions)
    thread.start()
    try:
        assert [run_in_child(work) for _ in range(15)] == [0] * 15
    finally:
        stop.set()
        thread.join()


@needs_fork
def test_a_fork_that_python_does_not_see(native_pool):
    assert native_pool.meet(2)
    libc = ctypes.PyDLL(None)  # keeps the GIL: the child is a copy of a thread that holds it
    pid = libc.fork()
    if pid == 0:
        signal.alarm(20)
        os._exit(0 if native_pool.count(100) == 100 and native_pool.meet(2) else 1)
    assert os.waitpid(pid, 0)[1] == 0


def count_to(count: int) -> int:
    with threads.threads(2):
        return Pool(threads.parallel_for_address()).count(count)


@needs_fork
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(native_pool, method):
    assert native_pool.meet(2)
    with multiprocessing.get_context(method).Pool(2) as processes:
        assert processes.map(count_to, range(1, 5)) == [1, 2, 3, 4]


def worker_fields(field: str) -> set[str]:
    """A field of /proc's status of every thread that Python did not start."""
    known = {thread.native_id for thread in threading.enumerate()} | {os.getpid()}
    found = set()
    for task in set(map(int, os.listdir("/proc/self/task"))) - known:
        with open(f"/proc/self/task/{task}/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        found.add(lines[field].strip())
    return found


IDLE = """
import sys, time
sys.path.insert(0, {tests!r})
from test_threads import Pool, threads, worker_fields
threads.set_num_threads(3)
assert Pool(threads.parallel_for_address()).meet(3)
time.sleep(0.2)
print(worker_fields("State"), worker_fields("SigBlk"))
"""


@needs_linux
def test_idle_workers_sleep_and_leave_signals_to_python():
    done = run_python(IDLE.format(tests=os.path.dirname(__file__)), OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    states, blocked = done.stdout.split("} {")
    assert states == "{'S (sleeping)'"
    blocked = int(blocked.strip(" {}'\n"), 16)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD):
        assert blocked & 1 << (number - 1)
    for number in (signal.SIGSEGV, signal.SIGFPE, signal.SIGILL, signal.SIGBUS):
        assert not blocked & 1 << (number - 1)


PLACES = """
import ctypes, sys, time
sys.path.insert(0, {tests!r})
from test_threads import Pool, threads
threads.set_num_threads(3)
pool = Pool(threads.parallel_for_address())
seen = set()
for k in range(40):
    context = (ctypes.c_int64 * 6)(0, 3, 0)
    pool.run("place", context, 3)
    assert context[2] == 0
    seen.add(tuple(context[3:]))
    time.sleep(0.001 * (k % 3))
assert len(seen) == 1, seen
"""


@needs_linux
def test_each_thread_begins_with_iterations_of_its_own():
    done = run_python(PLACES.format(tests=os.path.dirname(__file__)))
    assert (done.returncode, done.stderr) == (0, "")


PROCESSORS = """
import os, sys, time
sys.path.insert(0, {tests!r})
from test_threads import Pool, threads, worker_fields
def processors():
    (mask,) = worker_fields("Cpus_allowed")
    mask = int(mask.replace(",", ""), 16)
    return {{n for n in range(mask.bit_length()) if mask >> n & 1}}
allowed = os.sched_getaffinity(0)
threads.set_num_threads(3)
pool = Pool(threads.parallel_for_address())
assert pool.meet(3)
assert processors() < allowed and len(processors()) == len(allowed) - 1
# A caller with one processor only changes nothing, not even which workers take part.
left = processors()
os.sched_setaffinity(0, {{min(allowed)}})
time.sleep(0.05)
assert pool.meet(3)
assert processors() == left
# The next one that must wake somebody may be on another processor.
for here in sorted(allowed)[:2]:
    os.sched_setaffinity(0, {{here}})
    os.sched_setaffinity(0, sorted(allowed)[:2])
    time.sleep(0.05)
    assert pool.meet(3)
    assert len(processors()) == 1 and processors() < set(sorted(allowed)[:2])
if os.fork() == 0:
    os.sched_setaffinity(0, allowed)
    assert pool.meet(3)
    assert len(processors()) == len(allowed) - 1
    os._exit(0)
assert os.wait()[1] == 0
"""


@needs_linux
def test_workers_keep_off_their_callers_processor():
    if threads._platform()[0] != "linux" or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor, or no way to choose")
    program = PROCESSORS.format(tests=os.path.dirname(__file__))
    # Python 3.12 warns where a process with threads forks.
    quiet = {"OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    done = run_python(program, **quiet)
    assert (done.returncode, done.stderr) == (0, "")


EXIT = """
import ctypes, sys, threading, time
sys.path.insert(0, {tests!r})
from test_threads import Pool, threads
threads.set_num_threads(3)
pool = Pool(threads.parallel_for_address())
assert pool.meet(3)
{ending}
"""
ENDINGS = {
    "spinning": "",
    "parked": "time.sleep(0.05)",
    "sys.exit": "pool.count(1000); sys.exit(0)",
    "busy": """
context = ctypes.c_int64(0)
body = lambda: pool.repeat("count", context, 50, 1 << 40)
threading.Thread(target=body, daemon=True).start()
time.sleep(0.05)
""",
    "raised limit": "threads.set_num_threads(8); assert pool.meet(8)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_exits_whatever_the_workers_do(ending):
    program = EXIT.format(tests=os.path.dirname(__file__), ending=ENDINGS[ending])
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_interrupt_arrives_after_the_region(native_pool):
    context = ctypes.c_int64(0)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            for _ in range(1000):
                native_pool.repeat("count", context, 100, 500)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert context.value % 50_000 == 0
    assert native_pool.count(100) == 100


REFUSAL = """
import resource, sys
sys.path.insert(0, {tests!r})
from test_threads import Pool, threads
threads.set_num_threads(4)
pool = Pool(threads.parallel_for_address())
with open("/proc/self/statm") as statm:
    size = int(statm.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (4 << 20), resource.RLIM_INFINITY))
for _ in range(3000):
    assert pool.count(10) == 10
with open("/proc/self/status") as status:
    assert "Threads:\\t1\\n" in status
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for _ in range(1100):
    assert pool.count(10) == 10
assert pool.meet(4)
"""


@needs_linux
def test_without_memory_for_threads_the_caller_works_alone():
    program = REFUSAL.format(tests=os.path.dirname(__file__))
    done = run_python(program, OPENBLAS_NUM_THREADS="1")
    assert (done.returncode, done.stderr) == (0, "")


def test_limits_are_checked():
    before = threads.get_num_threads()
    for wrong in (0, -1, 1025):
        with pytest.raises(ValueError, match="from 1 to 1024"):
            threads.set_num_threads(wrong)
    with pytest.raises(TypeError):
        threads.set_num_threads(2.0)
    assert threads.get_num_threads() == before


def test_threads_nests_and_restores():
    before = threads.get_num_threads()
    with threads.threads(3):
        with threads.threads(5):
            assert threads.get_num_threads() == 5
        assert threads.get_num_threads() == 3
        with pytest.raises(KeyError), threads.threads(7):
            raise KeyError
        assert threads.get_num_threads() == 3
    assert threads.get_num_threads() == before


def test_the_default_comes_from_the_environment_or_the_affinity():
    program = "from tracejit.runtime import threads; print(threads.get_num_threads())"
    assert run_python(program, TRACEJIT_THREADS="3").stdout == "3\n"
    assert run_python(program, TRACEJIT_THREADS="5000").stdout == "1024\n"
    if hasattr(os, "sched_getaffinity"):
        expected = f"{len(os.sched_getaffinity(0))}\n"
        assert run_python(program, TRACEJIT_THREADS="0").stdout == expected
