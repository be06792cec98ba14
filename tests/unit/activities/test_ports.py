"""Host ports that pass from one component of an application to another."""

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from pathlib import Path

import pytest

from activities.ports import HostPorts
from iarnet.errors import PortTaken
from iarnet.models.component import Component, Port
from iarnet.providers.memory import MemoryProvider
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", lambda: datetime.now(UTC))
    yield store
    await store.aclose()


def component(name: str, publish: str = "exact", host_port: int | None = 8080) -> Component:
    port = Port.model_validate({"port": 80, "publish": publish, "host_port": host_port})
    return Component(name=name, kind="web", image="a", ports=(port,))


async def chosen(store: SqlStore, *components: Component, staying: Collection[str] = ()) -> dict[str, int]:
    """By component, where the app itself has all that it has claimed."""
    provider = MemoryProvider()
    held = set(await store.ledger.ports(provider.info.id))
    for place in held:
        provider.hold_port(*place)
    ports = HostPorts(store.ledger, range(20_000, 20_010))
    found, _ = await ports.choose("shop", components, provider, held, False, staying)
    return {key.split("/")[0]: port for key, port in found.items()}


@pytest.mark.parametrize("publish", ["exact", "prefer"])
async def test_a_component_gets_the_port_of_one_that_gives_it_up(store: SqlStore, publish: str) -> None:
    await chosen(store, component("web"))
    assert await chosen(store, component("site", publish), component("web", "no")) == {"site": 8080}
    assert await chosen(store, component("web")) == {"web": 8080}, "and back"
    assert await chosen(store, component("renamed", publish)) == {"renamed": 8080}


async def test_two_can_exchange_theirs(store: SqlStore) -> None:
    await chosen(store, component("web"), component("api", host_port=8081))
    exchanged = await chosen(store, component("web", host_port=8081), component("api"))
    assert exchanged == {"web": 8081, "api": 8080}


async def test_what_is_kept_is_not_taken(store: SqlStore) -> None:
    await chosen(store, component("web", "auto", None))
    with pytest.raises(PortTaken, match="held by web"):
        await chosen(store, component("web", "auto", None), component("api", host_port=20_000))
    with pytest.raises(PortTaken, match="held by web"):
        await chosen(store, component("api", host_port=20_000), staying={"web"})


async def test_nobody_takes_one_that_it_has_not_asked_for(store: SqlStore) -> None:
    await chosen(store, component("web", "auto", None))
    assert await chosen(store, component("api", "auto", None)) == {"api": 20_001}, "the old one may go on until then"


def dns(publish: str) -> Component:
    both = ({"port": 53, "protocol": each, "publish": publish, "host_port": 53} for each in ("tcp", "udp"))
    return Component(name="dns", kind="api", image="a", ports=tuple(map(Port.model_validate, both)))


@pytest.mark.parametrize("publish", ["exact", "prefer"])
async def test_a_port_can_be_published_for_tcp_and_for_udp(store: SqlStore, publish: str) -> None:
    ports, provider = HostPorts(store.ledger, range(20_000, 20_010)), MemoryProvider()
    for _ in range(2):
        found, notes = await ports.choose("names", [dns(publish)], provider, set(), False)
        assert (found, notes) == ({"dns/53/tcp": 53, "dns/53/udp": 53}, [])
    with pytest.raises(PortTaken, match="held by dns of the app names"):
        await ports.choose("other", [dns("exact")], provider, set(), False)


async def test_what_another_program_holds_for_udp_is_free_for_tcp(store: SqlStore) -> None:
    ports, provider = HostPorts(store.ledger, range(20_000, 20_010)), MemoryProvider()
    provider.hold_port(53, "udp")
    found, _ = await ports.choose("names", [dns("prefer")], provider, set(), False)
    assert found == {"dns/53/tcp": 53, "dns/53/udp": 20_000}
    with pytest.raises(PortTaken, match="another program"):
        await ports.choose("names", [dns("exact")], provider, {(53, "tcp")}, False)
