"""Fresh processes: what the import costs, and the time to the first result of `sin(a) * 2`."""

import functools
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from ..harness import Case, Variant
from .arrays import Settings

# Disk caches of compiled programs would hide what is measured here. Python's own of modules is there,
# as it is for whatever was installed; the first sample makes it for what was not.
ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "",
    "TRACEJIT_CACHE": "off",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
}
IMPORT = """
import time
import numpy
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""
FIRST = {
    "numpy": """
import numpy as np
np.sin(np.arange(1000.0)) * 2
""",
    "tracejit": """
import numpy as np
import tracejit
tracejit.jit(lambda a: np.sin(a) * 2)(np.arange(1000.0))
""",
    "jax": """
import jax
import jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
jax.jit(lambda a: jnp.sin(a) * 2)(jnp.arange(1000.0)).block_until_ready()
""",
    "numba": """
import numba
import numpy as np
numba.njit(lambda a: np.sin(a) * 2)(np.arange(1000.0))
""",
    "torch": """
import torch
torch.compile(lambda a: torch.sin(a) * 2)(torch.arange(1000.0, dtype=torch.float64))
""",
}
SLOW = ("torch",)  # seconds each


def cases(settings: Settings) -> Iterator[Case]:
    """The import on top of NumPy's (torch and jax would import it anyway), and a whole process."""
    chosen = [name for name in FIRST if name in settings.subjects]
    if settings.quick:
        chosen = [name for name in chosen if name not in SLOW]
    imports = [name for name in chosen if name != "numpy"]
    if settings.wants("import, beyond numpy's"):
        variants = [
            Variant(name, sample=functools.partial(_import_seconds, name)) for name in imports
        ]
        yield Case("cold", "import, beyond numpy's", "", "", variants)
    if settings.wants("process to first sin(a)*2"):
        variants = [
            Variant(name, sample=functools.partial(_process_seconds, name)) for name in chosen
        ]
        yield Case("cold", "process to first sin(a)*2", "", "float64", variants)


def _import_seconds(name: str) -> float:
    return float(_run(IMPORT.format(module=name)))


def _process_seconds(name: str) -> float:
    """The whole process as its starter sees it, the interpreter's start and end included."""
    start = time.perf_counter()
    _run(FIRST[name])
    return time.perf_counter() - start


def _run(source: str) -> str:
    command, environment = [sys.executable, "-c", source], {**os.environ, **ENVIRONMENT}
    finished = subprocess.run(
        command, check=False, env=environment, capture_output=True, text=True, timeout=300
    )
    if finished.returncode:
        raise RuntimeError((finished.stderr.strip().splitlines() or ["no message"])[-1])
    return finished.stdout
