"""A gateway with a real Envoy, and applications for it on addresses of the loopback interface."""

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from iarnet.gateway import process
from iarnet.gateway.admin import Admin
from iarnet.gateway.envoy import EnvoyGateway
from iarnet.gateway.named import Ports
from iarnet.gateway.names import Names
from iarnet.gateway.process import Envoy, Place
from iarnet.gateway.xds import AdsServer
from iarnet.models.instance import Instance
from iarnet.models.source import GitSource
from iarnet.models.traffic import EndpointLoad, Service
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore

PROVIDER = "local"
WITHIN_S = 10.0
GIT = GitSource(url="https://example.org/shop.git")


class Replica:
    """An HTTP application at `address`. `/slow` answers when `go` is set, `/ill` with 500 while `ill` is, and an
    upgrade makes it echo. `asked` counts requests other than health checks, of which `checks` has the heads; `last`
    is the head of the last one."""

    def __init__(self, name: str, address: str, port: int) -> None:
        self.name = name
        self.address = address
        self.port = port
        self.go = asyncio.Event()
        self.busy = asyncio.Event()
        self.ill = False
        self.asked = 0
        self.checks: list[bytes] = []
        self.last = b""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.address, self.port)

    async def stop(self) -> None:
        """At once, as a container that is removed."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            if not self.go.is_set():  # whoever waits for it goes as well
                self.go.set()
                self.go.clear()
            await self._server.wait_closed()
            self._server = None

    def hang_up(self) -> None:
        """On whoever is connected; it goes on to serve."""
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"user-agent: iarnet" in head.lower():
                    self.checks.append(head)
                else:
                    self.asked += 1
                    self.last = head
                if b"upgrade: websocket" in head.lower():
                    await self._upgraded(reader, writer)
                    break
                if head.startswith(b"GET /slow"):
                    self.busy.set()
                    await self.go.wait()
                body = self.name.encode()
                status = b"500 Ill" if self.ill and head.startswith(b"GET /ill") else b"200 OK"
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
                await writer.drain()
        writer.close()
        self._writers.discard(writer)

    async def _upgraded(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()


class GatewayWorld:
    def __init__(self, store: SqlStore, where: Place, envoy: Envoy) -> None:
        self.store = store
        self.where = where
        self.envoy = envoy
        self.port = free_port()
        self.names = Ports("127.0.0.1", free_port(), free_port(), where.access_log)
        self.secrets = SealedSecrets(MemoryRows(), b"k" * 32)
        self.ads = AdsServer()
        self.home = True
        self.gateway = self._gateway()
        self._replicas: list[Replica] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def logged(self) -> list[dict[str, Any]]:
        """The whole lines of its access log: Envoy may be writing the last one."""
        path = self.where.access_log
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    async def start(self) -> None:
        await self.gateway.start(self.where.ads)
        await self.store.apps.create("shop", GIT)

    async def node_ends(self) -> None:
        """Envoy stays."""
        await self.gateway.aclose()

    async def node_begins(self) -> None:
        self.ads = AdsServer()
        self.gateway = self._gateway()
        await self.gateway.start(self.where.ads)

    async def serve(self, *services: Service) -> None:
        await self.gateway.serve("shop", PROVIDER, services or [self.service()])

    async def replica(self, number: int = 0, *, admitted: bool = True) -> Replica:
        """The instance of revision `number + 1` of `api`."""
        made = Replica(f"iarnet-shop-api-r{number + 1}-0", f"127.0.0.{number + 2}", self.port)
        await made.start()
        self._replicas.append(made)
        if admitted:
            await self.gateway.admit(instance(made))
        return made

    async def counter(self, name: str) -> int:
        """One of Envoy's statistics; 0 while it has not been needed."""
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(self.where.admin))) as http:
            answer = await http.get("http://envoy/stats", params={"filter": f"^{re.escape(name)}$"})
        return int(answer.text.rpartition(":")[2] or 0)

    async def tries(self) -> int:
        """How often those who wait have tried to get through."""
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(self.where.admin))) as http:
            found = (await http.get("http://envoy/clusters", params={"format": "json"})).json()
        hosts = [host for cluster in found["cluster_statuses"] for host in cluster.get("host_statuses", [])]
        places = [host for host in hosts if host["address"].get("socket_address", {}).get("port_value") == 0]
        counts = [stat for place in places for stat in place["stats"] if stat["name"] == "cx_connect_fail"]
        return sum(int(stat.get("value", 0)) for stat in counts)

    async def loads(self) -> dict[str, EndpointLoad]:
        return {load.instance: load for load in await self.gateway.loads()}

    async def close(self) -> None:
        await self.gateway.aclose()
        await process.stop(self.where)
        for replica in self._replicas:
            await replica.stop()
        await self.store.aclose()

    def service(self, component: str = "api", **values: Any) -> Service:
        known = {"app": "shop", "provider_id": PROVIDER, "address": "127.0.0.1", "subnet": "127.0.0.0/8"}
        return Service(**known | {"component": component, "port": self.port} | values)

    def _gateway(self) -> EnvoyGateway:
        admin = Admin(self.where.admin)
        return EnvoyGateway(
            self.store.traffic,
            PROVIDER,
            self.ads,
            admin,
            Names(self.store.domains, self.secrets, self.ads, self.names, home=self.home),
            journal=self.where.journal,
            access_log=self.where.access_log,
            publish_address="127.0.0.1",
        )


@asynccontextmanager
async def gateway_world(folder: Path) -> AsyncIterator[GatewayWorld]:
    where = process.place(folder / "gateway")
    envoy = await process.start(where, concurrency=2)
    store = await open_store(f"sqlite:///{folder}/iarnet.db", lambda: datetime.now(UTC))
    world = GatewayWorld(store, where, envoy)
    try:
        await world.start()
        yield world
    finally:
        await world.close()


def instance(replica: Replica, **values: Any) -> Instance:
    revision = int(replica.name.split("-r")[-1].split("-")[0])
    known = {"app": "shop", "component": "api", "provider_id": PROVIDER, "spec_hash": "x", "state": "running"}
    return Instance(**known | {"name": replica.name, "address": replica.address, "revision": revision} | values)


class Load:
    """Constant requests. `answers`: how many by which replica; `failed`: what else came back."""

    def __init__(self, url: str, clients: int = 8) -> None:
        self.answers: Counter[str] = Counter()
        self.failed: list[str] = []
        self._url = url
        self.clients = clients
        self._over = False

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._run()) for _ in range(self.clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)

    async def more(self, count: int = 200) -> None:
        """Wait until so many more have been answered."""
        goal = self.total + count
        await eventually(lambda: self.total >= goal)

    @property
    def total(self) -> int:
        return self.answers.total() + len(self.failed)

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=WITHIN_S, verify=False) as http:
            while not self._over:
                try:
                    answer = await http.get(self._url)
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                else:
                    if answer.status_code == 200:
                        self.answers[answer.text] += 1
                    else:
                        self.failed.append(f"{answer.status_code} {answer.text}")


async def eventually(condition: Callable[[], bool | Awaitable[bool]], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


async def eventually_closed(port: int) -> None:
    """Envoy says that it has taken over the change, and closes then."""

    async def closed() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return True
        writer.close()
        return False

    await eventually(closed)


async def ask(url: str) -> str:
    """The answer, over a connection of its own. To read the trusted authorities each time would take 25 ms."""
    async with httpx.AsyncClient(timeout=WITHIN_S, verify=False) as http:
        answer = await http.get(url)
        return answer.text if answer.status_code == 200 else str(answer.status_code)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])
