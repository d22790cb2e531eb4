"""Plots of an explanation as SVG: the roofline, and memory over time. Colours are the page's."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import atan2, ceil, degrees, floor, log10

from .records import Data, KernelRecord
from .text import duration, number, percent, size

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 18, 46


def kernel_attributes(kernel: KernelRecord, text: str) -> str:
    """What makes an element stand for a kernel: a press chooses it, also with keys."""
    label = escape(text, quote=True)
    return (
        f'data-kernel="{kernel.number}" class="mark" style="--hue:{hue(kernel.number)}" '
        f'tabindex="0" role="button" aria-label="{label}"'
    )


def hue(number: int) -> int:
    """Neighbouring kernels have colours far apart: steps of the golden angle."""
    return round(number * 137.508 + 60) % 360


def roofline(data: Data) -> str:
    """Operations a second against operations for each byte, under the machine's limits."""
    machine = data.machine
    points = [k for k in data.kernels if k.intensity and k.measured]
    if machine is None or not points:
        return '<p class="note">No kernel with arithmetic was measured.</p>'
    dtypes = {name for kernel in points for name in kernel.flops or ()}
    peaks = {name: max(rates) for name, rates in machine.flops.items()}
    shown = {n: p for n, p in peaks.items() if n == "float64" or dtypes - {"float64", "complex128"}}
    slopes = {level: max(rates) for level, rates in machine.bandwidth.items()}
    speeds = [k.flop_count / k.measured for k in points]
    low_x = floor(log10(min(0.05, *[k.intensity for k in points])))
    high_x = ceil(log10(max(30.0, *[k.intensity for k in points])))
    low_y = floor(log10(min(*speeds, min(slopes.values()) * 10**low_x)))
    high_y = ceil(log10(max(*speeds, *peaks.values())))

    def x(value: float) -> float:
        return LEFT + (log10(value) - low_x) / (high_x - low_x) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (log10(value) - low_y) / (high_y - low_y) * (HEIGHT - TOP - BOTTOM)

    parts = [*_grid(x, y, (low_x, high_x), (low_y, high_y))]
    top = max(shown.values())
    for level, rate in slopes.items():
        # From the left edge, or the bottom, up to the highest roof.
        start, end = max(10.0**low_x, 10.0**low_y / rate), min(top / rate, 10.0**high_x)
        parts.append(
            f'<line class="roof" x1="{x(start):.1f}" y1="{y(rate * start):.1f}" '
            f'x2="{x(end):.1f}" y2="{y(rate * end):.1f}"/>'
        )
        turn = -_angle(x, y, rate, start, end)
        parts.append(
            f'<text class="label" transform="translate({x(start * 1.3):.1f},'
            f'{y(rate * start * 1.3) - 5:.1f}) rotate({turn:.1f})">{level} {rate / 1e9:.0f} GB/s</text>'
        )
    for name, peak in shown.items():
        first = peak / max(slopes.values())
        parts.append(
            f'<line class="roof" x1="{x(first):.1f}" y1="{y(peak):.1f}" x2="{WIDTH - RIGHT}" y2="{y(peak):.1f}"/>'
            f'<text class="label" x="{WIDTH - RIGHT}" y="{y(peak) - 5:.1f}" text-anchor="end">'
            f"{name} multiply-adds {peak / 1e9:.0f} Gflop/s</text>"
        )
    parts += _points(points, x, y)
    return _svg("roofline", WIDTH, HEIGHT, parts, "Roofline: speed against arithmetic intensity")


def _angle(x, y, rate: float, start: float, end: float) -> float:
    from_x, to_x, from_y, to_y = x(start), x(end), y(rate * start), y(rate * end)
    run, rise = to_x - from_x, from_y - to_y
    return 0.0 if run <= 0 else degrees(atan2(rise, run))


def _grid(x, y, x_range: tuple[int, int], y_range: tuple[int, int]) -> list[str]:
    parts = []
    for power in range(x_range[0], x_range[1] + 1):
        place = x(10.0**power)
        parts.append(
            f'<line class="grid" x1="{place:.1f}" y1="{TOP}" x2="{place:.1f}" y2="{HEIGHT - BOTTOM}"/>'
            f'<text class="tick" x="{place:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{10.0**power:g}</text>'
        )
    for power in range(y_range[0], y_range[1] + 1):
        place = y(10.0**power)
        parts.append(
            f'<line class="grid" x1="{LEFT}" y1="{place:.1f}" x2="{WIDTH - RIGHT}" y2="{place:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{place + 4:.1f}" text-anchor="end">{number(10.0**power)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">operations for each byte</text>'
        f'<text class="axis" transform="translate(14,{(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">operations a second</text>'
    )
    return parts


def _points(points: Iterable[KernelRecord], x, y) -> list[str]:
    """A circle for each kernel; those that would lie on another one share its place side by side."""
    parts, taken = [], []
    for kernel in points:
        speed = kernel.flop_count / kernel.measured
        px, py = x(kernel.intensity), y(speed)
        while any(abs(px - ox) < 17 and abs(py - oy) < 17 for ox, oy in taken):
            px += 17
            if px > WIDTH - RIGHT - 8:
                px, py = x(kernel.intensity), py + 17
        taken.append((px, py))
        text = (
            f"kernel {kernel.number}, {kernel.name}: {number(speed)} operations a second, "
            f"{kernel.intensity:.2g} for each byte, {percent(kernel.of_roof) or '?'} of the roof"
        )
        parts.append(
            f"<g {kernel_attributes(kernel, text)}><title>{escape(text)}</title>"
            f'<circle cx="{px:.1f}" cy="{py:.1f}" r="9"/>'
            f'<text x="{px:.1f}" y="{py + 3.5:.1f}" text-anchor="middle">{kernel.number}</text></g>'
        )
    return parts


def memory(data: Data) -> str:
    """Intermediate arrays as bars over the kernels, above them how much is alive."""
    lives, count = data.memory.lives, len(data.kernels)
    if not lives:
        return '<p class="note">No intermediate array is ever in memory: all is fused.</p>'
    row, style = (20, "tick") if len(lives) <= 30 else (12, "tick small")
    curve, left = 90, 110
    height = curve + 40 + row * len(lives) + 16
    step = (WIDTH - left - RIGHT) / count
    peak = max(data.memory.peak, 1)
    parts = []
    for kernel, live in zip(data.kernels, data.memory.live):
        tall = live / peak * curve
        place = left + (kernel.number - 1) * step
        text = f"kernel {kernel.number}, {kernel.name}: {size(live)} alive"
        parts.append(
            f"<g {kernel_attributes(kernel, text)}><title>{escape(text)}</title>"
            f'<rect class="hit" x="{place:.1f}" y="8" width="{step:.1f}" height="{height - 8}"/>'
            f'<rect class="live" x="{place + 0.5:.1f}" y="{8 + curve - tall:.1f}" width="{max(step - 1, 1):.1f}" height="{tall:.1f}"/>'
            "</g>"
        )
    parts.append(
        f'<text class="tick" x="{left - 8}" y="18" text-anchor="end">{size(peak)}</text>'
        f'<text class="tick" x="{left - 8}" y="{8 + curve}" text-anchor="end">0</text>'
        f'<line class="grid" x1="{left}" y1="{8 + curve}" x2="{WIDTH - RIGHT}" y2="{8 + curve}"/>'
    )
    every = ceil(count / 20)
    for k in range(1, count + 1, every):
        parts.append(
            f'<text class="tick" x="{left + (k - 0.5) * step:.1f}" y="{curve + 24}" text-anchor="middle">{k}</text>'
        )
    for position, life in enumerate(lives):
        top = curve + 34 + position * row
        begin, width = left + (life.first - 1) * step, (life.last - life.first + 1) * step
        text = f"{life.name}: {life.type}, {size(life.bytes)}, kernels {life.first} to {life.last}"
        parts.append(
            f'<g><title>{escape(text)}</title><text class="{style}" x="{left - 8}" y="{top + row / 2 + 1:.1f}" text-anchor="end">'
            f"{escape(life.name)} {size(life.bytes)}</text>"
            f'<rect class="bar" x="{begin + 1:.1f}" y="{top}" width="{max(width - 2, 1):.1f}" height="{row - 4}" rx="2"/></g>'
        )
    return _svg("memory", WIDTH, height, parts, "Intermediate arrays alive while each kernel runs")


def times(kernel: KernelRecord, longest: float) -> str:
    """Bars of the measured and the predicted seconds, as parts of the longest."""
    bars = []
    for name, seconds in (("measured", kernel.measured), ("predicted", kernel.predicted)):
        if seconds is not None:
            width = 100 * seconds / longest if longest else 0
            bars.append(
                f'<span class="time {name}" style="width:{max(width, 0.5):.1f}%" '
                f'title="{name} {duration(seconds)}"></span>'
            )
    return f'<span class="times">{"".join(bars)}</span>'


def _svg(name: str, width: float, height: float, parts: Iterable[str], label: str) -> str:
    return (
        f'<svg id="{name}" viewBox="0 0 {width} {height}" role="group" aria-label="{label}">'
        + "".join(parts)
        + "</svg>"
    )
