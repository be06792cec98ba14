"""What a component asks of its container, as the program in it sees it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from iarnet.errors import ProviderRefused
from iarnet.models.component import Volume
from iarnet.models.container import Container, File, Ulimit
from iarnet.models.instance import LogQuery
from tests.contract.provider_worlds import DockerWorld, docker_world, eventually, spec_of

pytestmark = pytest.mark.docker

SECRET = File(name="password", path="/run/secrets/password", secret="drowssap", mode=0o440, uid=7, gid=8)
CONFIG = File(name="conf", path="/etc/deep/er/app.conf", value="a = $b\n")


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[DockerWorld]:
    async with docker_world() as made:
        yield made


async def test_what_the_program_sees(world: DockerWorld) -> None:
    asked = Container(
        hostname="front",
        domain="shop.example",
        hosts={"elsewhere": "192.0.2.7"},
        dns_search=("corp.example",),
        dns_options=("ndots:3",),
        tmpfs={"/scratch": "size=1048576"},
        shm_bytes=2 << 20,
        pids=77,
        ulimits={"nofile": Ulimit(soft=321, hard=654)},
        sysctls={"net.ipv4.ip_unprivileged_port_start": "12"},
        groups=("4321",),
        oom_score=300,
        init=False,
        labels={"team": "shop"},
    )
    program = (
        "tr '\\0' ' ' < /proc/1/cmdline; echo; hostname; cat /etc/hosts /etc/resolv.conf; df -k /scratch /dev/shm;"
        "ulimit -n; ulimit -Hn; id -G; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/self/oom_score_adj"
    )
    said = await _said(world, container=asked, command=("sh", "-c", program))
    assert said[0].startswith("sh -c"), "it is the first process itself"
    assert {"front", "321", "654", "12", "300", "search corp.example"} < set(said)
    assert any(line.split()[:1] == ["192.0.2.7"] and "elsewhere" in line for line in said)
    assert any("4321" in line.split() for line in said)
    sizes = {line.split()[-1]: line.split()[1] for line in said if line.startswith(("tmpfs", "shm"))}
    assert sizes == {"/scratch": "1024", "/dev/shm": "2048"}
    found = await _inspected(world)
    assert (found["HostConfig"]["PidsLimit"], found["Config"]["Domainname"]) == (77, "shop.example")
    assert found["Config"]["Labels"]["team"] == "shop"
    assert found["HostConfig"]["CapDrop"] == ["ALL"], "and stays hardened"


async def test_files_are_there_when_it_starts(world: DockerWorld) -> None:
    """Also of one whose maker died before it put them there."""
    program = "ls -ln /run/secrets/password; cat /run/secrets/password /etc/deep/er/app.conf"
    asked: dict[str, Any] = {
        "app": f"{world.app}-files",
        "files": (SECRET, CONFIG),
        "user": "7:8",
        "command": ("sh", "-c", program),
    }
    await world.crash_before_start(spec_of(world, "reader", ports=(), **asked))
    said = await _said(world, "reader", anew=False, **asked)
    assert said[0].split()[0] == "-r--r-----"
    assert said[0].split()[2:4] == ["7", "8"]
    assert said[1] == "passworda = $b"
    assert "password" not in str((await _inspected(world, "reader"))["Config"]["Env"])


async def test_files_where_nothing_can_be_written(world: DockerWorld) -> None:
    """Neither the image nor what lies in memory."""
    strict = Container(read_only=True, tmpfs={"/run": ""})
    secret = SECRET.model_copy(update={"mode": 0o444})
    program = (
        "exec 2>&1; cat /run/secrets/password /etc/deep/er/app.conf; touch /here || echo no; touch /run/x && echo yes"
    )
    said = await _said(world, files=(secret, CONFIG), container=strict, command=("sh", "-c", program))
    assert said[0] == "passworda = $b"
    assert {"no", "yes"} < set(said)
    with pytest.raises(ProviderRefused, match=r"/app\.conf") as refused:
        await _said(world, "top", files=(CONFIG.model_copy(update={"path": "/app.conf"}),), container=strict)
    assert refused.value.hint


async def test_a_file_on_a_volume(world: DockerWorld) -> None:
    volumes = (Volume(name="data", path="/data"),)
    file = CONFIG.model_copy(update={"path": "/data/app.conf"})
    said = await _said(world, files=(file,), volumes=volumes, command=("cat", "/data/app.conf"))
    assert said == ["a = $b"]


async def test_without_a_network(world: DockerWorld) -> None:
    said = await _said(world, container=Container(network="none"), command=("ls", "/sys/class/net"))
    assert said == ["lo"]


async def test_a_terminal_and_an_open_input(world: DockerWorld) -> None:
    asked = Container(terminal=True, stdin=True)
    said = await _said(world, container=asked, command=("sh", "-c", "test -t 1 && echo terminal; printf open"))
    assert said == ["terminal", "open"]


async def test_the_signal_and_the_time_that_it_wants(world: DockerWorld) -> None:
    program = "trap 'echo interrupted; exit 5' INT; trap '' TERM; echo ready; while :; do sleep 0.05; done"
    asked = Container(stop_signal="SIGINT", stop_s=60)
    name = spec_of(world, "patient").name
    await world.provider.deploy(spec_of(world, "patient", container=asked, command=("sh", "-c", program)))
    await eventually(lambda: _has_said(world, name, "ready"), "it is ready")
    found = world.client.inspect_container(world.names.container(name))
    assert (found["Config"]["StopSignal"], found["Config"]["StopTimeout"]) == ("SIGINT", 60)
    await world.provider.restart(name)
    await eventually(lambda: _has_said(world, name, "interrupted"), "it was asked as it wants")


async def test_a_runtime_that_the_engine_has_not(world: DockerWorld) -> None:
    with pytest.raises(ProviderRefused, match="no-such-runtime"):
        await _said(world, container=Container(runtime="no-such-runtime"))


async def _said(world: DockerWorld, component: str = "web", anew: bool = True, **changes: Any) -> list[str]:
    """Everything that it printed until it ended."""
    spec = spec_of(world, component, **({"ports": ()} | changes))
    if anew:
        await world.provider.remove(spec.name, 1)
    await world.provider.deploy(spec)

    async def ended() -> bool:
        found = await world.provider.inspect(spec.name)
        return found is not None and found.state == "exited"

    await eventually(ended, f"{spec.name} ends")
    return [line.text async for line in world.provider.logs(spec.name, LogQuery())]


async def _inspected(world: DockerWorld, component: str = "web") -> dict[str, Any]:
    found: dict[str, Any] = world.client.inspect_container(world.names.container(spec_of(world, component).name))
    return found


async def _has_said(world: DockerWorld, name: str, text: str) -> bool:
    return text in [line.text async for line in world.provider.logs(name, LogQuery())]
