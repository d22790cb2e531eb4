"""An explanation as text for a terminal, in colours where it has them."""

from __future__ import annotations

from collections.abc import Iterable

from .records import Data, KernelRecord, ModelChoice

RED, BOLD, DIM, PLAIN = "\033[31m", "\033[1m", "\033[2m", "\033[0m"
BAR = 40


def size(count: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def duration(value: float | None) -> str:
    if value is None:
        return "?"
    for unit, scale in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if value * scale < 999.5:
            return f"{value * scale:.3g} {unit}"
    return f"{value:.3g} s"


def number(value: float | None) -> str:
    if value is None:
        return "?"
    for unit in ("", "K", "M", "G"):
        if value < 1000:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}T"


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def as_text(data: Data, color: bool = False) -> str:
    """Everything in words: the lines, the kernels, memory, passes, the machine."""

    def paint(text: str, style: str) -> str:
        return f"{style}{text}{PLAIN}" if color and text else text

    lines = [paint(f"{data.name}({data.signature})", BOLD), _summary(data)]
    lines += [paint(f"  {note}", RED) for note in (*data.python, *data.copies)]
    lines += [f"  tuned: {note}" for note in data.tuned]
    if data.lines:
        lines += ["", *_table(data)]
    for kernel in data.kernels:
        style = RED if kernel.is_alarming else BOLD
        head, *rest = _kernel(kernel)
        lines += ["", paint(head, style), *rest]
    lines += _memory(data)
    if data.passes:
        lines += ["", *_passes(data)]
    if data.machine is not None:
        lines += ["", *machine_lines(data.machine)]
    return "\n".join(lines)


def _summary(data: Data) -> str:
    text = f"{data.operations} operations in {len(data.kernels)} kernel calls"
    if data.kernels and data.machine is not None:
        each_call = [k for k in data.kernels if k.kind != "done once"]
        text += f"; {duration(sum(k.predicted for k in each_call))} predicted"
    if data.seconds is not None:
        text += f", {duration(data.seconds)} measured"
    elif data.unmeasured:
        text += f"; not measured: {data.unmeasured}"
    if data.memory.peak:
        text += f"; intermediate arrays between kernels: {size(data.memory.peak)} at most"
    return text


def _table(data: Data) -> list[str]:
    rows = [["line", "kernels", "measured", "predicted", "bytes", "flops", "of roof", ""]]
    by_number = {kernel.number: kernel for kernel in data.kernels}
    for record in data.lines:
        kernels = [by_number[k] for k in record.kernels]
        times = [k.measured for k in kernels]
        flops = [k.flop_count for k in kernels]
        shared = sorted({o for k in kernels for o in _numbers(k)} - {record.line.number})
        marks = sorted({k.kind for k in kernels if k.is_alarming})
        rows.append([
            f"{record.line.place}  {record.line.text.strip()[:48]}",
            _ranges(record.kernels),
            duration(None if None in times else sum(times)),
            duration(sum(k.predicted for k in kernels)),
            size(sum(k.bytes for k in kernels)),
            number(None if None in flops else sum(flops)),
            percent(kernels[0].of_roof) if len(kernels) == 1 else "",
            (f"fused with {'lines' if len(shared) > 1 else 'line'} {_ranges(shared)}" if shared else "")
            + "".join(f"  {mark}!" for mark in marks),
        ])  # fmt: skip
    return columns(rows, left=(0, 7))


def _numbers(kernel: KernelRecord) -> list[int]:
    return [line.number for line in kernel.lines]


def _ranges(numbers: Iterable[int]) -> str:
    """`1-3, 5`."""
    runs: list[list[int]] = []
    for value in sorted(numbers):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def columns(rows: list[list[str]], left: Iterable[int] = (0,)) -> list[str]:
    """Rows of text with their columns in line, those not in `left` to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if k in left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def work_text(kernel: KernelRecord) -> str:
    """What a kernel fuses or computes."""
    listed = ", ".join(f"{name} x{n}" if n > 1 else name for name, n in kernel.operations.items())
    match kernel.kind:
        case "copy":
            return f"copies memory ({listed})" if listed else "copies memory"
        case "check":
            return "checks indices before anything is written"
        case "done once":
            return "made of constants when the function is compiled, not at every call"
        case "Python":
            return f"calls {', '.join(kernel.symbols)} through Python"
    many = sum(kernel.operations.values()) > 1
    if not listed:
        return "runs a loop or a branch" if kernel.kind == "control flow" else "stores a constant"
    return f"{'fuses' if many else 'computes'} {listed}"


def _kernel(kernel: KernelRecord) -> list[str]:
    places = ", ".join(line.place for line in kernel.lines[:4])
    more = f" and {len(kernel.lines) - 4} more lines" if len(kernel.lines) > 4 else ""
    where = f"  [{places}{more}]" if places else ""
    head = (
        f"{kernel.number}. {kernel.name}({', '.join(kernel.reads)}) -> {', '.join(kernel.writes)}"
    )
    lines = [head + where, f"   {kernel.kind}: {work_text(kernel)}", f"   {_how(kernel)}"]
    if kernel.symbols and kernel.kind != "Python":
        lines.append(f"   calls {', '.join(kernel.symbols)}")
    lines += [f"   {choice_text(choice)}" for choice in kernel.choices]
    return lines + [f"   {reason}" for reason in map(str, kernel.why_not)]


def choice_text(choice: ModelChoice) -> str:
    """`add (model.py:4): stored for 2 kernels, 95 us by the model; computed again by 2 kernels, 142 us`."""
    where = f" ({', '.join(line.place for line in choice.lines[:3])})" if choice.lines else ""
    return (
        f"{choice.op}{where}: {choice.chosen}, {duration(choice.seconds)} by the model; "
        f"{choice.other}, {duration(choice.others)}"
    )


def _how(kernel: KernelRecord) -> str:
    lanes = "/".join(map(str, kernel.lanes))
    threads = f"{kernel.threads} threads" if kernel.threads > 1 else "1 thread"
    parts = [threads + (f" of {lanes} lanes" if lanes else ", scalar")]
    parts.append(f"touches {size(kernel.bytes)}")
    if kernel.flops is not None:
        ratio = f" ({kernel.intensity:.2g}/byte)" if kernel.intensity else ""
        parts.append(f"{number(kernel.flop_count)} operations{ratio}")
    times = f"{duration(kernel.predicted)} predicted ({kernel.limit})"
    if kernel.measured is not None:
        ratio = f" (predicted is {kernel.predicted / kernel.measured:.2g} of it)"
        times += f", {duration(kernel.measured)} measured{ratio}"
    if kernel.roof:
        of = f", {percent(kernel.of_roof)} of it" if kernel.of_roof else ""
        times += f"; roof {duration(kernel.roof)} ({kernel.bound}{of})"
    far = [f"{size(count)} from {level}" for level, count in kernel.moved.items() if count >= 1]
    parts.append(f"{number(kernel.cycles)} cycles" + "".join(f", {text}" for text in far))
    return "; ".join([*parts, times])


def _memory(data: Data) -> list[str]:
    memory, count = data.memory, len(data.kernels)
    if not memory.lives:
        return []
    lines = ["", f"memory: intermediate arrays over kernels 1 to {count}, peak {size(memory.peak)}"]
    width = min(BAR, max(count, 1))
    for life in memory.lives:
        first, last = [(k - 1) * width // count for k in (life.first, life.last)]
        bar = " " * first + "#" * (last - first + 1)
        lines.append(f"  {life.name:<5} {size(life.bytes):>10} |{bar.ljust(width)}|")
    return lines


def _passes(data: Data) -> list[str]:
    lines = ["passes that changed the program (lines removed and added):"]
    for record in data.passes:
        if record.diff:
            lines.append(
                f"  {record.stage.lower():<10} {record.name:<22} -{record.removed} +{record.added}"
            )
    return lines


def machine_lines(machine: object) -> list[str]:
    """The machine's parameters, a line each."""
    rows = [["", "1 thread", f"{machine.cores} threads" if machine.cores > 1 else "all"]]
    for level, rates in machine.bandwidth.items():
        capacity = machine.caches.get(level)
        label = f"{level} ({size(capacity)})" if capacity else level
        rows.append([label, *[f"{rate / 1e9:.0f} GB/s" for rate in rates]])
    for dtype, rates in machine.flops.items():
        rows.append([f"{dtype} multiply-adds", *[f"{rate / 1e9:.0f} Gflop/s" for rate in rates]])
    head = f"machine: {machine.cpu}, {machine.cores} cores, vectors of {machine.vector_bytes} bytes"
    return [head, *[f"  {line}" for line in columns(rows)]]
