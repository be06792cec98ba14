"""A node in this process, on which applications cost nothing to run: what is left is what we cost."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from temporalio.client import Client

from bench.world import cpu_s
from iarnet.config import Settings
from iarnet.config_sections import DockerSettings, GatewaySettings, Git, Temporal
from iarnet.providers.memory import MemoryProvider
from workers.node import running

NODE = "bench"
_WAIT_S = 300.0
_OWN = Temporal(port=0, ui_port=0)


@dataclass
class Calls:
    """When the provider was first asked for the image of each instance: the first effect of a deployment."""

    at: list[float] = field(default_factory=list)

    async def note(self, operation: str, name: str) -> None:
        if operation == "ensure_image":
            self.at.append(time.monotonic())


@dataclass(frozen=True)
class Inside:
    http: httpx.AsyncClient
    client: Client
    calls: Calls
    temporal: psutil.Process | None

    async def ended(self, answer: httpx.Response) -> dict[str, Any]:
        """The progress of a run that was accepted, once it has ended. It must have ended well."""
        assert answer.status_code == 202, answer.text
        async with self.http.stream("GET", f"{answer.json()['follow']}/events") as told:
            event = ""
            async for line in told.aiter_lines():
                key, _, value = line.partition(": ")
                if key == "data" and event == "done":
                    progress: dict[str, Any] = json.loads(value)["progress"]
                    assert progress["status"] == "succeeded", progress
                    return progress
                event = value if key == "event" else event
        raise AssertionError(f"not told to its end: {answer.json()}")

    async def imported(self, app: str, url: str) -> None:
        await self.ended(await self.http.post("/api/v1/apps", json={"url": url, "name": app}))

    async def deployed(self, app: str) -> float:
        """Seconds from the request until all of it is healthy, and it is recorded. It is stopped again."""
        began = time.monotonic()
        answer = await self.http.post(f"/api/v1/apps/{app}/deploy", json={"fetch": False})
        await self.ended(answer)
        seconds = time.monotonic() - began
        await self.ended(await self.http.post(f"/api/v1/apps/{app}/stop", json={}))
        return seconds

    async def history(self, app: str) -> tuple[int, int]:
        """Events and bytes of a deployment of it: the last that Temporal lists, which takes it a moment."""
        ended = f'WorkflowId = "change.{app}" AND WorkflowType = "DeployApp" AND ExecutionStatus = "Completed"'
        last = await anext(self.client.list_workflows(ended, limit=1))
        return last.history_length, last.raw_info.history_size_bytes

    def cpu_s(self) -> tuple[float, float]:
        """Of this process, which asks as well, and of Temporal, if it is the node's own."""
        return cpu_s(psutil.Process()), cpu_s(self.temporal) if self.temporal else 0.0


@asynccontextmanager
async def inside(folder: Path, temporal: Temporal = _OWN, **given: Any) -> AsyncIterator[Inside]:
    """With a Temporal and a store of its own, unless it is given others; `given` are settings."""
    calls = Calls()
    settings = Settings(
        data_dir=folder / "data",
        node_name=NODE,
        mode="standalone",
        listen_addr="127.0.0.1:0",
        temporal=temporal,
        docker=DockerSettings(host="none"),
        gateway=GatewaySettings(enabled=False),
        git=Git(allow_file=True),
        **given,
    )
    provider = MemoryProvider("memory", home=NODE, pause=calls.note)
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(running(settings, beside=[provider]))
        headers = {"Authorization": f"Bearer {node.token}"}
        http = httpx.AsyncClient(base_url=node.url, headers=headers, timeout=_WAIT_S)
        await stack.enter_async_context(http)
        server = None
        if not temporal.address:
            server = json.loads((settings.data_dir / "temporal" / "temporal.json").read_text())
        address = f"127.0.0.1:{server['port']}" if server else temporal.address
        client = await Client.connect(address, namespace=temporal.namespace)
        yield Inside(http, client, calls, psutil.Process(server["pid"]) if server else None)
