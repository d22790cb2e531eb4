"""An explanation as one HTML page that needs nothing else: its style, script and pictures are inside.

The page is whole without its script, but for the graphs, which the script lays out; it also links
source lines, nodes, loops and machine code.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from .charts import hue, memory, roofline, times
from .records import ONCE, Data, KernelRecord, LineRecord
from .text import as_text, choice_text, duration, machine_lines, number, percent, size, work_text

FRAME_HEIGHT = 760
# Lines of machine code of a kernel that a page has.
MOST_ASSEMBLY = 3000
TABS = ("Graph", "Kernels", "Roofline", "Memory", "Passes", "Stages", "Machine")


def page(data: Data) -> str:
    """The whole page."""
    here = Path(__file__).parent
    title = escape(f"{data.name}: {len(data.kernels)} kernels")
    return "".join([
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{(here / 'page.css').read_text()}</style></head><body>",
        _header(data),
        "<main>",
        _source(data),
        _views(data),
        _details(data),
        "</main>",
        f'<script type="application/json" id="data">{_json(data)}</script>',
        f"<script>{(here / 'page.js').read_text()}</script></body></html>",
    ])  # fmt: skip


def frame(data: Data) -> str:
    """The page in a frame of its own, for notebooks: neither one's style touches the other."""
    inside = escape(page(data), quote=True)
    return (
        f'<iframe srcdoc="{inside}" style="width:100%;height:{FRAME_HEIGHT}px;border:0" '
        f'title="what {escape(data.name)} compiles to"></iframe>'
    )


def _json(data: Data) -> str:
    """What the script needs; no text in it can end the element."""
    graphs = {
        graph.stage: [
            [n.label, n.type, n.operands, n.kernels, [_key(line) for line in n.lines]]
            for n in graph.nodes
        ]
        for graph in data.graphs
    }
    kernels = {
        k.number: {"name": k.name, "hue": hue(k.number), "alarm": k.is_alarming, "kind": k.kind}
        for k in data.kernels
    }
    text = json.dumps({"graphs": graphs, "kernels": kernels}, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _key(line) -> str:
    return f"{line.file}:{line.number}"


def _header(data: Data) -> str:
    alarms = sum(kernel.is_alarming for kernel in data.kernels) + len(data.copies)
    predicted = sum(kernel.predicted for kernel in data.kernels if kernel.kind != ONCE)
    tiles = [
        ("kernels", str(len(data.kernels))),
        ("operations", str(data.operations)),
        ("measured", duration(data.seconds)),
        ("predicted", duration(predicted)),
        ("intermediates at most", size(data.memory.peak)),
    ]
    shown = "".join(f"<li><b>{escape(value)}</b> {name}</li>" for name, value in tiles)
    if alarms:
        shown += f'<li class="alarm"><b>{alarms}</b> copies or calls of Python</li>'
    notes = [*data.python, *data.copies, *[f"tuned: {note}" for note in data.tuned]]
    if data.unmeasured:
        notes.append(f"not measured: {data.unmeasured}")
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f"<header><h1>{escape(data.name)}<small>({escape(data.signature)})</small></h1>"
        f'<button id="theme" type="button" aria-label="switch between dark and light">◐</button>'
        f'<ul class="tiles">{shown}</ul>'
        + (f'<ul class="alarms">{listed}</ul>' if notes else "")
        + "</header>"
    )


def chip(number: int, alarm: bool = False) -> str:
    """A small badge with a kernel's number."""
    mark = " alarm" if alarm else ""
    return f'<span class="chip{mark}" style="--hue:{hue(number)}">{number}{"!" if alarm else ""}</span>'


# The source.


def _source(data: Data) -> str:
    by_number = {kernel.number: kernel for kernel in data.kernels}
    longest = max([_seconds(by_number[n]) for r in data.lines for n in r.kernels], default=0)
    parts = ['<section class="source" aria-label="source"><h2>Source</h2>']
    known = {(r.line.file, r.line.number): r for r in data.lines}
    for file, (first, lines) in data.sources.items():
        parts.append(f"<h3>{escape(Path(file).name)}</h3><ol start='{first}'>")
        for place, text in enumerate(lines, first):
            parts.append(
                _source_line(known.get((file, place)), file, place, text, by_number, longest)
            )
        parts.append("</ol>")
    if not data.sources:
        parts.append('<p class="note">No line of the source is known.</p>')
    return "".join([*parts, "</section>"])


def _seconds(kernel: KernelRecord) -> float:
    return kernel.predicted if kernel.measured is None else kernel.measured


def _source_line(
    record: LineRecord | None,
    file: str,
    place: int,
    text: str,
    kernels: dict[int, KernelRecord],
    longest: float,
) -> str:
    count, code = f'<span class="number">{place}</span>', f"<code>{escape(text) or ' '}</code>"
    if record is None:
        plain = f'{count}<span class="chips"></span>{code}'
        return f'<li class="line"><div class="plain">{plain}</div></li>'
    own = [kernels[k] for k in record.kernels]
    chips = "".join(chip(k.number, k.is_alarming) for k in own[:2])
    chips += f'<span class="more"> +{len(own) - 2}</span>' if len(own) > 2 else ""
    width = 100 * sum(map(_seconds, own)) / longest if longest else 0
    numbers = " ".join(str(k.number) for k in own)
    label = f"line {place}: kernels {numbers}"
    alarm = " alarm" if any(k.is_alarming for k in own) else ""
    return (
        f'<li class="line"><button type="button" class="made{alarm}" data-kernels="{numbers}" '
        f'data-line="{escape(f"{file}:{place}", quote=True)}" aria-label="{escape(label)}" '
        f'style="--part:{min(width, 100):.1f}%">{count}<span class="chips">{chips}</span>{code}</button></li>'
    )


# Views.


def _views(data: Data) -> str:
    tabs = "".join(
        f'<button type="button" role="tab" id="tab-{name}" aria-controls="view-{name}" '
        f'aria-selected="{"true" if k == 0 else "false"}" tabindex="{-1 if k else 0}">{name}</button>'
        for k, name in enumerate(TABS)
    )
    views = {
        "Graph": _graph(data),
        "Kernels": _kernel_table(data),
        "Roofline": roofline(data),
        "Memory": memory(data),
        "Passes": _passes(data),
        "Stages": _stages(data),
        "Machine": _machine(data),
    }
    panels = "".join(
        f'<div role="tabpanel" id="view-{name}" aria-labelledby="tab-{name}"{"" if k == 0 else " hidden"}>'
        f"{views[name]}</div>"
        for k, name in enumerate(TABS)
    )
    return f'<section class="views" aria-label="views"><div role="tablist">{tabs}</div>{panels}</section>'


def _graph(data: Data) -> str:
    if not data.graphs:
        return '<p class="note">The program was lowered before: there is no graph of it.</p>'
    stages = (
        ("fused", "fused: operations in their kernels"),
        ("traced", "traced: operations as the source has them"),
        ("operations", "simplified: operations before fusing"),
        ("kernels", "scheduled: kernels and arrays"),
    )
    options = "".join(f'<option value="{value}">{text}</option>' for value, text in stages)
    return (
        f'<div class="tools"><label>stage <select id="stage">{options}</select></label>'
        '<button type="button" id="fold">fold all</button><button type="button" id="unfold">unfold all</button>'
        '<button type="button" id="fit">fit</button><button type="button" id="smaller" aria-label="smaller">−</button>'
        '<button type="button" id="larger" aria-label="larger">+</button>'
        '<span class="hint">drag to move, wheel to zoom, press ▸ to unfold a kernel; dashed red: a copy, or Python</span></div>'
        '<svg id="graph" role="group" aria-label="graph of the program" tabindex="0"></svg>'
        f"<noscript><pre>{escape(as_text(data))}</pre></noscript>"
    )


def _kernel_table(data: Data) -> str:
    longest = max([s for k in data.kernels for s in (k.measured or 0, k.predicted)], default=0)
    rows = []
    for kernel in data.kernels:
        flops = "?" if kernel.flops is None else number(kernel.flop_count)
        rows.append(
            f'<tr class="mark{" alarm" if kernel.is_alarming else ""}" data-kernel="{kernel.number}" tabindex="0">'
            f"<td>{chip(kernel.number, kernel.is_alarming)}</td><td>{escape(kernel.name)}</td><td>{kernel.kind}</td>"
            f"<td>{duration(kernel.measured)}</td><td>{duration(kernel.predicted)}</td>"
            f'<td class="wide">{times(kernel, longest)}</td><td>{size(kernel.bytes)}</td><td>{flops}</td>'
            f"<td>{percent(kernel.of_roof)}</td><td>{escape(kernel.bound)}</td></tr>"
        )
    names = (
        "",
        "kernel",
        "kind",
        "measured",
        "predicted",
        "time",
        "bytes",
        "operations",
        "of roof",
        "bound",
    )
    head = "".join(f"<th scope='col'>{name}</th>" for name in names)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def diff_html(text: str) -> str:
    """A unified diff with its lines marked."""
    kinds = {"+": "added", "-": "removed", "@": "place"}
    lines = [
        f'<span class="{kinds.get(line[:1], "same")}">{escape(line) or " "}</span>'
        for line in text.splitlines()[2:]
    ]
    return f"<pre class='diff'>{''.join(lines)}</pre>"


def _passes(data: Data) -> str:
    parts = []
    for record in data.passes:
        stage = f"<small>{record.stage.lower()}</small>"
        if not record.diff:
            parts.append(f'<p class="pass">{escape(record.name)} {stage} changed nothing</p>')
            continue
        counts = f'<span class="removed">−{record.removed}</span> <span class="added">+{record.added}</span>'
        parts.append(
            f"<details class='pass'><summary>{escape(record.name)} {stage} {counts}</summary>{diff_html(record.diff)}</details>"
        )
    return "".join(parts) or '<p class="note">The passes were not watched.</p>'


def _stages(data: Data) -> str:
    return "".join(
        f"<details{' open' if k == 0 else ''}><summary>{name.lower()}</summary><pre>{escape(text)}</pre></details>"
        for k, (name, text) in enumerate(data.stages.items())
    )


def _machine(data: Data) -> str:
    return (
        ""
        if data.machine is None
        else f"<pre>{escape(chr(10).join(machine_lines(data.machine)))}</pre>"
    )


# Details of a kernel.


def _details(data: Data) -> str:
    shown = "".join(_detail(data, kernel) for kernel in data.kernels)
    return (
        '<section class="details" aria-label="the kernel that is chosen" aria-live="polite">'
        '<div class="switch" id="switch"></div>'
        f'<p class="note" id="none">Choose a line, a node or a kernel.</p>{shown}</section>'
    )


def _detail(data: Data, kernel: KernelRecord) -> str:
    lanes = "/".join(map(str, kernel.lanes))
    facts = [
        ("does", work_text(kernel)),
        ("reads", ", ".join(kernel.reads) or "nothing"),
        ("writes", ", ".join(kernel.writes) or "nothing"),
        ("runs in", f"{kernel.threads} thread{'s' * (kernel.threads > 1)}" + (f", lanes of {lanes}" if lanes else ", scalar code")),
        ("time", f"{duration(kernel.measured)} measured, {duration(kernel.predicted)} predicted"),
        ("moves", f"{size(kernel.bytes_read)} in, {size(kernel.bytes_written)} out"),
        ("computes", "unknown: inside other code" if kernel.flops is None else
         f"{number(kernel.flop_count)} operations" + (f", {kernel.intensity:.3g} for each byte" if kernel.intensity else "")),
    ]  # fmt: skip
    if kernel.roof:
        reached = f"; {percent(kernel.of_roof)} of it reached" if kernel.of_roof else ""
        facts.append(("roof", f"{duration(kernel.roof)}, set by {kernel.bound}{reached}"))
    if kernel.symbols:
        facts.append(("calls", ", ".join(kernel.symbols)))
    if kernel.lines:
        facts.append(("from", ", ".join(line.place for line in kernel.lines)))
    listed = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    reasons = "".join(f"<li>{escape(str(reason))}</li>" for reason in kernel.why_not)
    choices = "".join(f"<li>{escape(choice_text(choice))}</li>" for choice in kernel.choices)
    alarm = " alarm" if kernel.is_alarming else ""
    return (
        f'<article class="detail{alarm}" id="kernel-{kernel.number}" hidden>'
        f"<h2>{chip(kernel.number, kernel.is_alarming)} {escape(kernel.name)} <small>{kernel.kind}</small></h2>"
        f"<dl>{listed}</dl>"
        + (f"<h3>chosen by the model</h3><ul>{choices}</ul>" if choices else "")
        + (f"<h3>why it is not fused with others</h3><ul>{reasons}</ul>" if reasons else "")
        + f'<details open class="loops"><summary>loops</summary><pre>{escape(kernel.loops)}</pre></details>'
        + _assembly(data, kernel)
        + "</article>"
    )


def _assembly(data: Data, kernel: KernelRecord) -> str:
    stem = kernel.function.rpartition(".")
    parts = [
        f"{name}:\n{text}"
        for name, text in data.assembly.items()
        if name == kernel.function or name.startswith((f"{kernel.function}.", f"{stem[0]}.body"))
    ]
    if not parts:
        return ""
    lines = "\n".join(parts).splitlines()
    left = len(lines) - MOST_ASSEMBLY
    shown = "\n".join(lines[:MOST_ASSEMBLY]) + (f"\n... and {left} more lines" if left > 0 else "")
    return (
        f'<details class="assembly"><summary>assembly ({len(lines)} lines)</summary>'
        f"<pre>{escape(shown)}</pre></details>"
    )
