"""Certificates of a real ACME server, its challenges answered by a real Envoy, and used there at once."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.certifying import Certifying
from iarnet.certificates.acme_server import AcmeServer
from iarnet.certificates.authority import OwnAuthority
from iarnet.models.domains import Certificate, Domain
from iarnet.models.work import Issue, Issued
from tests.integration.gateway_world import GatewayWorld, gateway_world
from tests.integration.pebble_world import PebbleWorld, pebble_world
from workers.node import clock

HOST = "shop.example.org"


class Led:
    """Envoy with an application behind it, and Pebble that asks at Envoy's port for HTTP."""

    def __init__(self, world: GatewayWorld, pebble: PebbleWorld) -> None:
        self.world = world
        self.pebble = pebble
        self.own = OwnAuthority(world.secrets, "here", clock, ["example.org"])
        acme = AcmeServer(
            pebble.directory,
            agree=True,
            email="",
            ca_bundle=pebble.ca_bundle,
            secrets=world.secrets,
            clock=clock,
        )
        self._certifying = Certifying(
            world.store, world.secrets, world.gateway, {"own": self.own, "acme": acme}, clock
        )

    async def add(self, host: str = HOST) -> None:
        await self.world.store.domains.put(Domain(host=host, app="shop", component="api", certificate="acme"))
        await self.world.gateway.refresh("shop")

    async def issue(self, host: str = HOST) -> Certificate:
        issued: Issued = await ActivityEnvironment().run(
            self._certifying.issue_certificate, Issue(host=host, kind="acme")
        )
        assert issued.problem == ""
        found = await self.world.store.domains.certificate(host)
        assert found
        return found

    async def shown(self, host: str = HOST) -> str:
        """The SHA-256 of what a client is shown that trusts Pebble and nobody else."""
        _, writer = await self.connected(host)
        found = hashlib.sha256(writer.get_extra_info("ssl_object").getpeercert(binary_form=True)).hexdigest()
        writer.close()
        return found

    async def connected(self, host: str = HOST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        trusting = ssl.create_default_context(cadata=await self.pebble.root())
        return await asyncio.open_connection("127.0.0.1", self.world.names.https, ssl=trusting, server_hostname=host)


@pytest.fixture
async def led(tmp_path: Path) -> AsyncIterator[Led]:
    async with gateway_world(tmp_path) as world, pebble_world(tmp_path, world.names.http) as pebble:
        await world.serve()
        await world.replica()
        yield Led(world, pebble)


async def test_envoy_proves_a_name_and_uses_its_certificate(led: Led) -> None:
    await led.add()
    first = await led.issue()
    assert (await led.shown())[:16] == first.key.rpartition("/")[2]
    reader, writer = await led.connected()
    second = await led.issue()
    assert (await led.shown())[:16] == second.key.rpartition("/")[2] != first.key.rpartition("/")[2]
    writer.write(f"GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")  # over a connection with the first
    writer.close()
    assert await led.world.secrets.names("tls") == [second.key]
    assert await led.world.store.domains.challenges() == []


async def test_names_are_proven_at_the_same_time(led: Led) -> None:
    hosts = [f"{name}.example.org" for name in ("one", "two", "three", "four")]
    for host in hosts:
        await led.add(host)
    got = await asyncio.gather(*(led.issue(host) for host in hosts))
    for certificate in got:
        assert (await led.shown(certificate.host))[:16] == certificate.key.rpartition("/")[2]
