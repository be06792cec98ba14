"""Providers with everything that a test does behind their backs: one `World` a kind."""

import asyncio
import re
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import docker

from iarnet.models.component import EnvVar
from iarnet.models.instance import InstanceSpec, PortBinding
from iarnet.models.provider import ProviderInfo
from iarnet.models.resources import MIB, Resources
from iarnet.models.traffic import AppNetwork
from iarnet.providers.base import Provider
from iarnet.providers.docker.companion import Base
from iarnet.providers.docker.connection import Connection
from iarnet.providers.docker.names import Names
from iarnet.providers.docker.provider import DockerProvider
from iarnet.providers.docker.spec import OWNER, container
from iarnet.providers.memory import MemoryProvider
from tests.contract.docker_engine import IMAGE, engine_url, sweep, swept
from tests.contract.reaches import Reach

WITHIN_S = 20.0
PORT = 8080

# It serves, and does what it is told through a pipe.
_SERVER = f"httpd -p {PORT} -h /tmp"
_PROGRAM = f'mkdir -p /tmp; mkfifo /tmp/x; {_SERVER}; exec 3<>/tmp/x; while read -r line <&3; do eval "$line"; done'
_TELL = 'until [ -p /tmp/x ]; do sleep 0.01; done; echo "$0" > /tmp/x'


class PlainSecrets:
    """Secrets whose value is their name, reversed."""

    async def get(self, name: str) -> str:
        return name[::-1]

    async def resolve(self, env: EnvVar) -> str | None:
        if env.secret is None:
            return env.value
        return (env.value or "{secret}").replace("{secret}", await self.get(env.secret))


class World(Protocol):
    provider: Provider
    owner: str
    app: str

    def restarted(self) -> Provider:
        """The same provider as a new process sees it, or the same object where there is nothing to see."""
        ...

    def unreachable(self) -> Provider: ...

    async def make_foreign(self, name: str) -> None: ...

    async def foreign_exists(self, name: str) -> bool: ...

    async def crash_before_start(self, spec: InstanceSpec) -> None: ...

    async def end(self, name: str, exit_code: int) -> None: ...

    async def say(self, name: str, text: str, stream: str = "stdout") -> None: ...

    async def break_readiness(self, name: str) -> None: ...

    async def mend_readiness(self, name: str) -> None: ...

    async def lose(self, name: str) -> None: ...

    async def hold_port(self) -> int: ...

    async def free_port(self) -> int: ...

    async def image_elsewhere(self) -> tuple[str, "Archive"]:
        """An image that the provider lacks and the archive has."""
        ...

    async def found_at(self, name: str, host: str) -> str | None:
        """Where the instance finds the host of this name."""
        ...

    async def has_network(self) -> bool:
        """Or anything that was made for an address of it."""
        ...

    async def has_volume(self, component: str, volume: str) -> bool: ...


class Archive:
    """An image source that holds one image."""

    def __init__(self, image: str, chunks: list[bytes]) -> None:
        self._image = image
        self._chunks = chunks

    async def has(self, image: str) -> bool:
        return image == self._image

    async def export(self, image: str) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def spec_of(world: World, component: str = "web", **changes: Any) -> InstanceSpec:
    given: dict[str, Any] = {
        "name": f"iarnet-{world.app}-{component}-r1-0",
        "app": world.app,
        "component": component,
        "kind": "web",
        "owner": world.owner,
        "revision": 1,
        "replica": 0,
        "epoch": 1,
        "image": IMAGE,
        "command": ("sh", "-c", _PROGRAM),
        "ports": (PortBinding(port=PORT),),
        "resources": Resources(cpu_millis=500, memory_bytes=64 * MIB),
        "aliases": (component,),
    }
    return InstanceSpec(**(given | changes))


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until it holds, and fail by name when it never does."""
    try:
        async with asyncio.timeout(WITHIN_S):
            while not await condition():  # noqa: ASYNC110 - what the engine does has no event here
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {WITHIN_S:g} s: {what}") from None


class MemoryWorld:
    def __init__(self, owner: str, app: str) -> None:
        self.owner = owner
        self.app = app
        self._foreign: set[str] = set()
        self._broken: set[tuple[str, str]] = set()
        self.memory = self._made()
        self.provider: Provider = self.memory

    def restarted(self) -> Provider:
        return self.provider

    def unreachable(self) -> Provider:
        provider = MemoryProvider()
        provider.disconnect()
        return provider

    async def make_foreign(self, name: str) -> None:
        self._foreign.add(name)
        self.memory = self._made()
        self.provider = self.memory

    async def foreign_exists(self, name: str) -> bool:
        return name in self._foreign

    async def crash_before_start(self, spec: InstanceSpec) -> None:
        self._broken.add(("start", spec.name))
        try:
            await self.provider.deploy(spec)
        except ConnectionAbortedError:
            self._broken.clear()

    async def end(self, name: str, exit_code: int) -> None:
        self.memory.end(name, exit_code)

    async def say(self, name: str, text: str, stream: str = "stdout") -> None:
        self.memory.say(name, text, "stdout" if stream == "stdout" else "stderr")

    async def break_readiness(self, name: str) -> None:
        self.memory.break_readiness(name)

    async def mend_readiness(self, name: str) -> None:
        self.memory.mend_readiness(name)

    async def lose(self, name: str) -> None:
        self.memory.lose(name)

    async def hold_port(self) -> int:
        self.memory.hold_port(20_001)
        return 20_001

    async def free_port(self) -> int:
        return 20_002

    async def image_elsewhere(self) -> tuple[str, Archive]:
        return "elsewhere:1", Archive("elsewhere:1", [b"layers"])

    async def found_at(self, name: str, host: str) -> str | None:
        return self.memory.found_at(name, host)

    async def has_network(self) -> bool:
        return self.app in self.memory.networks

    async def has_volume(self, component: str, volume: str) -> bool:
        return f"{self.app}/{component}/{volume}" in self.memory.volumes

    def _made(self) -> MemoryProvider:
        network = AppNetwork(address="gateway", subnet="memory")
        return MemoryProvider(
            owner=self.owner, images=[IMAGE], foreign=self._foreign, network=network, faults=self._fault
        )

    def _fault(self, operation: str, name: str) -> None:
        if (operation, name) in self._broken:
            raise ConnectionAbortedError(operation)


class DockerWorld:
    """`client` is the tests' own, beside the provider's, which gets to the engine by `reach`."""

    def __init__(self, url: str, client: docker.APIClient, owner: str, app: str, reach: Reach | None = None) -> None:
        self.url = url
        self._reach = reach or Reach(lambda: Connection(url), lambda: Connection("unix:///nonexistent/docker.sock"))
        self.client = client
        self.owner = owner
        self.names = Names(owner)
        self.app = app
        self.made: list[DockerProvider] = []
        self.provider: Provider = self.restarted()
        self._sockets: list[socket.socket] = []
        self._tags: list[str] = []

    def restarted(self) -> DockerProvider:
        connection = self._reach.there()
        # What a gateway beside an engine elsewhere is made from.
        return self.connected(connection, None if connection.local else Base("debian:bookworm-slim"))

    def connected(self, connection: Connection, companion: Base | None = None) -> DockerProvider:
        info = ProviderInfo(id="docker-under-test", name="Docker", type="docker")
        provider = DockerProvider(
            info, connection, owner=self.owner, secrets=PlainSecrets(), gateway=True, companion=companion
        )
        self.made.append(provider)
        return provider

    def unreachable(self) -> Provider:
        return self.connected(self._reach.nowhere())

    async def make_foreign(self, name: str) -> None:
        made = await self._call(
            self.client.create_container,
            IMAGE,
            ["sleep", "60"],
            name=self.names.container(name),
            labels=self._swept(),
        )
        await self._call(self.client.start, made["Id"])

    async def foreign_exists(self, name: str) -> bool:
        return bool((await self._call(self.client.inspect_container, self.names.container(name)))["State"]["Running"])

    async def crash_before_start(self, spec: InstanceSpec) -> None:
        network = self.names.network(spec.app)
        await self._call(self.client.create_network, network, "bridge", labels={OWNER: self.owner})
        body = container(spec, {}, names=self.names, addresses={}, publish_address="0.0.0.0")
        await self._call(self.client.create_container_from_config, body, name=self.names.container(spec.name))

    async def end(self, name: str, exit_code: int) -> None:
        await self.tell(name, f"exit {exit_code}")
        await eventually(lambda: self._ended(name), f"{name} ends")

    async def say(self, name: str, text: str, stream: str = "stdout") -> None:
        await self.tell(name, f"echo '{text}'" + (" >&2" if stream == "stderr" else ""))

    async def break_readiness(self, name: str) -> None:
        await self.tell(name, "killall httpd")

    async def mend_readiness(self, name: str) -> None:
        await self.tell(name, _SERVER)

    async def lose(self, name: str) -> None:
        await self._call(self.client.remove_container, self.names.container(name), force=True)

    async def hold_port(self) -> int:
        listener = socket.socket()
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        self._sockets.append(listener)
        return int(listener.getsockname()[1])

    async def free_port(self) -> int:
        with socket.socket() as probe:
            probe.bind(("0.0.0.0", 0))
            return int(probe.getsockname()[1])

    async def image_elsewhere(self) -> tuple[str, Archive]:
        image = f"iarnet-test/{self.app}:1"
        self._tags.append(image)
        await self._call(self.client.tag, IMAGE, f"iarnet-test/{self.app}", "1")
        chunks = await asyncio.to_thread(lambda: list(self.client.get_image(image)))
        await self._call(self.client.remove_image, image)
        return image, Archive(image, chunks)

    async def found_at(self, name: str, host: str) -> str | None:
        """Where it says that it can't connect to: at this port nothing listens."""
        run = await self._call(self.client.exec_create, self.names.container(name), ["telnet", host, "1"])
        said = (await self._call(self.client.exec_start, run["Id"])).decode()
        found = re.search(r"can't connect to remote host \((\S+)\)", said)
        return found and found[1]

    async def has_network(self) -> bool:
        return bool(await self._call(self.client.networks, names=[self.names.network(self.app)]))

    async def has_volume(self, component: str, volume: str) -> bool:
        name = self.names.volume(self.app, component, volume)
        found = await self._call(self.client.volumes, filters={"name": name})
        return any(v["Name"] == name for v in found["Volumes"] or ())

    async def aclose(self) -> None:
        for provider in self.made:
            await provider.aclose()
        for listener in self._sockets:
            listener.close()
        await self._call(sweep, self.client, self.owner)
        for tag in self._tags:
            if await self._call(self.client.images, tag):
                await self._call(self.client.remove_image, tag)

    async def tell(self, name: str, words: str) -> None:
        """Have the program in the instance do something."""
        run = await self._call(self.client.exec_create, self.names.container(name), ["sh", "-c", _TELL, words])
        await self._call(self.client.exec_start, run["Id"])

    async def _ended(self, name: str) -> bool:
        return not (await self._call(self.client.inspect_container, self.names.container(name)))["State"]["Running"]

    def _swept(self) -> dict[str, str]:
        """Not what makes an instance ours: only so that the sweep at the end finds it."""
        return {OWNER: self.owner}

    async def _call(self, use: Callable[..., Any], *args: Any, **given: Any) -> Any:
        return await asyncio.to_thread(use, *args, **given)


@asynccontextmanager
async def docker_world(reach: Reach | None = None) -> AsyncIterator[DockerWorld]:
    """Of an owner and an app of its own; afterwards nothing of it is left."""
    run, url = uuid.uuid4().hex[:8], engine_url()
    with swept(url, f"test-{run}") as client:
        made = DockerWorld(url, client, f"test-{run}", f"t{run}", reach)
        yield made
        await made.aclose()
