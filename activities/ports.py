"""Host ports: an app keeps the one it has, and nobody gets one that is taken. Each is there for TCP and for UDP."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from iarnet import faults
from iarnet.errors import PortTaken
from iarnet.models.component import Component
from iarnet.models.lease import Place
from iarnet.planning.desired import published
from iarnet.providers.base import Provider
from iarnet.store.base import Ledger


class HostPorts:
    """`pool` is where ports are taken from when nobody asks for a certain one."""

    def __init__(self, ledger: Ledger, pool: range) -> None:
        self._ledger = ledger
        self._pool = pool

    async def choose(
        self,
        app: str,
        components: Sequence[Component],
        provider: Provider,
        ours: set[Place],
        dry_run: bool,
        staying: Collection[str] = (),
    ) -> tuple[dict[str, int], list[str]]:
        """Ledger key -> host port for everything published on this provider, and notes about second choices.

        `ours`: what the app listens on there already; `staying`: components of it that the change leaves alone.
        Raises `PortTaken` for a port that was demanded and is held by something else.
        """
        claims = await self._ledger.ports(provider.info.id)
        given_up = _given_up(app, components, claims, staying)
        chosen: dict[str, int] = {}
        notes: list[str] = []
        for component in components:
            for key, transport, publish, wanted in published(component):
                port = await self._one(
                    app, key, transport, publish, wanted, provider, ours, claims, dry_run, given_up
                )
                faults.reached("port.claimed")
                claims[port, transport] = (app, key)
                chosen[key] = port
                if publish == "prefer" and wanted and port != wanted:
                    notes.append(f"{component.name}: port {wanted} is taken, it is published on {port} instead")
        return chosen, notes

    async def _one(
        self,
        app: str,
        key: str,
        transport: str,
        publish: str,
        wanted: int | None,
        provider: Provider,
        ours: set[Place],
        claims: dict[Place, tuple[str, str]],
        dry_run: bool,
        given_up: Collection[str],
    ) -> int:
        async def usable(port: int) -> bool:
            place = (port, transport)
            holder = claims.get(place)
            passes = port == wanted and holder is not None and holder[0] == app and holder[1] in given_up
            mine = holder == (app, key) or passes
            if mine and place in ours:
                return True
            return (mine or holder is None) and await provider.host_port_free(port, transport)

        async def taken(port: int) -> bool:
            """Another app may have been a moment faster since `claims` were read."""
            if not await usable(port):
                return False
            return dry_run or await self._ledger.claim_port(provider.info.id, app, key, (port, transport), given_up)

        if publish == "exact" and wanted:
            if await taken(wanted):
                return wanted
            raise _taken(key, wanted, (await self._ledger.ports(provider.info.id)).get((wanted, transport)))
        kept = next((port for (port, _), holder in claims.items() if holder == (app, key)), None)
        for port in _candidates(wanted, kept, self._pool):
            if await taken(port):
                return port
        raise PortTaken(
            f"No port of {self._pool.start}-{self._pool.stop - 1} is free on {provider.info.id}.",
            where=key,
            hint="Widen docker.publish_ports, or stop something.",
        )


def _given_up(
    app: str, components: Sequence[Component], claims: Mapping[Place, tuple[str, str]], staying: Collection[str]
) -> set[str]:
    """The keys of the app that want none of what they hold any more: another component may ask for it."""
    wanted = {key: (how, port) for component in components for key, _, how, port in published(component)}

    def gives_up(key: str, port: int) -> bool:
        if key not in wanted:
            return key.split("/")[0] not in staying
        return wanted[key][0] == "exact" and wanted[key][1] not in (None, port)

    return {key for (port, _), (holder, key) in claims.items() if holder == app and gives_up(key, port)}


def _candidates(wanted: int | None, kept: int | None, pool: Iterable[int]) -> Iterable[int]:
    yield from (port for port in (kept, wanted) if port)
    yield from pool


def _taken(key: str, port: int, holder: tuple[str, str] | None) -> PortTaken:
    component = key.split("/")[0]
    who = f"{holder[1].split('/')[0]} of the app {holder[0]}" if holder else "another program on that machine"
    return PortTaken(
        f"Port {port}, which {component} asks for, is held by {who}.",
        where=key,
        component=component,
        hint=f"Free it, or choose another: --set {component}.publish=auto",
    )
