"""What an engine's machine has and what is used of it, from measurements."""

import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from iarnet.models.provider import UsageSample
from iarnet.models.resources import Capacity, Resources
from iarnet.providers.docker.spec import NAME

_NVIDIA = Path("/proc/driver/nvidia/gpus")


class CpuMeter:
    """Thousandths of a core that each container used since it was asked before; at first, since its creation."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[datetime, int]] = {}

    def read(self, id: str, created: float, stats: dict[str, Any]) -> int:
        now = datetime.fromisoformat(stats["read"])
        total = int(stats["cpu_stats"]["cpu_usage"]["total_usage"])
        before, used = self._last.get(id, (datetime.fromtimestamp(created, now.tzinfo), 0))
        self._last[id] = (now, total)
        elapsed_ns = (now - before).total_seconds() * 1e9
        return max(0, round((total - used) / elapsed_ns * 1000)) if elapsed_ns > 0 else 0

    def forget_all_but(self, ids: Iterable[str]) -> None:
        kept = set(ids)
        self._last = {id: last for id, last in self._last.items() if id in kept}


class HostMeter:
    """This machine, when the engine is on it."""

    def __init__(self) -> None:
        self._last = psutil.cpu_times()

    def used_cpu_millis(self) -> int:
        """Since it was asked before."""
        before, now = self._last, psutil.cpu_times()
        total = sum(now) - sum(before)
        if total <= 0:
            return 0
        self._last = now
        idle = (now.idle + now.iowait) - (before.idle + before.iowait)
        return round(max(0.0, 1 - idle / total) * (psutil.cpu_count() or 1) * 1000)


def sample(summary: dict[str, Any], stats: dict[str, Any], cpu_millis: int) -> UsageSample | None:
    """None when the container ended meanwhile: the engine then answers with zeros."""
    if not stats["memory_stats"].get("usage"):
        return None
    networks = stats.get("networks") or {}
    return UsageSample(
        instance=summary["Labels"][NAME],
        time=datetime.fromisoformat(stats["read"]),
        cpu_millis=cpu_millis,
        memory_bytes=memory(stats),
        network_rx_bytes=sum(n["rx_bytes"] for n in networks.values()),
        network_tx_bytes=sum(n["tx_bytes"] for n in networks.values()),
    )


def memory(stats: dict[str, Any]) -> int:
    """Without the page cache that the kernel would give back (cgroup v1 and v2 name it differently)."""
    usage = stats["memory_stats"].get("usage", 0)
    details = stats["memory_stats"].get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return max(0, int(usage) - int(cache))


def on_this_machine(info: dict[str, Any]) -> bool:
    """Whether the engine runs on our kernel; one in a virtual machine (Docker Desktop) listens here but doesn't."""
    return int(info["MemTotal"]) == psutil.virtual_memory().total and int(info["NCPU"]) == psutil.cpu_count()


def total(info: dict[str, Any], disk: shutil._ntuple_diskusage | None, nvidia: Path = _NVIDIA) -> Resources:
    """`info`: the engine's `GET /info`. Storage is 0 where it can't be seen, GPUs where the engine can't use them."""
    return Resources(
        cpu_millis=int(info["NCPU"]) * 1000,
        memory_bytes=int(info["MemTotal"]),
        storage_bytes=disk.total if disk else 0,
        gpu_millis=gpus(info, nvidia) * 1000 if disk else 0,
    )


def gpus(info: dict[str, Any], nvidia: Path = _NVIDIA) -> int:
    if "nvidia" not in (info.get("Runtimes") or {}) or not nvidia.is_dir():
        return 0
    return len(list(nvidia.iterdir()))


def disk(info: dict[str, Any]) -> shutil._ntuple_diskusage | None:
    root = Path(info["DockerRootDir"])
    return shutil.disk_usage(root) if root.is_dir() else None


def capacity(total: Resources, used: Resources) -> Capacity:
    """Use is never shown above what there is, so that the three numbers add up."""
    bounded = Resources(**{k: min(getattr(total, k), getattr(used, k)) for k in Resources.model_fields})
    return Capacity(total=total, used=bounded, available=total.minus(bounded))
