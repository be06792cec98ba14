"""Measurements of an engine, kept between two calls where a rate needs two."""

import asyncio
import json
from typing import Any

import docker
import psutil

from iarnet.errors import Conflict, NotFound
from iarnet.models.provider import UsageSample
from iarnet.models.resources import Capacity, Resources
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.request import request
from iarnet.providers.docker.spec import NAME, OWNER
from iarnet.providers.docker.usage import CpuMeter, HostMeter, capacity, disk, memory, on_this_machine, sample, total

Measured = tuple[dict[str, Any], dict[str, Any]]


class Meters:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cpu = CpuMeter()
        self._all_cpu = CpuMeter()
        self._host = HostMeter()

    async def capacity(self) -> Capacity:
        """From the machine when the engine is on this one; else what all its containers use, and no storage."""
        info = await self._engine.ask(lambda c: c.info())
        if self._engine.connection.local and on_this_machine(info):
            return await asyncio.to_thread(self._of_this_machine, info)
        measured = await self._measure({})
        used = Resources(
            cpu_millis=sum(self._all_cpu.read(s["Id"], s["Created"], stats) for s, stats in measured),
            memory_bytes=sum(memory(stats) for _, stats in measured),
        )
        self._all_cpu.forget_all_but(s["Id"] for s, _ in measured)
        return capacity(total(info, None), used)

    async def usage(self, owner: str) -> list[UsageSample]:
        measured = await self._measure({"label": [NAME, f"{OWNER}={owner}"]})
        samples = [sample(s, stats, self._cpu.read(s["Id"], s["Created"], stats)) for s, stats in measured]
        self._cpu.forget_all_but(s["Id"] for s, _ in measured)
        return [each for each in samples if each is not None]

    def _of_this_machine(self, info: dict[str, Any]) -> Capacity:
        storage = disk(info)
        ram = psutil.virtual_memory()
        used = Resources(
            cpu_millis=self._host.used_cpu_millis(),
            memory_bytes=ram.total - ram.available,
            storage_bytes=storage.total - storage.free if storage else 0,
        )
        return capacity(total(info, storage), used)

    async def _measure(self, filters: dict[str, list[str]]) -> list[Measured]:
        """The running containers, each with its statistics."""
        listed = await self._engine.ask(lambda c: c.containers(filters=filters))
        stats = await asyncio.gather(*(self._stats(each["Id"]) for each in listed))
        return [(each, found) for each, found in zip(listed, stats, strict=True) if found is not None]

    async def _stats(self, id: str) -> dict[str, Any] | None:
        try:
            return await self._engine.ask(lambda c: _statistics(c, id))
        except (NotFound, Conflict):
            return None


def _statistics(client: docker.APIClient, id: str) -> dict[str, Any] | None:
    response = request(client, "GET", f"/containers/{id}/stats", params={"stream": 0, "one-shot": 1})
    # Of a container that is just being removed the engine says nothing, with status 200.
    return json.loads(response.content) if response.content else None
