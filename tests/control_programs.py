"""Random kernels of loops, choices and breaks, as text: legal, and written wherever they are read."""

from __future__ import annotations

from random import Random

SIZE = 6
SIGNATURE = f"x: f64[{SIZE}], p: i64[{SIZE}], z: updated(f64[{SIZE}, {SIZE}]), *, out: f64[{SIZE}]"


class Writer:
    """Writes one kernel; `floats`, `integers` and `indices` are what is in scope."""

    def __init__(self, seed: int):
        self.random = Random(seed)
        self.floats: list[str] = []
        self.integers: list[str] = []
        self.indices: list[str] = []
        self.buffers: list[str] = []
        self.count = 0

    def text(self) -> str:
        lines = [f"for i in range(0, {SIZE}):", "    out[i] = x[i]"]
        lines += self.body(3, 6, ordered=False)
        return f"@kernel\ndef k({SIGNATURE}):\n" + "\n".join("    " + line for line in lines)

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def body(self, depth: int, length: int, ordered: bool) -> list[str]:
        scope = [list(names) for names in (self.floats, self.integers, self.indices, self.buffers)]
        lines: list[str] = []
        for _ in range(self.random.randint(1, length)):
            lines += self.statement(depth)
        if ordered and self.random.random() < 0.5:
            lines.append(f"if {self.condition()}: break")
        self.floats, self.integers, self.indices, self.buffers = scope
        return lines

    def statement(self, depth: int) -> list[str]:
        kinds = [self.let, self.assign, self.store, self.allocate, self.name_index]
        if depth:
            kinds += [
                self.choice,
                self.choice,
                self.loop,
                self.loop,
                self.plain_loop,
                self.while_loop,
            ]
        lines = None
        while lines is None:
            kind = self.random.choice(kinds)
            lines = kind(depth - 1) if kind.__name__ in NESTED else kind()
        return lines

    def let(self) -> list[str]:
        if self.random.random() < 0.7:
            value, name = self.number(), self.name("s")
            self.floats.append(name)
            return [f"{name}: f64 = {value}"]
        value, name = self.place(), self.name("c")
        self.integers.append(name)
        return [f"{name}: i64 = {value}"]

    def assign(self) -> list[str] | None:
        if self.floats and self.random.random() < 0.7:
            name = self.random.choice(self.floats)
            if self.random.random() < 0.2:
                return [f"{name} += {self.number()}"]
            return [f"{name} = {self.number()}"]
        if self.integers:
            return [f"{self.random.choice(self.integers)} = {self.place()}"]
        return None

    def store(self) -> list[str]:
        choice = self.random.random()
        if choice < 0.4:
            return [f"z[{self.place()}, {self.place()}] = {self.number()}"]
        if choice < 0.6 and self.buffers:
            buffer = self.random.choice(self.buffers)
            place = self.random.choice("01") if buffer.startswith("r") else self.place()
            return [f"{buffer}[{place}] = {self.number()}"]
        return [f"out[{self.place()}] = {self.number()}"]

    def allocate(self) -> list[str]:
        space = self.random.choice(("local", "register"))
        name, index = self.name(space[0]), self.name("i")
        value = self.number()
        self.buffers.append(name)
        if space == "register":
            return [f"{name}: f64[2] = register()", f"{name}[0] = {value}", f"{name}[1] = 0.5"]
        fill = [f"for {index} in range(0, {SIZE}):", f"    {name}[{index}] = {value}"]
        return [f"{name}: f64[{SIZE}] = local()", *fill]

    def name_index(self) -> list[str]:
        value, name = self.place(), self.name("m")
        self.indices.append(name)
        return [f"{name}: index = {value}"]

    def choice(self, depth: int) -> list[str]:
        lines = [f"if {self.condition()}:", *indented(self.body(depth, 4, False))]
        if self.random.random() < 0.6:
            lines += ["else:", *indented(self.body(depth, 4, False))]
        return lines

    def loop(self, depth: int) -> list[str]:
        stop = str(self.random.randint(0, SIZE)) if self.random.random() < 0.5 else self.place()
        return self.around(
            "ordered", self.random.choice(("0", "0", "1", self.place())), stop, depth
        )

    def around(self, mark: str, start: str, stop: str, depth: int) -> list[str]:
        name = self.name("i")
        self.indices.append(name)
        inside = self.body(depth, 4, mark == "ordered")
        self.indices.remove(name)
        return [f"for {name} in {mark}({start}, {stop}):", *indented(inside)]

    def plain_loop(self, depth: int) -> list[str]:
        """One that passes may run in lanes or by threads."""
        name = self.name("i")
        value = self.number()
        self.indices.append(name)
        stores = [
            f"z[{name}, {self.place()}] = x[{name}] * {value}",
            f"out[{name}] = x[{name}] + {value}",
        ]
        self.indices.remove(name)
        return [f"for {name} in range(0, {SIZE}):", "    " + self.random.choice(stores)]

    def while_loop(self, depth: int) -> list[str]:
        name, index = self.name("c"), self.name("i")
        inside = self.body(depth, 3, False)
        ends = f"if {name} >= {self.random.randint(1, 5)}: break"
        steps = [f"{name} = {name} + 1", *inside, ends]
        whole = [f"for {index} in ordered(0, 9223372036854775807):", *indented(steps)]
        return [f"{name}: i64 = 0", f"if {self.condition()}:", *indented(whole)]

    # Expressions.

    def place(self) -> str:
        """An integer in range(SIZE), computed in one of many ways."""
        numbers = [str(self.random.randrange(SIZE)), f"p[{self.random.randrange(SIZE)}]"]
        numbers += [*self.indices, *[f"p[{index}]" for index in self.indices]]
        numbers += [f"checked_index({name}, {SIZE}, 0)" for name in self.integers]
        numbers += [f"({a} + {b}) % {SIZE}" for a in self.indices[-2:] for b in self.integers[-2:]]
        return self.random.choice(numbers)

    def number(self) -> str:
        leaves = ["0.25", f"x[{self.place()}]", f"z[{self.place()}, {self.place()}]"]
        leaves += [*self.floats, *[f"f64({index})" for index in self.indices]]
        for buffer in self.buffers[-2:]:
            place = self.random.choice("01") if buffer.startswith("r") else self.place()
            leaves.append(f"{buffer}[{place}]")
        a, b = self.random.choice(leaves), self.random.choice(leaves)
        return self.random.choice(
            (a, a, f"({a} + {b}) * 0.5", f"{a} - {b} * 0.5", f"minimum({a}, {b})")
        )

    def condition(self) -> str:
        simple = [f"{self.number()} < {self.number()}", f"{self.place()} == {self.place()}"]
        simple += [f"{self.place()} > {self.random.randrange(SIZE)}", "logical_not(x[0] > 0.0)"]
        a, b = self.random.choice(simple), self.random.choice(simple)
        return self.random.choice((a, a, f"logical_and({a}, {b})", f"logical_or({a}, {b})"))


NESTED = ("choice", "loop", "plain_loop", "while_loop")


def indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines] or ["    pass"]
