"""LLVM: what the host is, text to object code, object code to addresses, text to assembly.

llvmlite is imported at the first call that needs it, never with the package: the import alone
takes longer than most compiles. Every call into LLVM holds ``lock``, which ``fork`` also takes, so
a child never inherits an LLVM that another thread had half-way through something. Modules that
load native code once per process do so under the same lock, for the same reason.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import itertools
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tracejit.errors import CompileError

lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )

_llvm: _LLVM | None = None


class Target(NamedTuple):
    """A machine to generate code for.

    ``features`` is LLVM's list (``"+avx2,-sse4a,..."``); ``vector_bytes`` is the width of the widest
    vector register the code should use; ``has_masks`` says that lanes can be masked for free;
    ``permutes`` is the instruction set that picks lanes at run time: "avx512", "avx2" or none;
    ``dots``: it multiplies four bytes with four others, and adds them up, in one instruction.
    """

    triple: str
    cpu: str
    features: str
    data_layout: str
    vector_bytes: int
    has_masks: bool
    permutes: str
    dots: bool = False


class Library:
    """Machine code in memory; dropping the last reference unloads it.

    `keep` is for objects whose addresses are in the code.
    """

    __slots__ = ("__weakref__", "_addresses", "_better", "_cells", "_tracked", "keep")
    keep: Any

    def __init__(self, tracked: Any, addresses: dict[str, int]):
        self._tracked = tracked
        self._addresses = addresses
        self._cells = {name: ctypes.c_void_p(address) for name, address in addresses.items()}
        self._better: Library | None = None
        self.keep = None

    def address(self, name: str) -> int:
        """The address of an exported symbol; KeyError if it was not exported."""
        return self._addresses[name]

    def cell(self, name: str) -> int:
        """The address of a word that holds the symbol's address, or that of its replacement."""
        return ctypes.addressof(self._cells[name])

    @property
    def is_replaced(self) -> bool:
        """Whether the cells lead to other code."""
        return self._better is not None

    def replace(self, better: Library) -> None:
        """Let the cells lead to another library, of the same exports; this one's code stays."""
        self._better = better
        for name, cell in self._cells.items():
            cell.value = better.address(name)

    def __del__(self, is_finalizing=sys.is_finalizing) -> None:
        # While the interpreter goes down other threads may still run this code: leave it there.
        if not is_finalizing():
            _unload(self._tracked)


def target() -> Target:
    """The machine this process runs on."""
    return _load_llvm().host


def compiler_version() -> str:
    """What generates the code, for cache keys: the versions of llvmlite and LLVM."""
    return _load_llvm().version


# limit: what LLVM calls a fatal error (an instruction it cannot select for the target) ends the
# process; only text that does not parse or verify becomes an exception.
def compile_ir(text: str, level: int = 2, passes: str = "", target: Target | None = None) -> bytes:
    """LLVM IR text, without triple and data layout, to relocatable object code.

    ``level`` (0 to 3) is the effort of LLVM's code generator. ``passes`` names an LLVM pipeline to
    run before it (``"O0"``, which inlines what must be, ``"O1"``, ``"O2"`` or ``"O3"``); the default runs
    none: the text is expected to be clean and vectorised already. ``target`` is the host unless given. Raises CompileError with
    LLVM's message when the text is not legal.
    """
    return _compile(text, level, passes, target, "emit_object")


def assembly(text: str, level: int = 2, passes: str = "", target: Target | None = None) -> str:
    """The assembly that ``compile_ir`` with the same arguments encodes."""
    return _compile(text, level, passes, target, "emit_assembly")


def assemble(text: str) -> bytes:
    """Assembly text, as ``assembly`` gives it, to relocatable object code. Raises CompileError where it is none."""
    lines = [line.translate(_QUOTED) for line in text.splitlines()]
    with _using_llvm() as llvm:
        llvm.binding.initialize_native_asmparser()
    # limit: LLVM ends the process where it cannot read a line; nobody but us writes any.
    return compile_ir("\n".join([f'module asm "{line}"' for line in lines]))


_QUOTED = str.maketrans({"\\": "\\5C", '"': "\\22", "\t": "\\09"})


# limit: LLVM keeps about 9 KB per library that was ever loaded, even when it is unloaded.
def load(
    object_code: bytes, exports: Sequence[str], imports: Mapping[str, int] | None = None
) -> Library:
    """Link object code into the process.

    ``exports`` are the symbols whose addresses the Library will know; ``imports`` gives addresses
    to symbols the code declares. Other declared symbols are looked up in the process (libc, libm,
    pthread). Raises CompileError when a symbol cannot be found or the object is malformed.
    """
    with _using_llvm() as llvm:
        _unload_dropped()
        builder = llvm.binding.JITLibraryBuilder().add_object_img(object_code)
        builder.add_current_process()
        for name in exports:
            builder.export_symbol(name)
        for name, address in (imports or {}).items():
            builder.import_symbol(name, address)
        try:
            tracker = builder.link(llvm.jit, f"library{next(llvm.names)}")
        except RuntimeError as error:
            hint = "every symbol the code declares must be imported or exist in the process"
            raise CompileError(f"cannot link: {error}", hint=hint) from None
        library = Library(tracker._as_parameter_, {name: tracker[name] for name in exports})
        # Unloading is for the Library alone: a finalizer of the tracker's own would do it again
        # when both are found in one garbage cycle, and without the lock.
        tracker.detach()
        return library


class _LLVM:
    """llvmlite's module and the few long-lived LLVM objects; made once, under the lock."""

    def __init__(self):
        import llvmlite
        import llvmlite.binding

        self.binding = llvmlite.binding
        numbers = ".".join(map(str, self.binding.llvm_version_info))
        self.version = f"llvmlite {llvmlite.__version__}, LLVM {numbers}"
        self.binding.initialize_native_target()
        self.binding.initialize_native_asmprinter()
        self._machines: dict[tuple, Any] = {}
        self.host = self._detect_host()
        self.names = itertools.count()
        # JITLink has the code of a library and its constants in one piece of memory. The other linker maps
        # them one by one: in a process with gigabytes of memory they may be too far apart for each
        # other, and LLVM ends the process.
        self.jit = self.binding.create_lljit_compiler(
            self.machine(self.host, 2), use_jit_link=os.name == "posix", suppress_errors=True
        )

    def _detect_host(self) -> Target:
        triple = self.binding.get_process_triple()
        cpu = self.binding.get_host_cpu_name()
        feature_map = self.binding.get_host_cpu_features()
        features = feature_map.flatten()
        # Masks need AVX-512 for all widths (VL) and all element sizes (BW).
        has_avx512 = all(feature_map.get(f"avx512{part}") for part in ("f", "vl", "bw", "dq"))
        vector_bytes = 64 if has_avx512 else 32 if feature_map.get("avx2") else 16
        machine = self._machine(triple, cpu, features, 2)
        layout = str(machine.target_data)
        has_masks = has_avx512 or bool(feature_map.get("sve"))
        permutes = {64: "avx512", 32: "avx2", 16: ""}[vector_bytes]
        dots = has_avx512 and bool(feature_map.get("avx512vnni"))
        return Target(triple, cpu, features, layout, vector_bytes, has_masks, permutes, dots)

    def machine(self, target: Target, level: int) -> Any:
        """The target machine, made once per target and level."""
        return self._machine(target.triple, target.cpu, target.features, level)

    def _machine(self, *key: Any) -> Any:
        if key not in self._machines:
            triple, cpu, features, level = key
            self._machines[key] = self.binding.Target.from_triple(triple).create_target_machine(
                cpu=cpu, features=features, opt=level, reloc="pic", codemodel="small", jit=True
            )
        return self._machines[key]


@contextlib.contextmanager
def _using_llvm() -> Iterator[_LLVM]:
    """LLVM for this thread alone.

    llvmlite takes a lock of its own around each call, in Python: an exception of a signal's handler can
    come between, when the lock is held and nothing will release it.
    """
    with lock:
        llvm = _load_llvm()
        try:
            yield llvm
        except BaseException:
            with contextlib.suppress(AttributeError):  # of another llvmlite
                held = llvm.binding.ffi.lib._lock._lock
                while held._is_owned():
                    held.release()
            raise


def _load_llvm() -> _LLVM:
    global _llvm
    if _llvm is None:
        with lock:
            if _llvm is None:
                _llvm = _LLVM()
                atexit.register(_stop)
    return _llvm


def _stop() -> None:
    """Let the call in progress finish and no other begin: LLVM's own data goes before the threads.

    Only this thread, the main one, can still compile, for code that runs later in the exit.
    """
    lock.acquire(timeout=10)


def _compile(text: str, level: int, passes: str, target: Target | None, emit: str) -> Any:
    if level not in (0, 1, 2, 3):
        raise ValueError(f"level is {level!r}; it must be 0, 1, 2 or 3")
    if passes not in ("", "O0", "O1", "O2", "O3"):
        raise ValueError(f"passes is {passes!r}; it must be '', 'O0', 'O1', 'O2' or 'O3'")
    with _using_llvm() as llvm:
        target = target or llvm.host
        machine = llvm.machine(target, level)
        # On the text's own first line, so that LLVM's messages count lines as the caller does.
        header = _header(target)
        # A context of its own: what the text interned in LLVM goes away with it.
        context = llvm.binding.create_context()
        try:
            module = llvm.binding.parse_assembly(header + text, context)
            try:
                module.verify()
                if passes:
                    _optimize(llvm.binding, module, machine, int(passes[1]))
                return getattr(machine, emit)(module)
            finally:
                module.close()
        except RuntimeError as error:
            raise CompileError(str(error).strip()) from None
        finally:
            context.close()


def _header(target: Target) -> str:
    return f'target triple = "{target.triple}" target datalayout = "{target.data_layout}" '


@contextlib.contextmanager
def reading(source: str | bytes) -> Iterator[Any]:
    """LLVM's module of IR text or bitcode, verified, as long as it is needed; the lock is held.

    Raises CompileError for what is not legal.
    """
    with _using_llvm() as llvm:
        context = llvm.binding.create_context()
        try:
            if isinstance(source, bytes):
                module = llvm.binding.parse_bitcode(source, context)
            else:
                module = llvm.binding.parse_assembly(_header(llvm.host) + source, context)
            with contextlib.closing(module):
                module.verify()
                yield module
        except RuntimeError as error:
            raise CompileError(str(error).strip()) from None
        finally:
            context.close()


def optimize(module: Any) -> None:
    """LLVM's second level: what is called inlined, branches made choices."""
    llvm = _load_llvm()
    _optimize(llvm.binding, module, llvm.machine(llvm.host, 2), 2)


def _optimize(binding: Any, module: Any, machine: Any, speed: int) -> None:
    options = binding.create_pipeline_tuning_options(speed)
    # Unrolling is most of the cost of O1 and gains nothing on code that is already vectorised.
    options.loop_unrolling = speed > 1
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


_dropped: deque[Any] = deque()


def _unload(tracked: Any) -> None:
    """Unload now if LLVM is free, else at the next load.

    A garbage collection may run anywhere, also in a thread that holds llvmlite's lock while
    another holds ours and waits for llvmlite's: waiting for ours here could be a deadlock.
    """
    _dropped.append(tracked)
    if lock.acquire(blocking=False):
        try:
            _unload_dropped()
        finally:
            lock.release()


def _unload_dropped() -> None:
    while _dropped:
        try:
            tracked = _dropped.popleft()
        except IndexError:  # a finalizer that ran in between took it
            return
        _load_llvm().binding.ResourceTracker(tracked, "", {}).close()
