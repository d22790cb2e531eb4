"""Times the variants of one case in interleaved rounds, so that noise hits all of them alike.

A *case* is one row of the report: a piece of work at one size and dtype. Its *variants* do that work, each with
another library (the *subject*). One subject may bring several variants (one thread and two, say); the report
takes its fastest. In a round each variant has a turn of several blocks of calls, each just long enough for the clock:
the fastest block counts, since in one of them no other program took the processor away; the result is the
median over the rounds. A variant far behind the fastest leaves after a few rounds: more would change nothing.
"""

import contextlib
import statistics
import time
import timeit
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tracejit

BLOCK_SECONDS, TURN_SECONDS = 0.0006, 0.004
LEAST_BLOCKS = 2
LONG_SECONDS = 0.02  # a call that needs no other before it
# OpenBLAS's threads spin for 110 ms after their work, others for less: until this process does
# nothing in a short time, which is long beside a tick of the clock that counts what threads did.
SETTLE_SECONDS, LOOK_SECONDS, IDLE = 0.12, 0.02, 0.2
MIN_ROUNDS = 3
HOPELESS = 8.0  # times slower than the fastest: leave after MIN_ROUNDS
# Blocks of us and of limits, one after the other.
ROUNDS, LEAST_ROUNDS, SECONDS_OF_ROUNDS = 60, 10, 1.0
# The fastest of the others against us, once more where it is a close run.
CLOSE, MORE_ROUNDS = (0.7, 1.0), 3


@dataclass
class Variant:
    """One way of doing a case's work.

    `statement` is Python source timed in `namespace`, where it does the work `calls` times; `result` returns what
    the work yields, as NumPy values, or is None where there is nothing to compare. `context` is entered around
    each block of calls (a thread limit). Where the work cannot be repeated in a loop (a cold process, a compile),
    `sample` does it once and returns its seconds, and there is no statement. `threads` is how many it may
    use, 0 all.
    """

    subject: str
    statement: str = ""
    namespace: Mapping[str, Any] = field(default_factory=dict)
    result: Callable[[], Any] | None = None
    label: str = ""
    calls: float = 1
    context: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext
    sample: Callable[[], float] | None = None
    threads: int = 0


@dataclass
class Case:
    """One row of the report. `bytes` (of which `written`; the largest array has `largest`) and `flops` are the
    least the work can move and compute, for the limits, and it moves them in that `memory`, which is its `level`
    if it has one, so many times (`passes`); `sweeps` says that the largest must have been read once
    before anything is written; of what is `picked`, the first array is read at the places that the others list. Where it `compiles`, a variant's first call counts: what it takes beyond later ones
    is the time of compiling."""

    section: str
    name: str
    size: str
    dtype: str
    variants: Sequence[Variant]
    level: str = ""
    bytes: int = 0
    written: int = 0
    largest: int = 0
    memory: str = ""
    passes: int = 1
    sweeps: bool = False
    picked: tuple = ()
    flops: int = 0
    threads: int = 0  # 0 means all
    tolerance: float = 0.0
    missing: dict[str, str] = field(default_factory=dict)  # why a subject has no variant
    compiles: bool = False


@dataclass
class Measurement:
    """Seconds per call of one subject's fastest variant: median, least and quartiles of so many rounds; and
    what the first call took beyond the median, where that was measured."""

    median: float
    least: float
    low: float
    high: float
    rounds: int
    label: str = ""
    compiling: float = 0.0


@dataclass
class Row:
    """A measured case: the times by subject, why one is missing, and what part of tracejit's time the machine would
    need at the least (`share`), set by `bound`; `shares` are those of all limits that were looked at. Where it is short: `why`,
    what its instructions wait for, and `explained`, by which sections of docs/limits.md."""

    section: str
    name: str
    size: str
    dtype: str
    level: str = ""
    threads: int = 0
    times: dict[str, Measurement] = field(default_factory=dict)
    share: float = 0.0
    bound: str = ""
    shares: dict[str, float] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


@dataclass
class Budget:
    """How long one case may take, and how many rounds are enough."""

    seconds: float
    rounds: int

    @classmethod
    def quick(cls) -> "Budget":
        return cls(seconds=0.6, rounds=5)

    @classmethod
    def full(cls) -> "Budget":
        return cls(seconds=4.0, rounds=15)


def measure(
    case: Case, budget: Budget, limits_of: Callable[[Case], list[Variant]] = lambda case: []
) -> Row:
    """Check every variant of `case` against NumPy's, then time those that agree, and ours against its limits."""
    row = Row(case.section, case.name, case.size, case.dtype, case.level, case.threads)
    row.notes.update(case.missing)
    runners = []
    expected = _expected(case)
    for variant in case.variants:
        try:
            first = _check(variant, expected, case.tolerance)
            runners.append(_Runner(variant, first if case.compiles else 0.0))
        except Exception as error:  # noqa: BLE001  a peer's failure is a note, never the end
            row.notes[variant.subject] = reason(error)
    _interleave(runners, budget, row)
    close = _close_run(runners)
    if close:
        _interleave(close, Budget(MORE_ROUNDS * budget.seconds, MORE_ROUNDS * budget.rounds), row)
    for runner in runners:
        if not runner.samples:
            continue
        timing = runner.measurement()
        subject = runner.variant.subject
        best = row.times.get(subject)
        if best is None or timing.median < best.median:
            row.times[subject] = timing
    for subject in row.times:
        row.notes.pop(subject, None)
    ours = [r for r in runners if r.variant.subject == "tracejit" and r.samples]
    if ours:
        _hold_against(ours[0].variant, limits_of(case), row)
    return row


def _close_run(runners: list["_Runner"]) -> list["_Runner"]:
    """Our variant and the fastest of the others where that is a little faster, or seems to be."""
    found = [runner for runner in runners if runner.samples and not runner.variant.sample]
    ours = [runner for runner in found if runner.variant.subject == "tracejit"]
    others = [r for r in found if not r.variant.subject.startswith("tracejit")]
    if not ours or not others:
        return []
    mine, best = [min(chosen, key=_Runner.median) for chosen in (ours, others)]
    low, high = CLOSE
    return [mine, best] if low <= best.median() / mine.median() < high else []


def _hold_against(ours: Variant, limits: list[Variant], row: Row) -> None:
    """The share of our time that the limit takes which is furthest: the least of many blocks, in turns with ours."""
    if not limits:
        return
    runners = [_Runner(variant) for variant in (ours, *limits)]
    stop = time.perf_counter() + SECONDS_OF_ROUNDS
    rounds: list[list[float]] = []
    while len(rounds) < LEAST_ROUNDS or len(rounds) < ROUNDS and time.perf_counter() < stop:
        rounds.append([min(runner.blocks(1)) for runner in runners])
    least, *seconds = map(min, zip(*rounds))
    fastest: dict[str, float] = {}
    for variant, limit in zip(limits, seconds):
        fastest[variant.label] = min(limit, fastest.get(variant.label, limit))
    row.shares = {label: limit / least for label, limit in fastest.items()}
    row.bound = max(row.shares, key=row.shares.__getitem__)
    row.share = row.shares[row.bound]


def collect(
    builders: Mapping[str, Callable[..., list[Variant]]], subjects: Sequence[str], *arguments: Any
) -> tuple[list[Variant], dict[str, str]]:
    """The variants that the chosen subjects' builders make, and by subject the reason where one cannot."""
    made: list[Variant] = []
    missing: dict[str, str] = {}
    for subject, build in builders.items():
        if subject in subjects:
            try:
                made += build(*arguments)
            except Exception as error:  # noqa: BLE001  not installed, or not able to
                missing[subject] = reason(error)
    return made, missing


def _interleave(runners: list["_Runner"], budget: Budget, row: Row) -> None:
    deadline = time.perf_counter() + budget.seconds
    active = list(runners)
    for round_number in range(budget.rounds):
        if round_number >= MIN_ROUNDS and time.perf_counter() > deadline:
            return
        turn = round_number % max(len(active), 1)
        for runner in active[turn:] + active[:turn]:
            try:
                runner.take_turn()
            except Exception as error:  # noqa: BLE001  as above
                row.notes[runner.variant.subject] = reason(error)
                runner.samples.clear()
                active.remove(runner)
        if round_number + 1 == MIN_ROUNDS and active:
            fastest = min(runner.median() for runner in active)
            active = [runner for runner in active if runner.median() < HOPELESS * fastest]


def _settle() -> None:
    """Wait until no thread of this process compiles or spins."""
    tracejit.wait()
    stop = time.perf_counter() + SETTLE_SECONDS
    while time.perf_counter() < stop:
        start, busy = time.perf_counter(), time.process_time()
        time.sleep(LOOK_SECONDS)
        if time.process_time() - busy < IDLE * (time.perf_counter() - start):
            return


class _Runner:
    """A variant with its timer, the length of its block, and the samples so far; and the seconds of its first
    call, if they count."""

    def __init__(self, variant: Variant, first: float = 0.0):
        self.variant = variant
        self.first = first
        self.samples: list[float] = []
        if variant.sample:
            variant.sample()  # fills the file system's cache, loads the compiler
            return
        self.timer = timeit.Timer(variant.statement, globals=dict(variant.namespace))
        with variant.context():
            self.timer.timeit(1)
            tracejit.wait()
            once = self.timer.timeit(1)
            if once < BLOCK_SECONDS / 10:
                once = self.timer.timeit(10) / 10
        self.loops = max(1, round(BLOCK_SECONDS / max(once, 1e-9)))
        self.warming = 0 if once > LONG_SECONDS else max(1, self.loops // 2)
        self.of_turn = max(LEAST_BLOCKS, round(TURN_SECONDS / max(once * self.loops, 1e-9)))

    def take_turn(self) -> None:
        _settle()
        if self.variant.sample:
            self.samples.append(self.variant.sample())
        else:
            self.samples.append(min(self.blocks(self.of_turn)))

    def blocks(self, count: int) -> list[float]:
        """The seconds of a call in each of so many blocks."""
        with self.variant.context():
            # Wakes the threads and fills the caches that the variant before emptied.
            self.timer.timeit(self.warming)
            seconds = [self.timer.timeit(self.loops) for _ in range(count)]
        return [block / self.loops / self.variant.calls for block in seconds]

    def median(self) -> float:
        return statistics.median(self.samples)

    def measurement(self) -> Measurement:
        low, high = np.percentile(self.samples, (25, 75))
        least, rounds = min(self.samples), len(self.samples)
        return Measurement(
            self.median(),
            least,
            float(low),
            float(high),
            rounds,
            self.variant.label,
            max(self.first - self.median(), 0.0),
        )


def _expected(case: Case) -> Any:
    for variant in case.variants:
        if variant.subject == "numpy" and variant.result is not None:
            return variant.result()
    return None


def _check(variant: Variant, expected: Any, tolerance: float) -> float:
    """The seconds until the variant's first results; raise `ValueError` unless they equal NumPy's to `tolerance`,
    relative to the largest."""
    if variant.result is None or expected is None or variant.subject == "numpy":
        return 0.0
    start = time.perf_counter()
    actual = variant.result()
    seconds = time.perf_counter() - start
    wanted = expected if isinstance(expected, tuple) else (expected,)
    given = actual if isinstance(actual, (tuple, list)) else (actual,)
    if len(wanted) != len(given):
        raise ValueError(f"wrong result: {len(given)} values, not {len(wanted)}")
    for want, give in zip(wanted, given):
        want, give = np.asarray(want), np.asarray(give)
        if want.shape != give.shape:
            raise ValueError(f"wrong result: shape {give.shape}, not {want.shape}")
        gap = _gap(want, give)
        if not gap <= tolerance:
            raise ValueError(f"wrong result: off by {gap:.1e} of the largest value")
    return seconds


def _gap(want: np.ndarray, give: np.ndarray) -> float:
    """The largest difference, relative to the largest finite value; infinities agree with themselves."""
    scale = float(np.max(np.abs(want), where=np.isfinite(want), initial=0.0)) or 1.0
    differs = want != give
    return float(np.max(np.abs(want[differs] - give[differs]), initial=0.0)) / scale


def reason(error: Exception) -> str:
    """The error's name and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:160]
