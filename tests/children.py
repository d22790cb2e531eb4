"""Work done in a forked child, where a crash or a hang is a status to look at."""

import os
import signal


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
