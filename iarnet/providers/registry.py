"""The providers that this node can reach: the Docker it finds by itself, and those that users register."""

import asyncio
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from iarnet.errors import AlreadyExists, InvalidInput, NotFound
from iarnet.models.provider import ProviderHealth, ProviderInfo, ProviderRegistration
from iarnet.providers.base import Provider, SecretReader
from iarnet.providers.docker.companion import Base
from iarnet.providers.docker.connection import Connection, TlsFiles
from iarnet.providers.docker.provider import DockerProvider
from iarnet.providers.docker.ssh import SshLogin, SshTunnel

LOCAL = "local-docker"


def default_sockets(home: Path, uid: int) -> tuple[str, ...]:
    """Where engines listen: the system's, a rootless one, Docker Desktop's."""
    paths = (Path("/var/run/docker.sock"), Path(f"/run/user/{uid}/docker.sock"), home / ".docker/run/docker.sock")
    return tuple(f"unix://{path}" for path in paths)


@dataclass(frozen=True)
class DockerOptions:
    """What all engines of this node have in common."""

    network_pool: str = "10.210.0.0/16"
    publish_address: str = "0.0.0.0"
    concurrency: int = 4
    local: str = LOCAL
    """What the engine of this machine is called."""
    gateway: bool = False
    """One runs on this machine."""
    companion: Base | None = None
    """What one on another machine is made from; none: there are none."""


class ProviderRegistry:
    """Implements `Providers`. `owner` marks what its providers run; private files live as long as their provider."""

    def __init__(
        self, *, node: str, owner: str, secrets: SecretReader, docker: DockerOptions = DockerOptions()
    ) -> None:
        self._node = node
        self._owner = owner
        self._secrets = secrets
        self._docker = docker
        self._providers: dict[str, Provider] = {}
        self._directories: dict[str, tempfile.TemporaryDirectory[str]] = {}

    def get(self, provider_id: str) -> Provider:
        if provider_id not in self._providers:
            known = ", ".join(sorted(self._providers)) or "none"
            raise NotFound(
                f"There is no provider {provider_id} on {self._node}",
                hint=f"known here: {known}; see `iarnet providers ls`",
            )
        return self._providers[provider_id]

    def all(self) -> list[Provider]:
        return list(self._providers.values())

    async def find_docker(self, urls: Iterable[str]) -> Provider | None:
        """The first engine among `urls` that answers, as this machine's own, from then on always the same.

        None: there is none now; ask again later.
        """
        local = local_info(self._node, self._docker.local)
        if local.id in self._providers:
            return self._providers[local.id]
        for url in urls:
            provider = self._docker_provider(local, Connection(url))
            if (await provider.check()).reachable:
                self._providers[local.id] = provider
                return provider
            await provider.aclose()
        return None

    def add(self, provider: Provider) -> None:
        """Raises `AlreadyExists`."""
        if provider.info.id in self._providers:
            raise AlreadyExists(f"There is a provider {provider.info.id} already", hint="choose another id")
        self._providers[provider.info.id] = provider

    async def register(self, registration: ProviderRegistration) -> Provider:
        """Does not connect. Raises `AlreadyExists`, `InvalidInput`, and `NotFound` for a secret that is not there."""
        if registration.id in self._providers:
            raise AlreadyExists(f"There is a provider {registration.id} already", hint="choose another id")
        provider, directory = await self._build(registration)
        self._providers[registration.id] = provider
        self._directories[registration.id] = directory
        return provider

    async def try_out(self, registration: ProviderRegistration) -> ProviderHealth:
        """Whether it can be reached with these credentials; nothing is kept. Raises as `register`."""
        provider, directory = await self._build(registration)
        try:
            return await provider.check()
        finally:
            await provider.aclose()
            await asyncio.to_thread(directory.cleanup)

    async def forget(self, provider_id: str) -> None:
        """Close it; its instances run on."""
        provider = self._providers.pop(provider_id, None)
        if provider is not None:
            await provider.aclose()
        directory = self._directories.pop(provider_id, None)
        if directory is not None:
            await asyncio.to_thread(directory.cleanup)

    async def aclose(self) -> None:
        for provider_id in list(self._providers):
            await self.forget(provider_id)

    async def _build(self, given: ProviderRegistration) -> tuple[Provider, tempfile.TemporaryDirectory[str]]:
        if given.type != "docker":
            raise InvalidInput(
                f"This node can't connect providers of type {given.type}", where="type", hint="it can connect: docker"
            )
        directory = tempfile.TemporaryDirectory(prefix="iarnet-")
        try:
            connection = await self._connection(given, Path(directory.name))
        except BaseException:
            directory.cleanup()
            raise
        companion = None if given.config.get("gateway") == "false" else self._docker.companion
        return self._docker_provider(info_of(given, self._node), connection, companion), directory

    async def _connection(self, given: ProviderRegistration, directory: Path) -> Connection:
        scheme = urlsplit(given.url).scheme
        if scheme == "tcp":
            return Connection(given.url, tls=await self._tls(given, directory))
        if scheme == "ssh":
            return Connection(given.url, tunnel=SshTunnel(given.url, await self._login(given, directory), directory))
        return Connection(given.url)

    async def _tls(self, given: ProviderRegistration, directory: Path) -> TlsFiles | None:
        if given.config.get("insecure") == "true":
            return None
        files = TlsFiles(directory / "ca.pem", directory / "cert.pem", directory / "key.pem")
        _write(files.ca, _needed(given.config, "ca_cert", "config"))
        _write(files.cert, _needed(given.config, "client_cert", "config"))
        _write(files.key, await self._secrets.get(_needed(given.secrets, "client_key", "secrets")))
        return files

    async def _login(self, given: ProviderRegistration, directory: Path) -> SshLogin:
        key, hosts = directory / "key", directory / "known_hosts"
        if "ssh_key" in given.secrets:
            _write(key, await self._secrets.get(given.secrets["ssh_key"]))
        if "known_hosts" in given.config:
            _write(hosts, given.config["known_hosts"])
        return SshLogin(key if key.exists() else None, hosts if hosts.exists() else None)

    def _docker_provider(
        self, info: ProviderInfo, connection: Connection, companion: Base | None = None
    ) -> DockerProvider:
        return DockerProvider(
            info,
            connection,
            owner=self._owner,
            secrets=self._secrets,
            network_pool=self._docker.network_pool,
            publish_address=self._docker.publish_address,
            concurrency=self._docker.concurrency,
            gateway=self._docker.gateway and info.id == self._docker.local,
            companion=companion,
        )


def local_info(node: str, id: str = LOCAL) -> ProviderInfo:
    """What is known of this machine's engine before it has answered."""
    return ProviderInfo(id=id, name="Docker on this machine", type="docker", home=node)


def info_of(given: ProviderRegistration, node: str) -> ProviderInfo:
    """What is known of a provider before it has answered."""
    address = urlsplit(given.url)
    return ProviderInfo(
        id=given.id,
        name=given.name,
        type=given.type,
        origin=given.origin,
        host=address.hostname or "localhost",
        port=address.port or 0,
        home=node,
        labels=given.labels,
    )


def _needed(given: dict[str, str], key: str, where: str) -> str:
    if not given.get(key):
        raise InvalidInput(
            f"A Docker engine over TCP needs {where}.{key}",
            where=f"{where}.{key}",
            hint="give ca_cert, client_cert and the secret client_key; without TLS anyone could control that host",
        )
    return given[key]


def _write(path: Path, text: str) -> None:
    """Readable by us alone from the first moment; OpenSSH wants the last line ended."""
    path.touch(mode=0o600)
    path.write_text(text if text.endswith("\n") else text + "\n")
