"""What else the machine does meanwhile: on a small one it decides what is measured."""

import asyncio
import os
import resource
import time

import psutil

_LOOK_S = 0.5
_QUIET = 0.08


class Others:
    """From its making on: the share of all cores that processes which are not of this run have used."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._all, self._ours = _busy_s(), _our_s()

    def share(self) -> float:
        theirs = (_busy_s() - self._all) - (_our_s() - self._ours)
        return max(0.0, theirs / ((time.monotonic() - self._began) * (os.cpu_count() or 1)))


async def quiet(within_s: float) -> None:
    """Wait until the others do little, or the time is over."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        others = Others()
        await asyncio.sleep(_LOOK_S)
        if others.share() < _QUIET:
            return


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def _our_s() -> float:
    """This process, its children, and those that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    running = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it counts as ended in a moment
        running += times.user + times.system
    return sum(u.ru_utime + u.ru_stime for u in used) + running
