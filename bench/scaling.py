"""`python -m bench.scaling [section ...]`: programs on 1 to 64 cores, simulated, and measured where there are cores.

For each array program a line: its time on one thread, how many times as fast the simulation makes it on more, and
what was measured on all cores of this machine, with how far the simulation is from that.
"""

import argparse

import numpy as np

import tracejit

from .limits import LEVELS
from .peers import SPECIAL, rebind, special_functions
from .predictions import SECTIONS

CHOSEN = ("elementwise", "rows", "programs", "products")
LEAST_SECONDS = 30e-6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--levels", default="L3,DRAM")
    parser.add_argument("--dtype", default="float64")
    chosen = parser.parse_args()
    dtype = np.dtype(chosen.dtype)
    ratios: list[float] = []
    for section in chosen.sections or CHOSEN:
        for program in SECTIONS[section]:
            function = program.function
            if not set(SPECIAL).isdisjoint(function.__code__.co_names):
                function = rebind(function, **special_functions(tracejit))
            for level in chosen.levels.split(","):
                elements = LEVELS[level] // dtype.itemsize
                arguments = program.inputs(elements, dtype, np.random.default_rng(0))
                scaling = tracejit.jit(function).scaling(*arguments)
                if scaling.alone < LEAST_SECONDS:
                    continue
                last = next(p for p in reversed(scaling.points) if p.measured is not None)
                ratios.append(last.seconds / last.measured)
                speedups = "".join(f"{scaling.speedup(p):7.2f}" for p in scaling.points)
                print(
                    f"{program.name:28} {level:4} {1e6 * scaling.alone:11.1f} us {speedups}"
                    f"   {last.threads} threads: {scaling.alone / last.measured:5.2f} measured,"
                    f" simulated time {ratios[-1]:.2f} of it",
                    flush=True,
                )
    quantiles = ", ".join(f"{q:.2f}" for q in np.quantile(ratios, (0.05, 0.25, 0.5, 0.75, 0.95)))
    print(f"{len(ratios)} programs: simulated : measured at 5, 25, 50, 75, 95 %: {quantiles}")


if __name__ == "__main__":
    main()
