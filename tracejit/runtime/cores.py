"""How many cores this process may use: those that it is bound to, or as many as the time that its group is given.

A container on a large machine often sees all of its cores, and is stopped whenever it has used up its share of
their time (the bandwidth control of Linux's control groups): more threads than that wait for each other.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")


def cores_of_process() -> int:
    """The cores that this process may use, at least one."""
    if hasattr(os, "sched_getaffinity"):
        bound = len(os.sched_getaffinity(0))
    else:
        bound = os.cpu_count() or 1
    return max(1, min(bound, _granted() or bound))


@functools.cache
def _granted() -> int | None:
    try:
        return granted(GROUPS, Path("/proc/self/cgroup").read_text())
    except (OSError, UnicodeDecodeError):
        return None


def granted(root: Path, groups: str) -> int | None:
    """As many cores as the groups of a process are given time of; None where there is no limit.

    `groups` are lines as of /proc/self/cgroup, `root` is where the control groups are. A group's limit holds for those inside of it.
    """
    found = []
    for line in groups.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "" or "cpu" in controllers.split(","):
            folder = root / controllers if controllers else root
            for place in _upwards(folder, path):
                share = _share(place)
                if share is not None:
                    found.append(share)
    return max(1, ceil(min(found))) if found else None


def _upwards(folder: Path, path: str) -> Iterator[Path]:
    """The folders of a group and of all around it; within a container, only the last is there."""
    inner = PurePosixPath(path.strip().lstrip("/"))
    for place in (inner, *inner.parents):
        if ".." not in place.parts:
            yield folder / place


def _share(place: Path) -> float | None:
    """Seconds of a core's time in a second: of version 2 of control groups in one file, of version 1 in two."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            text = " ".join([(place / name).read_text() for name in names])
            quota, period = map(int, text.split())
        except (OSError, ValueError):  # which is not there, or says "max"
            continue
        if quota > 0 and period > 0:
            return quota / period
    return None
