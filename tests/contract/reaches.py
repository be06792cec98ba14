"""The ways to one and the same engine: its socket (`docker`), TCP with TLS, SSH."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from iarnet.providers.docker.connection import Connection, TlsFiles
from iarnet.providers.docker.ssh import SshLogin, SshTunnel
from tests.integration.remote_engine import Authority, Relay, mutual_tls, relay, ssh_host


@dataclass(frozen=True)
class Reach:
    """`there` leads to the engine, `nowhere` to where none is; each call makes a connection of its own.

    `wire` is what the connections go through to an engine elsewhere.
    """

    there: Callable[[], Connection]
    nowhere: Callable[[], Connection]
    wire: Relay | None = None


@asynccontextmanager
async def reach(way: str, engine: str, directory: Path) -> AsyncIterator[Reach]:
    """`directory` is empty and has a short path: there are sockets in it."""
    opened = {"docker": _by_socket, "tls": _by_tls, "ssh": _by_ssh}[way]
    async with opened(engine, directory) as made:
        yield made


@asynccontextmanager
async def _by_socket(engine: str, directory: Path) -> AsyncIterator[Reach]:
    yield Reach(lambda: Connection(engine), lambda: Connection(f"unix://{directory}/none.sock"))


@asynccontextmanager
async def _by_tls(engine: str, directory: Path) -> AsyncIterator[Reach]:
    authority, served = Authority(), directory / "served"
    served.mkdir()
    certificate, key = authority.issue("node")
    files = TlsFiles(directory / "ca.pem", directory / "cert.pem", directory / "key.pem")
    for file, text in ((files.ca, authority.pem), (files.cert, certificate), (files.key, key)):
        file.write_text(text)
    async with relay(engine, mutual_tls(authority, served)) as wire:
        yield Reach(
            lambda: Connection(f"tcp://127.0.0.1:{wire.port}", tls=files),
            lambda: Connection("tcp://127.0.0.1:1", tls=files),
            wire,
        )


@asynccontextmanager
async def _by_ssh(engine: str, directory: Path) -> AsyncIterator[Reach]:
    async with ssh_host(engine, directory) as host, relay(f"127.0.0.1:{urlsplit(host.url).port}") as wire:
        server, known_hosts = f"127.0.0.1:{wire.port}", directory / "known_hosts"
        _, _, host_key = host.known_hosts.partition(" ")
        known_hosts.write_text(f"[127.0.0.1]:{wire.port} {host_key}")
        url = urlsplit(host.url)._replace(netloc=f"{urlsplit(host.url).username}@{server}").geturl()
        login, numbers = SshLogin(directory / "user", known_hosts), count()

        def connection(url: str) -> Connection:
            own = directory / str(next(numbers))
            own.mkdir()
            return Connection(url, tunnel=SshTunnel(url, login, own))

        yield Reach(lambda: connection(url), lambda: connection(f"{url}.missing"), wire)
