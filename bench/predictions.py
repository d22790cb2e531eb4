"""`python -m bench.predictions [section ...]`: how well the cost model foretells the time of each kernel.

Every array program of the sections is explained at sizes in L2, L3 and memory, and the seconds that were
predicted for its kernels are divided by those that were measured. Kernels of less than 0.3 us, which the clock
does not resolve, and those that are other libraries' code, are left out.
"""

import argparse
from collections.abc import Iterator

import numpy as np

import tracejit
from tracejit.report.records import KernelRecord

from .limits import LEVELS
from .peers import SPECIAL, rebind, special_functions
from .program import Program
from .workloads import elementwise, indexing, programs, rows, writes
from .workloads.arrays import DTYPES

LEAST_SECONDS = 3e-7
NEAR = 1.3
SIDES = (64, 128, 256, 512, 1024)


def _factors(n: int, k: int, m: int):
    return lambda _, dtype, rng: (
        rng.standard_normal((n, k)).astype(dtype),
        rng.standard_normal((k, m)).astype(dtype),
    )


PRODUCTS = [
    *[Program(f"matmul {n}", lambda a, b: a @ b, _factors(n, n, n)) for n in SIDES],
    Program("matmul, short depth", lambda a, b: a @ b, _factors(2048, 32, 2048)),
    Program("matmul, few rows", lambda a, b: a @ b, _factors(16, 2048, 64)),
    Program("tanh(a @ b + 1)", lambda a, b: np.tanh(a @ b + 1), _factors(256, 512, 256)),
]
SECTIONS = {
    "elementwise": elementwise.PROGRAMS,
    "rows": rows.PROGRAMS,
    "programs": programs.PROGRAMS,
    "writes": writes.PROGRAMS,
    "indexing": indexing.PROGRAMS,
    "products": PRODUCTS,
}


def kernels(
    program: Program, levels: list[str], dtypes: list[str]
) -> Iterator[tuple[str, str, KernelRecord]]:
    """Level, dtype and record of every kernel of a program."""
    function = program.function
    if not set(SPECIAL).isdisjoint(function.__code__.co_names):
        function = rebind(function, **special_functions(tracejit))
    for dtype in dtypes:
        for level in levels:
            elements = LEVELS[level] // np.dtype(dtype).itemsize
            arguments = program.inputs(elements, np.dtype(dtype), np.random.default_rng(0))
            for kernel in tracejit.jit(function).explain(*arguments).kernels:
                yield level, dtype, kernel


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.predictions", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument("--levels", default="L2,L3,DRAM")
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    ratios: list[float] = []
    with tracejit.threads(chosen.threads):
        for section in chosen.sections or SECTIONS:
            for program in SECTIONS[section]:
                for level, dtype, kernel in kernels(
                    program, chosen.levels.split(","), chosen.dtypes.split(",")
                ):
                    if kernel.kind != "loops" or kernel.measured < LEAST_SECONDS:
                        continue
                    ratios.append(kernel.predicted / kernel.measured)
                    print(
                        f"{program.name:28} {dtype} {level:4} {kernel.name:20} "
                        f"{1e6 * kernel.measured:11.2f} us, predicted {ratios[-1]:5.2f} of it"
                        f" ({kernel.limit})",
                        flush=True,
                    )
    print(summary(ratios))


def summary(ratios: list[float]) -> str:
    """The distribution in a line."""
    near = sum(1 / NEAR <= ratio <= NEAR for ratio in ratios) / len(ratios)
    quantiles = np.quantile(ratios, (0.05, 0.25, 0.5, 0.75, 0.95))
    listed = ", ".join(f"{q:.2f}" for q in quantiles)
    return (
        f"{len(ratios)} kernels: {100 * near:.0f} % within a factor {NEAR} of what was measured; "
        f"predicted : measured at 5, 25, 50, 75, 95 %: {listed}"
    )


if __name__ == "__main__":
    main()
