"""What an engine can do, as its provider learns it: here from a server that answers as one."""

import platform
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from iarnet.models.component import EnvVar
from iarnet.models.provider import Capabilities
from iarnet.providers.registry import DockerOptions, ProviderRegistry

HERE = "127.0.0.1"
ELSEWHERE = "203.0.113.1"


class NoSecrets:
    async def get(self, name: str) -> str:
        raise AssertionError(f"{name} is asked for, and nothing here has secrets")

    async def resolve(self, env: EnvVar) -> str | None:
        return env.value


@pytest.fixture
def answers() -> dict[str, Any]:
    """Those of an engine beside us."""
    return {
        "version": {"ApiVersion": "1.45", "Version": "27.0"},
        "info": {
            "Architecture": "x86_64",
            "KernelVersion": platform.release(),
            "SecurityOptions": ["name=seccomp,profile=builtin"],
        },
        "bridge": {"IPAM": {"Config": [{"Subnet": "fd00::/64"}, {"Subnet": "127.0.0.0/8", "Gateway": HERE}]}},
    }


@pytest.fixture
def url(answers: dict[str, Any], tmp_path: Path) -> Iterator[str]:
    api = FastAPI()

    @api.get("/{version}/networks/{name}")
    def network(name: str) -> Any:
        return answers.get(name) or JSONResponse({"message": f"network {name} not found"}, 404)

    api.get("/version")(lambda: answers["version"])
    api.get("/{version}/_ping")(lambda: "OK")
    api.get("/{version}/{what}")(lambda what: answers[what])
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "docker.sock"))
    listening.listen()
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"unix://{tmp_path}/docker.sock"
    server.should_exit = True
    thread.join(10)


@pytest.mark.parametrize(
    ("what", "differs"),
    [
        pytest.param("info", {"KernelVersion": "6.6.0-linuxkit"}, id="in a virtual machine"),
        pytest.param("info", {"SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}, id="rootless"),
        pytest.param("bridge", {"IPAM": {"Config": [{"Gateway": ELSEWHERE}]}}, id="in another network namespace"),
        pytest.param("bridge", {"IPAM": {"Config": None}}, id="without addresses"),
    ],
)
async def test_no_gateway_reaches_an_engine_that_has_other_interfaces(
    url: str, answers: dict[str, Any], what: str, differs: dict[str, Any]
) -> None:
    answers[what] |= differs
    assert not (await _capabilities(url, gateway=True)).gateway


async def test_no_gateway_reaches_an_engine_without_a_bridge(url: str, answers: dict[str, Any]) -> None:
    del answers["bridge"]
    assert not (await _capabilities(url, gateway=True)).gateway


async def test_one_that_runs_here_reaches_an_engine_that_has_ours(url: str) -> None:
    assert (await _capabilities(url, gateway=True)).gateway
    assert not (await _capabilities(url, gateway=False)).gateway


async def _capabilities(url: str, *, gateway: bool) -> Capabilities:
    registry = ProviderRegistry(node="node", secrets=NoSecrets(), docker=DockerOptions(gateway=gateway))
    provider = await registry.find_docker([url])
    assert provider is not None
    await registry.aclose()
    return provider.info.capabilities
