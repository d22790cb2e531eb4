"""A Module of Kernels as one LLVM module.

Each Kernel is one function `void name(ptr buffer..., ptr workspace, ptr symbols)`; a parallel loop's
body becomes a function of its own that the thread pool calls; `entry` is what the outside calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...interruption import POLL_DUE
from ...ir import expressions, tensor
from ...ir.tensor import Allocate, Buffer, Call, Extern, For, Index, Kernel
from .access import CACHE_LINE
from .builder import Builder, Module, Value
from .emit import Emitter


class Program:
    """All kernels of a Module as one LLVM module."""

    def __init__(
        self,
        plan: Callable[[Kernel, Buffer], object],
        symbols: Sequence[str] = (),
        *,
        max_threads: int = 0,
        slots: int = 0,
        attributes: str = "nounwind",
        stream_bytes: int = 0,
        permutes: str = "",
        dots: bool = False,
        vector_bytes: int = 32,
    ):
        self.module = Module(permutes, attributes, dots=dots)
        self.vector_bytes = vector_bytes
        self.offset_of = plan
        self.symbols = tuple(symbols)
        self.max_threads, self.slots = max_threads, slots
        self.bodies = 0
        self.stream_bytes = stream_bytes
        self.names: dict[Kernel, str] = {}
        self.refusing: set[Kernel] = set()
        self.hosts: dict[str, Extern] = {}  # calls of Python functions

    @property
    def can_refuse(self) -> bool:
        """Whether some kernel may report that it has no result."""
        return bool(self.refusing)

    def kernel(self, kernel: Kernel) -> str:
        """The name of the function for `kernel`, written on first use."""
        if kernel in self.names:
            return self.names[kernel]
        name = self.names[kernel] = f"{kernel.name}.{len(self.names)}"
        streamed = self.streamed(kernel)
        if not streamed:
            self.write(kernel, name, streamed)
            return name
        # Two versions: streaming stores need outputs that begin at a cache line.
        variants = [f"{name}.plain", f"{name}.stream"]
        self.write(kernel, variants[0], frozenset())
        self.write(kernel, variants[1], streamed)
        b = Builder(self.module, self.signature(kernel, name))
        bits = b.const(0, "i64")
        for buffer in streamed:
            pointer = Value(f"%b{kernel.parameters.index(buffer)}", "ptr")
            bits = b.binary("or", bits, b.cast("ptrtoint", pointer, "i64"))
        odd = b.binary("and", bits, b.const(CACHE_LINE - 1, "i64"))
        b.branch_if(b.compare("ne", odd, b.const(0, "i64")), "plain", "stream")
        listed = ", ".join(f"ptr %b{k}" for k in range(len(kernel.parameters)))
        for label, variant in zip(("plain", "stream"), variants):
            b.region = b.open(label)
            b.emit(f"call void @{variant}({listed}, ptr %workspace, ptr %symbols)")
            b.emit("ret void")
        b.finish()
        return name

    def streamed(self, kernel: Kernel) -> frozenset[Buffer]:
        """Outputs so large that storing them past the cache is better, and that are only written."""
        if not self.stream_bytes:
            return frozenset()
        read = {load.buffer for load in tensor.loads_of(kernel.body)}
        return frozenset(
            buffer
            for buffer in kernel.fresh
            if buffer not in read
            and not buffer.type.dtype.is_complex
            and isinstance(buffer.type.size, int)
            and buffer.type.size * buffer.type.dtype.itemsize >= self.stream_bytes
        )

    def signature(self, kernel: Kernel, name: str) -> str:
        outputs = set(kernel.outputs)
        parameters = [
            f"ptr noalias {'' if buffer in outputs else 'readonly '}%b{position}"
            for position, buffer in enumerate(kernel.parameters)
        ]
        parameters += ["ptr %workspace", "ptr %symbols"]
        return f"internal void @{name}({', '.join(parameters)})"

    def write(self, kernel: Kernel, name: str, streamed: frozenset[Buffer]) -> None:
        """The function of a kernel."""
        builder = Builder(self.module, self.signature(kernel, name))
        emitter = Emitter(self, kernel, builder)
        emitter.streamed = streamed
        for position, buffer in enumerate(kernel.parameters):
            emitter.pointers[buffer] = Value(f"%b{position}", "ptr")
        self.bind_symbols(emitter)
        emitter.body(kernel.body)
        self.end(emitter)

    def end(self, emitter: Emitter) -> None:
        """Return; streaming stores become visible to other threads first."""
        emitter.here()
        if emitter.has_streamed:
            self.module.declare("void", "llvm.x86.sse.sfence", [])
            self.module.metadata[0] = "!0 = !{i32 1}"
            emitter.b.emit("call void @llvm.x86.sse.sfence()")
        emitter.b.emit("ret void")
        emitter.b.finish()

    def outlined(self, parent: Emitter, loop: For, captured: list[object]) -> str:
        """A function `void body(ptr context, i64 i, i64 thread)` for one index of a loop whose body is
        elsewhere."""
        name = f"{parent.kernel.name}.body{self.bodies}.{len(self.names)}"
        self.bodies += 1
        signature = f"internal void @{name}(ptr %context, i64 %chunk, i64 %thread)"
        child = Emitter(self, parent.kernel, Builder(self.module, signature))
        b, context = child.b, Value("%context", "ptr")

        def slot(position: int, kind: str) -> Value:
            return b.load(b.offset(context, b.const(position, "i64"), "i64"), kind, align=8)

        child.workspace, child.symbols = slot(0, "ptr"), slot(1, "ptr")
        first = slot(2, "i64")
        # The outermost loop's: one within runs on the thread that it is begun on.
        child.thread = slot(3, "i64") if parent.thread else Value("%thread", "i64")
        self.bind_symbols(child)  # the strides of buffers need them
        position = 4
        for term in captured:
            parts = [slot(position + k, v.kind) for k, v in enumerate(parent.captured_values(term))]
            position += len(parts)
            if isinstance(term, Buffer):
                (child.pointers[term],) = parts
            else:
                child.values[term] = tuple(parts)
        child.values[loop.index] = (b.binary("add", first, Value("%chunk", "i64")),)
        child.streamed = parent.streamed
        child.body(loop.body)
        self.end(child)
        return name

    def bind_symbols(self, emitter: Emitter) -> None:
        for position, name in enumerate(self.symbols):
            address = emitter.b.offset(emitter.symbols, emitter.b.const(position, "i64"), "i64")
            emitter.values[Index(name)] = (emitter.b.load(address, "i64"),)

    def shapes(self, kernel: Kernel, outputs: Sequence[Buffer], workspace: object) -> None:
        """`i64 shapes(ptr symbols, ptr extents)`: the outputs' extents, and the workspace's bytes."""
        b = Builder(self.module, "i64 @shapes(ptr %symbols, ptr %extents)")
        emitter = Emitter(self, kernel, b)
        self.bind_symbols(emitter)
        extents = [extent for buffer in outputs for extent in buffer.type.shape]
        for position, extent in enumerate(extents):
            value = emitter.one(expressions.extent(extent))
            place = b.offset(Value("%extents", "ptr"), b.const(position, "i64"), "i64")
            b.store(value, place)
        b.emit(f"ret i64 {emitter.one(expressions.extent(workspace)).text}")
        b.finish()

    def entry(self, kernel: Kernel, captures: dict[int, int], name: str = "entry") -> None:
        """`i64 entry(ptr args)`: unpack the pointers, run the outermost kernel, report its status.

        Parameters in `captures` are not among the arguments but at a known address.
        """
        calls = all(isinstance(statement, Call | Allocate) for statement in kernel.body)
        # Known before the status is cleared: whether anything can refuse.
        inner = [self.kernel(k) for k in (kernel.callees if calls else (kernel,))]
        b = Builder(self.module, f"i64 @{name}(ptr %args)")
        args, pointers, slot = Value("%args", "ptr"), [], 0
        for position in range(len(kernel.parameters) + 2):
            if position in captures:
                pointers.append(b.const(captures[position], "ptr"))
                continue
            pointers.append(b.load(b.offset(args, b.const(slot, "i64"), "ptr"), "ptr"))
            slot += 1
        workspace, status = pointers[-2], b.const(0, "i64")
        if self.can_refuse:
            b.store(status, workspace)
        if "tj_poll" in self.module.externals:
            due = b.offset(workspace, b.const(POLL_DUE, "i64"), "i8")
            b.store(status, due)
        if calls:  # a function of its own would cost LLVM more than it is worth
            emitter = Emitter(self, kernel, b)
            emitter.workspace, emitter.symbols = pointers[-2:]
            emitter.pointers.update(zip(kernel.parameters, pointers))
            self.bind_symbols(emitter)
            emitter.body(kernel.body)
            emitter.here()
        else:
            b.emit(f"call void @{inner[0]}({', '.join(f'ptr {p.text}' for p in pointers)})")
        if self.can_refuse:
            status = b.load(workspace, "i64")
        b.emit(f"ret i64 {status.text}")
        b.finish()
