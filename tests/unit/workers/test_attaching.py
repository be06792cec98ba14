"""A provider is attached as a whole, or tried again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from iarnet.builds.late import LateBuilder
from iarnet.config import Settings
from iarnet.gateway.direct import Direct
from iarnet.models.provider import ProviderRegistration
from iarnet.providers.base import Provider
from iarnet.providers.memory import MemoryProvider
from iarnet.providers.registry import DockerOptions, ProviderRegistry
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.unit.workers.conftest import clock
from workers.attaching import Attachments
from workers.monitor import ProviderMonitor
from workers.monitors import NodeMonitors
from workers.remotes import BASE, Remotes
from workflows.attributes import NODE

NOBODY = ProviderRegistration(
    id="far", name="Far", type="docker", url="tcp://127.0.0.1:1", config={"insecure": "true"}
)


class Temporal:
    """Answers, unless it is `away`."""

    def __init__(self) -> None:
        self.away = True
        self.begun: list[str] = []

    async def start_workflow(self, *given: Any, id: str, **values: Any) -> "Watch":
        if self.away:
            raise RPCError("no answer", RPCStatusCode.UNAVAILABLE, b"")
        self.begun.append(id)
        return Watch()


class Watch:
    async def describe(self) -> "Watch":
        return self

    @property
    def typed_search_attributes(self) -> dict[Any, str]:
        return {NODE: "here"}

    async def signal(self, name: str, *given: Any) -> None:
        pass


class Node:
    def __init__(self, store: SqlStore, directory: Path) -> None:
        secrets = SealedSecrets(MemoryRows(), b"k" * 32)
        self.temporal = Temporal()
        self.watched: list[str] = []
        self.monitors = NodeMonitors(self._monitor)
        self.remotes = Remotes(Settings(data_dir=directory), store, secrets)
        self.providers = ProviderRegistry(
            node="here", owner="here", secrets=secrets, docker=DockerOptions(companion=BASE)
        )
        self.store = store
        self.attachments = Attachments(
            node="here",
            providers=self.providers,
            store=store,
            monitors=self.monitors,
            builder=LateBuilder(lambda url: pytest.fail("nothing is built")),
            remotes=self.remotes,
            client=cast(Client, self.temporal),
            local="local-docker",
            docker_urls=(),
            shared=False,
            attaches=True,
            clock=clock,
        )

    def ids(self) -> list[str]:
        return [provider.info.id for provider in self.providers.all()]

    def _monitor(self, provider: Provider) -> ProviderMonitor:
        self.watched.append(provider.info.id)
        return ProviderMonitor(provider, self.store, "here", clock, lambda total: total, Direct())


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", clock)
    made = Node(store, tmp_path)
    yield made
    await made.monitors.aclose()
    await made.remotes.aclose()
    await made.providers.aclose()
    await store.aclose()


async def test_what_can_not_be_watched_is_not_attached_until_it_can(node: Node) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(RPCError):
        await node.attachments.take(MemoryProvider("one"))
    assert node.ids() == []
    assert asyncio.all_tasks() == before, "nobody looks after it any more"
    node.temporal.away = False
    await node.attachments.take(MemoryProvider("one"))
    assert (node.ids(), node.watched, node.temporal.begun) == (["one"], ["one", "one"], ["provider.one"])


async def test_one_elsewhere_is_tried_again_with_its_gateway(node: Node) -> None:
    await node.store.providers.register(NOBODY)
    with pytest.raises(RPCError):
        async with node.attachments.looking():
            pass
    assert (node.ids(), dict(node.remotes.gateways())) == ([], {})
    node.temporal.away = False
    async with node.attachments.looking():
        assert (node.ids(), list(node.remotes.gateways())) == (["far"], ["far"])
    assert node.temporal.begun == ["provider.far"]
