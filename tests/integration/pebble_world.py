"""A real ACME server, Pebble, and the DNS server that it asks, each a process of its own on free ports."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from iarnet.certificates.authority import OwnAuthority
from iarnet.models.domains import Challenge
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from tests.conftest import missing
from tests.integration.gateway_world import WITHIN_S, free_port
from workers.node import clock

SETUP = Path(__file__).parents[2] / "setup"
BLOCKED = "blocked.example.org"


@dataclass(frozen=True)
class PebbleWorld:
    """It looks for answers at `http_port` of 127.0.0.1, whatever the name. `ca_bundle` is what signs its own TLS."""

    directory: str
    management: str
    dns: str
    http_port: int
    ca_bundle: Path

    async def root(self) -> str:
        """What signs the certificates that it gives, PEM; another one in each process."""
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=self.ca_bundle)) as http:
            return (await http.get(f"{self.management}/roots/0")).text

    async def lose(self, host: str) -> None:
        """Its DNS fails for this name, until `find`."""
        await self._dns("set-servfail", host)

    async def find(self, host: str) -> None:
        await self._dns("clear-servfail", host)

    async def _dns(self, what: str, host: str) -> None:
        async with httpx.AsyncClient() as http:
            (await http.post(f"{self.dns}/{what}", json={"host": f"{host}."})).raise_for_status()


@asynccontextmanager
async def pebble_world(folder: Path, http_port: int = 0) -> AsyncIterator[PebbleWorld]:
    """`http_port` 0: any."""
    programs = await asyncio.to_thread(_programs)
    directory, management, dns_port, dns_management = [free_port() for _ in range(4)]
    world = PebbleWorld(
        f"https://localhost:{directory}/dir",
        f"https://localhost:{management}",
        f"http://127.0.0.1:{dns_management}",
        http_port or free_port(),
        folder / "pebble-ca.pem",
    )
    await _certify(folder)
    (folder / "pebble.json").write_text(json.dumps(_configuration(folder, world)))
    dns = [programs / "pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]
    dns += ["-dnsserver", f"127.0.0.1:{dns_port}", "-management", f"127.0.0.1:{dns_management}"]
    dns += [word for kind in ("-http01", "-https01", "-tlsalpn01", "-doh") for word in (kind, "")]
    pebble = [
        programs / "pebble",
        "-config",
        folder / "pebble.json",
        "-dnsserver",
        f"127.0.0.1:{dns_port}",
        "-strict",
    ]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_running(dns, folder / "dns.log"))
        await stack.enter_async_context(_running(pebble, folder / "pebble.log"))
        for port in (directory, management, dns_management):
            await _listening(port, folder)
        yield world


class Answers:
    """A web server that knows the answers to challenges, and nothing else. `asked` are the hosts that were asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._known: dict[str, str] = {}

    async def prove(self, challenge: Challenge) -> None:
        self._known[f"{challenge.host}/.well-known/acme-challenge/{challenge.token}"] = challenge.answer

    @asynccontextmanager
    async def answering(self, port: int) -> AsyncIterator[None]:
        async with await asyncio.start_server(self._serve, "127.0.0.1", port):
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        host = next(line for line in head.splitlines() if line.lower().startswith("host:")).split(":")[1].strip()
        self.asked.append(host)
        answer = self._known.get(host + head.split()[1], "")
        status = "200 OK" if answer else "404 Not Found"
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-length: {len(answer)}\r\nconnection: close\r\n\r\n{answer}".encode()
        )
        writer.close()


def _programs() -> Path:
    done = subprocess.run(
        [sys.executable, SETUP / "machine.py", "pebble"], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        missing(f"Pebble ({done.stderr.strip()[-300:]})")
    return Path(done.stdout.splitlines()[-1])


async def _certify(folder: Path) -> None:
    async def unproven(challenge: Challenge) -> None: ...

    authority = OwnAuthority(SealedSecrets(MemoryRows(), bytes(32)), "the tests", clock, ["localhost"])
    pair = await authority.issue("localhost", unproven)
    (folder / "pebble-ca.pem").write_text(await authority.certificate())
    (folder / "pebble.pem").write_text(pair.certificate.chain)
    (folder / "pebble.key").write_text(pair.key)


def _configuration(folder: Path, world: PebbleWorld) -> dict[str, Any]:
    return {
        "pebble": {
            "listenAddress": world.directory.split("/")[2].replace("localhost", "127.0.0.1"),
            "managementListenAddress": world.management.split("/")[2].replace("localhost", "127.0.0.1"),
            "certificate": str(folder / "pebble.pem"),
            "privateKey": str(folder / "pebble.key"),
            "httpPort": world.http_port,
            "tlsPort": 1,
            "domainBlocklist": [BLOCKED],
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
        }
    }


@asynccontextmanager
async def _running(argv: list[Any], log: Path) -> AsyncIterator[None]:
    """Always asked for a proof, and at once, which Pebble leaves to chance otherwise."""
    environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}
    with log.open("wb") as output:
        # `setpriv`: a test run that is killed takes it along. Python's own way to say so forks, with gRPC's threads.
        bound = ("setpriv", "--pdeathsig", "KILL", *argv)
        process = await asyncio.create_subprocess_exec(*bound, env=environment, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def _listening(port: int, folder: Path) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
