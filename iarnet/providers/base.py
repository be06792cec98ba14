"""The contract of everything that runs instances. `tests/contract/` holds each provider to it."""

from collections.abc import AsyncIterator
from typing import Protocol

from iarnet.models.component import EnvVar, HealthCheck
from iarnet.models.instance import Instance, InstanceSpec, Listener, LogLine, LogQuery, ProbeResult
from iarnet.models.provider import ProviderEvent, ProviderHealth, ProviderInfo, UsageSample
from iarnet.models.reconciliation import Belonging
from iarnet.models.resources import Capacity
from iarnet.models.traffic import AppNetwork


class ImageSource(Protocol):
    """Where an image can be had that a provider lacks: the engine that built it."""

    async def has(self, image: str) -> bool: ...

    def export(self, image: str) -> AsyncIterator[bytes]:
        """The image as a `docker save` archive, in chunks."""
        ...


class SecretReader(Protocol):
    """The part of `Secrets` that an adapter needs, right before it uses a value."""

    async def get(self, name: str) -> str:
        """Raises `NotFound`."""
        ...

    async def resolve(self, env: EnvVar) -> str | None:
        """The value with the secret in its place. Raises `NotFound` when the secret is gone."""
        ...


class Provider(Protocol):
    """Every call may be repeated without harm; all raise `ProviderUnavailable` when the provider can't be reached."""

    info: ProviderInfo

    async def capacity(self) -> Capacity:
        """Measured now, not configured."""
        ...

    async def ensure_image(self, image: str, source: ImageSource | None = None) -> None:
        """Present already, or from `source`, or pulled; raises `ImageUnavailable` when none of them works."""
        ...

    async def deploy(self, spec: InstanceSpec) -> Instance:
        """Make it run, and the network and volumes that it needs. Returns once it is started, not ready.

        Adopts an instance of this name when labels and spec hash match (starting it if it is stopped, unless it is a
        job that has ended well), raises `SpecMismatch` when they don't, `StaleEpoch` when a newer epoch has been
        here, `PortTaken` when a host port is held by something else, `ProviderRefused` for what it can't do.
        """
        ...

    async def network(self, app: str, slot: int = 0, room: int = 0) -> AppNetwork:
        """The app's network with the address for the `slot`; made when it is missing, for `room` instances and their
        successors, and the same each time. Only where `capabilities.gateway`. A further slot needs a network that is
        there: else it raises `NotFound`."""
        ...

    async def remove(self, name: str, epoch: int) -> None:
        """Stop (SIGTERM, then SIGKILL after 10 s) and remove. Nothing there is fine; not ours is `SpecMismatch`."""
        ...

    async def release(self, app: str, epoch: int, volumes: tuple[str, ...] = ()) -> None:
        """Remove the app's network here with all addresses, and these of its volumes (`{component}/{volume}`)."""
        ...

    async def owned(self, owner: str) -> list[Belonging]:
        """Everything that carries the owner's mark, whatever it is called."""
        ...

    async def discard(self, belonging: Belonging, epoch: int) -> None:
        """Stop and remove exactly this, by its ID. Nothing there is fine.

        Raises `SpecMismatch` when it isn't ours, `Conflict` when something uses it, `StaleEpoch` as `remove`.
        """
        ...

    async def restart(self, name: str) -> Instance:
        """In place: same name, spec and address. Raises `NotFound`."""
        ...

    async def inspect(self, name: str) -> Instance | None: ...

    async def instances(self, owner: str, app: str | None = None) -> list[Instance]:
        """All that carry our labels, running or not; filtered by the engine, not here."""
        ...

    async def probe(self, name: str, check: HealthCheck) -> ProbeResult:
        """Try once whether it answers. Raises `NotFound` when there is no such instance."""
        ...

    async def listening(self, name: str) -> tuple[Listener, ...] | None:
        """Where it takes connections, now; None when it can't be known. Raises `NotFound`."""
        ...

    def logs(self, name: str, query: LogQuery) -> AsyncIterator[LogLine]:
        """Oldest first. Raises `NotFound`."""
        ...

    async def usage(self, owner: str) -> list[UsageSample]: ...

    def events(self, owner: str) -> AsyncIterator[ProviderEvent]:
        """From now on, without end; raises `ProviderUnavailable` when the connection breaks."""
        ...

    async def host_port_free(self, port: int, protocol: str = "tcp") -> bool: ...

    async def check(self) -> ProviderHealth:
        """Never raises: what is wrong is in the answer."""
        ...

    async def aclose(self) -> None: ...


class Providers(Protocol):
    """The providers that this node can reach."""

    def get(self, provider_id: str) -> Provider:
        """Raises `NotFound`."""
        ...

    def all(self) -> list[Provider]: ...
