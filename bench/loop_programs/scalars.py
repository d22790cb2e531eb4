"""Programs of scalars: `while` on values, bits of integers, tables filled one cell after another."""

from typing import Any

import numpy as np

from .record import LoopProgram

prange = range
jax: Any = None
jnp: Any = None
lax: Any = None

POLYNOMIAL = np.uint32(0xEDB88320)
ONES = np.uint32(0xFFFFFFFF)


def mandelbrot(xs, ys, limit):
    counts = np.zeros((ys.size, xs.size), np.int64)
    for i in range(ys.size):
        for j in range(xs.size):
            x = y = 0.0
            n = 0
            while n < limit and x * x + y * y <= 4.0:
                x, y = x * x - y * y + xs[j], 2.0 * x * y + ys[i]
                n += 1
            counts[i, j] = n
    return counts


def mandelbrot_numba(xs, ys, limit):
    counts = np.zeros((ys.size, xs.size), np.int64)
    for i in prange(ys.size):
        for j in range(xs.size):
            x = y = 0.0
            n = 0
            while n < limit and x * x + y * y <= 4.0:
                x, y = x * x - y * y + xs[j], 2.0 * x * y + ys[i]
                n += 1
            counts[i, j] = n
    return counts


def mandelbrot_jax(xs, ys, limit):
    """All pixels at once, those that have escaped too: they stay outside, as nan at last."""

    def step(_, state):
        x, y, counts = state
        counts = counts + (x * x + y * y <= 4.0)
        return x * x - y * y + xs, 2.0 * x * y + ys[:, None], counts

    zeros = jnp.zeros((ys.size, xs.size))
    return lax.fori_loop(0, limit, step, (zeros, zeros, zeros.astype(int)))[2]


def collatz(count):
    """The number below `count` that takes the most steps to one, and the steps."""
    longest = best = 0
    for start in range(1, count):
        n, steps = start, 0
        while n != 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            steps += 1
        if steps > longest:
            longest, best = steps, start
    return best, longest


def collatz_numba(count):
    steps = np.zeros(count, np.int64)
    for start in prange(1, count):
        n = start
        while n != 1:
            n = n >> 1 if n & 1 == 0 else 3 * n + 1
            steps[start] += 1
    best = np.argmax(steps)
    return best, steps[best]


def collatz_jax(count):
    def step(state):
        n, steps = state
        running = n > 1
        n = jnp.where(running, jnp.where(n & 1 == 0, n >> 1, 3 * n + 1), n)
        return n, steps + running

    starts = jnp.arange(count)
    _, steps = lax.while_loop(
        lambda state: jnp.any(state[0] > 1), step, (starts, jnp.zeros_like(starts))
    )
    best = jnp.argmax(steps)
    return best, steps[best]


def ruin(seed, games, stake, goal):
    """How many of so many gamblers win; a xorshift generator tosses the coins."""
    wins = 0
    for _ in range(games):
        purse = stake
        while 0 < purse < goal:
            seed ^= (seed << 13) & 0xFFFFFFFF
            seed ^= seed >> 17
            seed ^= (seed << 5) & 0xFFFFFFFF
            purse += 1 if seed & 1 else -1
        if purse == goal:
            wins += 1
    return wins, seed


def ruin_numba(seed, games, stake, goal):
    wins = 0
    for _ in range(games):
        purse = stake
        while 0 < purse < goal:
            seed ^= (seed << 13) & 0xFFFFFFFF
            seed ^= seed >> 17
            seed ^= (seed << 5) & 0xFFFFFFFF
            purse += 2 * (seed & 1) - 1
        wins += purse == goal
    return wins, seed


def ruin_jax(seed, games, stake, goal):
    def toss(state):
        purse, seed = state
        seed = seed ^ ((seed << 13) & 0xFFFFFFFF)
        seed = seed ^ (seed >> 17)
        seed = seed ^ ((seed << 5) & 0xFFFFFFFF)
        return purse + 2 * (seed & 1) - 1, seed

    def game(_, state):
        wins, seed = state
        purse, seed = lax.while_loop(lambda s: (s[0] > 0) & (s[0] < goal), toss, (stake, seed))
        return wins + (purse == goal), seed

    return lax.fori_loop(0, games, game, (0, seed))


def crc_table(data, table):
    crc = ONES
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ ONES


def crc_table_numba(data, table):
    crc = ONES
    for i in range(data.size):
        crc = np.uint32(table[np.uint8(crc) ^ data[i]] ^ (crc >> np.uint32(8)))
    return crc ^ ONES


def crc_table_jax(data, table):
    def step(crc, byte):
        return table[(crc ^ byte) & 0xFF] ^ (crc >> 8), None

    return lax.scan(step, jnp.uint32(ONES), data, unroll=8)[0] ^ ONES


def crc_bits(data):
    crc = ONES
    for byte in data:
        crc = crc ^ byte
        for _ in range(8):
            if crc & 1:
                crc = (crc >> 1) ^ POLYNOMIAL
            else:
                crc = crc >> 1
    return crc ^ ONES


def crc_bits_numba(data):
    crc = ONES
    for i in range(data.size):
        crc = np.uint32(crc ^ data[i])
        for _ in range(8):
            crc = np.uint32((crc >> np.uint32(1)) ^ (POLYNOMIAL if crc & np.uint32(1) else 0))
    return crc ^ ONES


def crc_bits_jax(data):
    def step(crc, byte):
        crc = crc ^ byte
        for _ in range(8):
            crc = (crc >> 1) ^ jnp.where(crc & 1, POLYNOMIAL, np.uint32(0))
        return crc, None

    return lax.scan(step, jnp.uint32(ONES), data)[0] ^ ONES


def biquad(x, b0, b1, b2, a1, a2):
    """A recursive filter of second order, in direct form."""
    y = np.zeros_like(x)
    y[0] = b0 * x[0]
    y[1] = b0 * x[1] + b1 * x[0] - a1 * y[0]
    for i in range(2, x.size):
        y[i] = b0 * x[i] + b1 * x[i - 1] + b2 * x[i - 2] - a1 * y[i - 1] - a2 * y[i - 2]
    return y


def biquad_numba(x, b0, b1, b2, a1, a2):
    y = np.empty_like(x)
    x1 = x2 = y1 = y2 = 0.0
    for i in range(x.size):
        y0 = b0 * x[i] + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
        y[i] = y0
        x1, x2, y1, y2 = x[i], x1, y0, y1
    return y


def biquad_jax(x, b0, b1, b2, a1, a2):
    zeros = jnp.zeros(2)
    forward = b0 * x + b1 * jnp.r_[zeros[:1], x[:-1]] + b2 * jnp.r_[zeros, x[:-2]]

    def step(state, value):
        y1, y2 = state
        y0 = value - a1 * y1 - a2 * y2
        return (y0, y1), y0

    return lax.scan(step, (0.0, 0.0), forward, unroll=16)[1]


def edit_distance(a, b):
    """How many letters must be changed, added or taken away."""
    previous = np.arange(b.size + 1)
    current = np.zeros_like(previous)
    for i in range(a.size):
        current[0] = i + 1
        for j in range(b.size):
            cost = 0 if a[i] == b[j] else 1
            current[j + 1] = min(previous[j + 1] + 1, current[j] + 1, previous[j] + cost)
        previous, current = current, previous
    return previous[b.size]


def edit_distance_numba(a, b):
    """One row, with the values to the left and above it at hand."""
    row = np.arange(b.size + 1)
    for i in range(a.size):
        diagonal, left, letter = row[0], i + 1, a[i]
        row[0] = left
        for j in range(b.size):
            above = row[j + 1]
            left = min(min(above + 1, diagonal + (letter != b[j])), left + 1)
            row[j + 1] = left
            diagonal = above
    return row[b.size]


def edit_distance_jax(a, b):
    """A row at a time: what comes from the left is a running minimum."""
    columns = jnp.arange(b.size + 1)

    def step(previous, letter):
        inner = jnp.minimum(previous[1:] + 1, previous[:-1] + (b != letter))
        row = jnp.r_[previous[:1] + 1, inner]
        return lax.cummin(row - columns) + columns, None

    return lax.scan(step, columns, a)[0][-1]


def needleman_wunsch(a, b, match, mismatch, gap):
    """The table of scores of the best alignments."""
    score = np.zeros((a.size + 1, b.size + 1), np.int64)
    for i in range(a.size + 1):
        score[i, 0] = gap * i
    for j in range(b.size + 1):
        score[0, j] = gap * j
    for i in range(1, a.size + 1):
        for j in range(1, b.size + 1):
            same = score[i - 1, j - 1] + (match if a[i - 1] == b[j - 1] else mismatch)
            score[i, j] = max(same, score[i - 1, j] + gap, score[i, j - 1] + gap)
    return score


def needleman_wunsch_numba(a, b, match, mismatch, gap):
    score = np.empty((a.size + 1, b.size + 1), np.int64)
    for j in range(b.size + 1):
        score[0, j] = gap * j
    for i in range(1, a.size + 1):
        left, letter = gap * i, a[i - 1]
        score[i, 0] = left
        for j in range(1, b.size + 1):
            same = score[i - 1, j - 1] + (match if letter == b[j - 1] else mismatch)
            left = max(max(same, score[i - 1, j] + gap), left + gap)
            score[i, j] = left
    return score


def needleman_wunsch_jax(a, b, match, mismatch, gap):
    gaps = gap * jnp.arange(b.size + 1)

    def step(previous, letter):
        same = previous[:-1] + jnp.where(b == letter, match, mismatch)
        row = jnp.r_[previous[:1] + gap, jnp.maximum(same, previous[1:] + gap)]
        row = lax.cummax(row - gaps) + gaps
        return row, row

    rows = lax.scan(step, gaps, a)[1]
    return jnp.concatenate([gaps[None], rows])


def _plane(size: int, generator: np.random.Generator) -> tuple:
    return np.linspace(-2.0, 0.5, size), np.linspace(-1.1, 1.1, size * 3 // 4), 200


def _count(size: int, generator: np.random.Generator) -> tuple:
    return (np.int64(size),)


def _games(size: int, generator: np.random.Generator) -> tuple:
    return np.int64(2463534242), size, 20, 50


def _bytes(size: int, generator: np.random.Generator) -> tuple:
    return (generator.integers(0, 256, size).astype(np.uint8),)


def _bytes_and_table(size: int, generator: np.random.Generator) -> tuple:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ POLYNOMIAL, table >> 1)
    return (*_bytes(size, generator), table)


def _signal(size: int, generator: np.random.Generator) -> tuple:
    return generator.normal(size=size), 0.0675, 0.1349, 0.0675, -1.143, 0.4128


def _letters(size: int, generator: np.random.Generator) -> tuple:
    return tuple(generator.integers(0, 4, n).astype(np.uint8) for n in (size, size + 7))


def _scored_letters(size: int, generator: np.random.Generator) -> tuple:
    return (*_letters(size, generator), 1, -1, -2)


PROGRAMS = (
    LoopProgram("Mandelbrot", mandelbrot, _plane, 200, 12, mandelbrot_jax, mandelbrot_numba),
    LoopProgram("Collatz", collatz, _count, 30_000, 60, collatz_jax, collatz_numba),
    LoopProgram("gambler's ruin", ruin, _games, 3000, 5, ruin_jax, ruin_numba),
    LoopProgram(
        "CRC, table", crc_table, _bytes_and_table, 1 << 20, 100, crc_table_jax, crc_table_numba
    ),
    LoopProgram("CRC, bits", crc_bits, _bytes, 1 << 17, 30, crc_bits_jax, crc_bits_numba),
    LoopProgram("recursive filter", biquad, _signal, 500_000, 50, biquad_jax, biquad_numba, 1e-12),
    LoopProgram(
        "edit distance",
        edit_distance,
        _letters,
        1000,
        12,
        edit_distance_jax,
        edit_distance_numba,
    ),
    LoopProgram(
        "Needleman-Wunsch",
        needleman_wunsch,
        _scored_letters,
        1000,
        12,
        needleman_wunsch_jax,
        needleman_wunsch_numba,
    ),
)
