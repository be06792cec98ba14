"""What an engine can do, as its provider learns it: here from a server that answers as one."""

import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from iarnet.models.component import EnvVar
from iarnet.models.provider import Capabilities, ProviderRegistration
from iarnet.providers.docker.companion import Base
from iarnet.providers.registry import DockerOptions, ProviderRegistry
from tests.conftest import missing

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

    @api.get("/{version}/images/{name}/json")
    def image(name: str) -> Any:
        known = name in ("debian", "envoy")
        return {"Id": name} if known else JSONResponse({"message": f"No such image: {name}"}, 404)

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


@pytest.mark.parametrize(
    ("differs", "able"),
    [
        pytest.param({}, True, id="on Linux"),
        pytest.param({"SecurityOptions": ["name=rootless"]}, False, id="rootless"),
        pytest.param({"OperatingSystem": "Docker Desktop"}, False, id="in a virtual machine"),
        pytest.param({"OSType": "windows"}, False, id="on Windows"),
        pytest.param({"Architecture": "s390x"}, False, id="on another processor"),
    ],
)
async def test_an_engine_elsewhere_has_one_where_it_can_run(
    url: str, answers: dict[str, Any], differs: dict[str, Any], able: bool
) -> None:
    answers["info"] |= {"OSType": "linux", "Architecture": platform.machine()} | differs
    assert (await _elsewhere(url)).gateway == able


async def test_an_image_of_its_own_may_be_for_another_processor(url: str, answers: dict[str, Any]) -> None:
    answers["info"] |= {"OSType": "linux", "Architecture": "s390x"}
    assert (await _elsewhere(url, Base("envoy", whole=True))).gateway


async def test_an_engine_elsewhere_has_none_without_the_image_or_where_none_is_wanted(url: str) -> None:
    assert not (await _elsewhere(url, Base("missing"))).gateway
    assert not (await _elsewhere(url, None)).gateway
    assert not (await _elsewhere(url, Base("debian"), gateway="false")).gateway
    assert not (await _elsewhere(url, Base("debian", retired=True))).gateway


async def _elsewhere(url: str, base: Base | None = Base("debian"), **config: str) -> Capabilities:
    registry = ProviderRegistry(
        node="node", owner="node-1", secrets=NoSecrets(), docker=DockerOptions(companion=base)
    )
    given = ProviderRegistration(id="far", name="Far", type="docker", url=url, config=config)
    provider = await registry.register(given)
    assert (await provider.check()).reachable
    await registry.aclose()
    return provider.info.capabilities


async def _capabilities(url: str, *, gateway: bool) -> Capabilities:
    registry = ProviderRegistry(
        node="node", owner="node-1", secrets=NoSecrets(), docker=DockerOptions(gateway=gateway)
    )
    provider = await registry.find_docker([url])
    assert provider is not None
    await registry.aclose()
    return provider.info.capabilities


_BINDS = """
import socket, subprocess, sys
from iarnet.providers.docker.health import lowest_port
child = "import socket; socket.socket().bind(('127.0.0.1', {}))"
for port in (lowest_port() - 1, lowest_port()):
    ended = subprocess.run([sys.executable, "-c", child.format(port)], stderr=subprocess.DEVNULL)
    print(port, ended.returncode == 0)
"""
"""What a child may listen on: the port that is said to be the first, and the one before."""


def _with(*rights: str) -> tuple[str, str]:
    given = ",".join(f"+{right}" for right in rights)
    return f"--inh-caps={given}", f"--ambient-caps={given}"


_NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.mark.parametrize(
    ("who", "privileged"),
    [
        pytest.param((), True, id="root"),
        pytest.param(("--bounding-set=-net_bind_service",), False, id="root without the right"),
        # With the right to read the interpreter where only root may.
        pytest.param((*_NOBODY, *_with("dac_override")), False, id="another user"),
        pytest.param((*_NOBODY, *_with("dac_override", "net_bind_service")), True, id="another user with the right"),
    ],
)
def test_the_lowest_port_is_the_first_that_a_child_can_have(who: tuple[str, ...], privileged: bool) -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        missing("the right to become another user (root, with util-linux)")
    said = subprocess.run(
        ["setpriv", *who, sys.executable, "-c", _BINDS], check=True, capture_output=True, text=True
    ).stdout.split()
    before, _, lowest, usable = said
    assert usable == "True"
    assert (lowest == "1") is privileged
    # Port 0 stands for any that is free.
    assert said[1] == str(before == "0")
