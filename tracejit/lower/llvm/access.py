"""Reading and writing buffers: addresses as sums, contiguous lanes where strides allow, registers.

An address is a sum of strides times indices. Each part of the sum is added to the pointer in the
scope it belongs to, so that only what changes in the innermost loop is computed there.
"""

from __future__ import annotations

from ...ir import expressions, tensor
from ...ir.affine import linear
from ...ir.tensor import Buffer, Expression, Index, Literal, Load, Variable
from ...ir.types import DType
from .builder import Value, is_number, literal
from .casts import in_memory
from .frame import Lanes, Parts, memory_kind
from .listed import ListedReads
from .repeated import RepeatedReads
from .squares import transposed
from .strided import is_close, load_strided, store_strided

CACHE_LINE = 64


class Access(ListedReads, RepeatedReads):
    """Emits loads and stores into one function."""

    def address_of(
        self, buffer: Buffer, indices: tuple[Expression, ...]
    ) -> tuple[Expression | None, dict[Expression, int], int]:
        """`(offset, {}, 0)` when lanes read scattered elements, else `(None, atoms, constant)`.

        In the second form the vector index may be among the atoms, with its stride.
        """
        key = (buffer, indices)
        scope = self.scopes[-1].memo
        found = scope.get(key)
        if found is None:
            flat = self.flat_index(buffer, indices)
            found = self.split_address(flat)
            scope[key] = found
        return found

    def flat_index(self, buffer: Buffer, indices: tuple[Expression, ...]) -> Expression:
        """The element's distance from the first one."""
        key = (buffer, indices)
        flat = self.flat_indices.get(key)
        if flat is None:
            flat = tensor.ZERO
            for index, stride in zip(indices, buffer.type.strides):
                flat = expressions.add(
                    flat, expressions.multiply(index, expressions.extent(stride))
                )
            self.flat_indices[key] = flat
        return flat

    def linear_form(self, expression: Expression) -> tuple[dict[Expression, int], int]:
        """`linear`, remembered: unrolled loops ask for the same ones again and again."""
        found = self.linear_forms.get(expression)
        if found is None:
            found = self.linear_forms[expression] = linear(expression)
        return found

    def split_address(self, flat: Expression) -> tuple:
        atoms, constant = self.linear_form(flat)
        vector_index = self.lanes.index if self.lanes and self.lanes.count > 1 else None
        kept = {}
        for atom, scale in atoms.items():
            if atom in self.constants:
                constant += scale * self.constants[atom]
                continue
            if vector_index is not None and atom is not vector_index and self.varies(atom):
                return flat, {}, 0
            kept[atom] = scale
        return None, kept, constant

    def varies(self, expression: Expression) -> bool:
        """Whether lanes may see different values of `expression`."""
        lanes = self.lanes
        if lanes is None:
            return False
        if lanes.index in expression.free:
            return True
        inner = self.level.get(lanes.index, 0)
        return any(
            isinstance(term, Variable | Index) and self.values[term][0].lanes > 1
            or isinstance(term, Buffer) and term.space == "register" and self.level.get(term, 0) >= inner
            for term in expression.free
        )  # fmt: skip

    def pointer(self, buffer: Buffer, atoms: dict[Expression, int], constant: int) -> Value:
        """The address of an element; each part of the sum is added in the scope it belongs to."""
        kind = memory_kind(buffer.type.dtype)
        parts = len(self.complex_parts(buffer.type.dtype))
        region = self.b.region
        pointer, used = self.pointers[buffer], ()
        lanes = self.lanes
        base_level = self.level.get(("pointer", buffer), 0)
        by_level: dict[int, list[Expression]] = {}
        for atom in atoms:
            if lanes is not None and atom is lanes.index and is_number(lanes.base.text):
                constant += atoms[atom] * int(lanes.base.text)
                continue
            by_level.setdefault(max(self.place_of(atom), base_level), []).append(atom)
        innermost = self.innermost_loop
        for level in sorted(by_level):
            used += tuple(by_level[level])
            terms = tuple((self.key_of(atom), atoms[atom]) for atom in used)
            key = ("pointer", self.pointers[buffer].text, kind, terms)
            least = max([base_level, *[self.level_of(atom) for atom in by_level[level]]])
            depth = self.holder(least, key)
            found = None if depth is None else self.scopes[depth].memo[key]
            if found is None:
                offset: Expression = tensor.ZERO
                extra = None
                for atom in by_level[level]:
                    if lanes is not None and atom is lanes.index:
                        extra = self.b_at(level, lanes.base, atoms[atom] * parts)
                    else:
                        scaled = expressions.multiply(
                            atom, expressions.integer(atoms[atom] * parts)
                        )
                        offset = expressions.add(offset, scaled)
                if not isinstance(offset, Literal):
                    value = self.one(offset)
                    self.at(level)
                    pointer = self.b.offset(pointer, value, kind)
                if extra is not None:
                    self.at(level)
                    pointer = self.b.offset(pointer, extra, kind)
                if level < innermost:
                    # LLVM would rewrite the arithmetic of all loops of a nest together, which takes
                    # it as long as the rest of code generation and gains nothing.
                    self.at(level)
                    pointer = self.b.value(f"freeze ptr {pointer.text}", "ptr", pointer.lanes)
                free = frozenset().union(*[atom.free for atom in by_level[level]])
                found = self.remember(key, level, free, (pointer,))
            (pointer,) = found
        self.b.region = region
        return self.b.offset(pointer, self.b.const(constant * parts, "i64"), kind)

    def b_at(self, level: int, value: Value, scale: int) -> Value:
        self.at(level)
        if scale == 1:
            return value
        return self.b.binary("mul", value, self.b.const(scale, "i64"))

    @staticmethod
    def complex_parts(dtype: DType) -> tuple[int, ...]:
        return (0, 1) if dtype.is_complex else (0,)

    def load(self, buffer: Buffer, indices: tuple[Expression, ...]) -> Parts:
        dtype = buffer.type.dtype
        offset, atoms, constant = self.address_of(buffer, indices)
        region = self.b.region
        if offset is not None:
            turns = self.turns_of(buffer, indices)
            if turns is not None:
                return self.from_memory(self.read_turns(buffer, turns), dtype)
            listing = self.listing_of(buffer, indices)
            if listing is not None:
                return self.from_memory(self.read_listed(buffer, listing), dtype)
            pointers = self.pointers_of(buffer, self.one(offset))
            self.b.region = region
            return self.from_memory(self.gather(pointers, dtype), dtype)
        lanes = self.lanes
        stride = atoms.get(lanes.index, 0) if lanes and lanes.count > 1 else 0
        if abs(stride) > 1 and lanes.mask is None and not self.arms:
            across = self.square_index(buffer, indices)
            if across is not None:
                return self.of_square(buffer, across, atoms, constant)
        pointer = self.pointer(buffer, atoms, constant)
        self.b.region = region
        if stride in (0, 1):
            parts = self.contiguous(pointer, dtype, lanes if stride else None)
        elif stride == -1 and lanes.mask is None:
            parts = self.reversed(pointer, dtype, lanes.count)
        elif lanes.mask is None:
            parts = self.strided(pointer, dtype, stride, lanes.count)
        elif lanes.used and is_close(stride * len(self.complex_parts(dtype)), lanes.count):
            parts = self.strided(pointer, dtype, stride, lanes.used)
        else:
            steps = self.b.vector([lane * stride for lane in range(lanes.count)], "i64")
            parts = self.gather(self.pointers_from(pointer, buffer, steps), dtype)
        return self.from_memory(parts, dtype)

    def strided(self, pointer: Value, dtype: DType, stride: int, used: int) -> Parts:
        kind, width = memory_kind(dtype), len(self.complex_parts(dtype))
        starts = [self.b.offset(pointer, self.b.const(k, "i64"), kind) for k in range(width)]
        sizes = stride * width, self.lanes.count, used
        return tuple([load_strided(self.b, p, kind, *sizes) for p in starts])

    def square_index(self, buffer: Buffer, indices: tuple[Expression, ...]) -> Index | None:
        """The index of an unrolled loop whose iterations read, all together, one square: as many
        neighbours for each lane as there are lanes."""
        dtype = buffer.type.dtype
        if dtype.kind not in "iufc" or dtype.real.itemsize not in (4, 8):
            return None
        atoms, _ = self.linear_form(self.flat_index(buffer, indices))
        full = (0, self.lanes.count)
        for atom, scale in atoms.items():
            if scale == 1 and self.unrolled.get(atom) == full:
                return atom
        return None

    def of_square(self, buffer: Buffer, across: Index, atoms: dict, constant: int) -> Parts:
        """One column of a square, all of which are made when the first is asked for."""
        lanes, column = self.lanes, self.constants[across]
        width = len(self.complex_parts(buffer.type.dtype))
        free = frozenset((buffer, lanes.index)).union(*[atom.free for atom in atoms])
        terms = tuple((self.key_of(atom), scale) for atom, scale in atoms.items())
        key = ("square", buffer, terms, constant - column)
        level = max([self.level.get(t, 0) for t in free if t not in self.fixed], default=0)
        depth = self.holder(level, key)
        if depth is None:
            region, kind = self.b.region, memory_kind(buffer.type.dtype)
            first = self.pointer(buffer, atoms, constant - column)
            self.at(level)
            rows = []
            for lane in range(lanes.count):
                row = self.b.offset(
                    first, self.b.const(lane * width * atoms[lanes.index], "i64"), kind
                )
                rows.append(self.b.load(row, kind, width * lanes.count))
            columns = self.remember(key, level, free, tuple(transposed(self.b, rows, width)))
            self.b.region = region
        else:
            columns = self.scopes[depth].memo[key]
        return self.parts_of(columns[column], width)

    def parts_of(self, value: Value, width: int) -> Parts:
        """The parts of numbers that lie in turn in a vector."""
        if width == 1:
            return (value,)
        count = value.lanes
        return tuple([self.b.shuffle(value, value, list(range(k, count, 2))) for k in (0, 1)])

    def from_memory(self, parts: Parts, dtype: DType) -> Parts:
        if dtype.kind != "b":
            return parts
        return (self.b.compare("ne", parts[0], self.b.like(0, parts[0])),)

    def contiguous(self, pointer: Value, dtype: DType, lanes: Lanes | None) -> Parts:
        b, kind = self.b, memory_kind(dtype)
        count, mask = (lanes.count, lanes.mask) if lanes else (1, None)
        if not dtype.is_complex:
            if mask is not None:
                return (b.load_masked(pointer, mask, kind),)
            return (b.load(pointer, kind, count),)
        if count == 1:
            return (b.load(pointer, kind), b.load(b.offset(pointer, b.const(1, "i64"), kind), kind))
        if mask is not None:
            both = b.load_masked(pointer, self.doubled(mask), kind)
        else:
            both = b.load(pointer, kind, 2 * count)
        return self.parts_of(both, 2)

    def doubled(self, mask: Value) -> Value:
        return self.b.shuffle(mask, mask, [k // 2 for k in range(2 * mask.lanes)])

    def reversed(self, pointer: Value, dtype: DType, count: int) -> Parts:
        width = len(self.complex_parts(dtype))
        first = self.b.const(-(count - 1) * width, "i64")
        low = self.b.offset(pointer, first, memory_kind(dtype))
        fake = Lanes(None, count, None, None)
        backwards = list(range(count - 1, -1, -1))
        return tuple([self.b.shuffle(v, v, backwards) for v in self.contiguous(low, dtype, fake)])

    def pointers_from(self, pointer: Value, buffer: Buffer, steps: Value) -> Value:
        kind = memory_kind(buffer.type.dtype)
        width = len(self.complex_parts(buffer.type.dtype))
        if width == 2:
            steps = self.b.binary("mul", steps, self.b.like(2, steps))
        text = f"getelementptr {kind}, ptr {pointer.text}, {steps.type} {steps.text}"
        return self.b.value(text, "ptr", steps.lanes)

    def pointers_of(self, buffer: Buffer, offset: Value) -> Value:
        return self.pointers_from(self.pointers[buffer], buffer, offset)

    def gather(self, pointers: Value, dtype: DType) -> Parts:
        """Lane by lane: on today's cores as fast as the gather instruction, and on any target."""
        b, kind, mask = self.b, memory_kind(dtype), self.lanes.mask
        if pointers.lanes == 1:
            return self.contiguous(pointers, dtype, None)
        if mask is None:
            mask = b.const(True, "i1", pointers.lanes)
        parts = []
        for part in self.complex_parts(dtype):
            address = pointers
            if part:
                text = f"getelementptr {kind}, {pointers.type} {pointers.text}, i64 {part}"
                address = b.value(text, "ptr", pointers.lanes)
            parts.append(b.gather(address, mask, kind))
        return tuple(parts)

    def look_up(self, data: tuple, index: Expression, dtype: DType) -> Parts:
        position = self.one(index)
        parts = []
        for part in self.complex_parts(dtype):
            numbers = [(complex(x).imag if part else complex(x).real) for x in data] if (
                dtype.is_complex
            ) else [in_memory(x, dtype) for x in data]  # fmt: skip
            name = self.table(numbers, memory_kind(dtype))
            kind = memory_kind(dtype)
            if position.lanes == 1:
                address = self.b.offset(Value(f"@{name}", "ptr"), position, kind)
                parts.append(self.b.load(address, kind))
                continue
            text = f"getelementptr {kind}, ptr @{name}, {position.type} {position.text}"
            address = self.b.value(text, "ptr", position.lanes)
            mask = self.lanes.mask if self.lanes else None
            mask = mask or self.b.const(True, "i1", position.lanes)
            parts.append(self.b.gather(address, mask, kind))
        return self.from_memory(tuple(parts), dtype)

    def table(self, numbers: tuple, kind: str) -> str:
        return self.b.module.table(kind, [literal(number, kind) for number in numbers])

    def store(self, buffer: Buffer, indices: tuple[Expression, ...], parts: Parts) -> None:
        dtype, lanes = buffer.type.dtype, self.lanes
        if dtype.kind == "b":
            parts = (self.b.cast("zext", parts[0], "i8"),)
        offset, atoms, constant = self.address_of(buffer, indices)
        count = lanes.count if lanes else 1
        stride = atoms.get(lanes.index, 0) if lanes and count > 1 else 0
        if offset is None and stride == 0:
            self.store_contiguous(self.pointer(buffer, atoms, constant), parts, None)
            return
        wide = tuple([self.b.splat(part, count) for part in parts])
        if offset is None and stride == 1:
            pointer = self.pointer(buffer, atoms, constant)
            if buffer in self.streamed and self.fills_lines(atoms, constant, dtype.itemsize):
                self.b.store(wide[0], pointer, CACHE_LINE, ", !nontemporal !0")
                self.has_streamed = True
            else:
                self.store_contiguous(pointer, wide, lanes.mask)
            return
        if offset is None and lanes.mask is None:
            pointer, width = self.pointer(buffer, atoms, constant), len(wide)
            self.here()
            for part, value in enumerate(wide):
                place = self.b.offset(pointer, self.b.const(part, "i64"), value.kind)
                store_strided(self.b, value, place, stride * width)
            return
        if offset is not None:
            self.here()
            pointers = self.pointers_of(buffer, self.one(offset))
        else:
            steps = self.b.vector([lane * stride for lane in range(count)], "i64")
            pointers = self.pointers_from(self.pointer(buffer, atoms, constant), buffer, steps)
        self.here()
        mask = lanes.mask or self.b.const(True, "i1", count)
        kind = memory_kind(dtype)
        for part, value in enumerate(wide):
            address = pointers
            if part:
                text = f"getelementptr {kind}, {pointers.type} {pointers.text}, i64 {part}"
                address = self.b.value(text, "ptr", pointers.lanes)
            self.b.scatter(value, address, mask)

    def fills_lines(self, atoms: dict[Expression, int], constant: int, itemsize: int) -> bool:
        """Whether a vector store writes whole cache lines of an array that begins at one."""
        lanes = self.lanes
        each = CACHE_LINE // itemsize
        if lanes.mask is not None or lanes.count % each:
            return False
        origin, first = linear(lanes.origin)
        others = [scale for atom, scale in atoms.items() if atom is not lanes.index]
        return not any(n % each for n in (*others, *origin.values(), constant + first))

    def store_contiguous(self, pointer: Value, parts: Parts, mask: Value | None) -> None:
        b = self.b
        if len(parts) == 2:
            real, imag = parts
            if real.lanes == 1:
                b.store(real, pointer)
                b.store(imag, b.offset(pointer, b.const(1, "i64"), real.kind))
                return
            order = [k // 2 + (k % 2) * real.lanes for k in range(2 * real.lanes)]
            parts = (b.shuffle(real, imag, order),)
            mask = self.doubled(mask) if mask is not None else None
        if mask is not None:
            b.store_masked(parts[0], pointer, mask)
        else:
            b.store(parts[0], pointer)

    # Registers.

    def register_key(self, element: Load) -> tuple:
        """Which register an element of a register buffer is; its indices are known while emitting."""
        key: list[object] = [element.buffer]
        for index in element.indices:
            atoms, constant = self.linear_form(index)
            for atom, scale in atoms.items():
                if atom in self.constants:
                    constant += scale * self.constants[atom]
                elif self.lanes is not None and atom is self.lanes.index and scale == 1:
                    constant += int(self.lanes.base.text)
                    key.append("lanes")
                else:
                    raise TypeError(f"{element!r}: a register's index must be known")
            key.append(constant)
        return tuple(key)
