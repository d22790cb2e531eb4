"""Work done in child processes, where a crash or a hang is a status to look at."""

import os
import signal
import subprocess
import sys


def run_in_child(work) -> int:
    """Fork, run ``work`` in the child, return its exit status; a hang becomes a signal."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1]


def run_python(program: str, **environment: str) -> subprocess.CompletedProcess:
    """Run ``program`` in a fresh interpreter that imports what this one does."""
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": path} | environment,
    )
