"""Applications of five components, deployed by the real workflows and activities on a provider in memory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from activities.building import Building
from activities.deploying import Deploying
from activities.options import QUEUE
from activities.placing import always
from activities.planning import Planning
from activities.ports import HostPorts
from activities.recording import Recording
from activities.revising import Revising
from activities.watching import Watching
from iarnet.analysis.corrections import apply_corrections
from iarnet.builds.absent import AbsentBuilder
from iarnet.errors import ProviderRefused, ProviderUnavailable
from iarnet.gateway.direct import Direct
from iarnet.models.app import Revision
from iarnet.models.change import ChangeRequest, Deployment
from iarnet.models.component import Component, HealthCheck, Port, Volume
from iarnet.models.edge import Edge
from iarnet.models.instance import Instance
from iarnet.models.provider import ProviderHealth, ProviderState
from iarnet.models.source import GitSource
from iarnet.providers.memory import MemoryProvider
from iarnet.providers.registry import ProviderRegistry
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.sources.git import GitSources
from iarnet.store.sql import SqlStore
from workers.monitors import NodeMonitors
from workers.pools import Activities, serving, workers

NODE = "here"
NAMES = ("db", "migrate", "api", "web", "mail")
"""A chain of four, and one beside it. `db` has one writer: its old instance stops first. `migrate` is a job."""
EDGES = (
    Edge(from_="migrate", to="db"),
    Edge(from_="api", to="migrate", condition="completed"),
    Edge(from_="web", to="api"),
    Edge(from_="mail", to="db"),
)

Moment = Callable[[str, str], Awaitable[None]]
"""Told of each step of the provider and of the instance that it concerns, before it is done."""


async def nothing(operation: str, name: str) -> None:
    pass


class Directs:
    def get(self, provider_id: str) -> Direct:
        return Direct()


class World:
    """`broken` are instances that the provider refuses to start; `away` says how often it can't be reached when one
    is to be removed; `moment` happens before each step; `lonely` are those that were stopped as the last of their
    component."""

    def __init__(self, client: Client, store: SqlStore, directory: Path) -> None:
        self.store = store
        self.broken: set[str] = set()
        self.away: Counter[str] = Counter()
        self.moment: Moment = nothing
        self.lonely: list[str] = []
        self.provider = MemoryProvider(
            "memory", home=NODE, owner=NODE, faults=self._fault, pause=self._step, clock=clock
        )
        self._client = client
        self._directory = directory
        self._secrets = SealedSecrets(MemoryRows(), b"k" * 32)
        self.providers = ProviderRegistry(node=NODE, owner=NODE, secrets=self._secrets)
        self.providers.add(self.provider)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """With workers; whatever is under way when the block ends is cut short."""
        async with serving(workers(self._client, NODE, self._activities(), self._secrets)):
            yield

    async def known(self, app: str, revision: int) -> None:
        """The revision can be deployed."""
        if revision == 1:
            await self.store.apps.create(app, GitSource(url="https://example.org/shop.git"))
            health = ProviderHealth(reachable=True)
            capacity = await self.provider.capacity()
            state = ProviderState(
                info=self.provider.info, status="active", capacity=capacity, health=health, seen_at=clock()
            )
            await self.store.providers.save_state(state)
        components = tuple(_component(name, revision) for name in NAMES)
        await self.store.facts.save_revision(
            Revision(
                app=app,
                number=revision,
                commit="c",
                tree="t",
                components=components,
                edges=EDGES,
                images={c.name: str(c.image) for c in components},
                created_at=clock(),
            )
        )

    async def deploy(self, app: str, revision: int, **more: Any) -> WorkflowHandle[Any, Any]:
        await self.known(app, revision)
        request = ChangeRequest(app=app, revision=revision, on_failure="rollback", **more)
        return await self._client.start_workflow("DeployApp", request, id=f"change.{app}", task_queue=QUEUE)

    async def end_watches(self, *apps: str) -> None:
        for app in apps:
            await self._client.get_workflow_handle(f"watch.{app}").terminate()

    async def instances(self, app: str) -> dict[str, Instance]:
        """What is there, in truth."""
        return {instance.name: instance for instance in await self.provider.instances(NODE, app)}

    async def last(self, app: str) -> Deployment:
        return (await self.store.facts.deployments(app))[0]

    async def _step(self, operation: str, name: str) -> None:
        if operation == "remove":
            await self._look(name)
        if operation == "inspect" and "-migrate-" in name:
            await self._finish(name)
        await self.moment(operation, name)

    async def _look(self, name: str) -> None:
        """Nothing may go that is the last of its component, save where two can't run side by side."""
        app, component = name.split("-")[1:3]
        running = [
            i for i in (await self.instances(app)).values() if i.component == component and i.state == "running"
        ]
        if component not in ("db", "migrate") and [i.name for i in running] == [name]:
            self.lonely.append(name)

    async def _finish(self, name: str) -> None:
        """A job has done its work by the time somebody looks."""
        found = {i.name: i for i in await self.provider.instances(NODE)}
        if name in found and found[name].state == "running":
            self.provider.end(name)

    def _fault(self, operation: str, name: str) -> None:
        if operation == "start" and name in self.broken:
            raise ProviderRefused(f"{name} is broken", hint="mend it")
        if operation == "remove" and self.away[name] > 0:
            self.away[name] -= 1
            raise ProviderUnavailable("The engine is away", hint="wait")

    def _activities(self) -> Activities:
        """As a node that was just started makes them."""
        store, providers = self.store, self.providers
        sources = GitSources(self._directory / "objects")
        revising = Revising(store, sources, self._secrets, lambda *_: "", apply_corrections, clock)
        ports = HostPorts(store.ledger, range(20_000, 20_010))
        planning = Planning(store, providers, ports, revising, NODE, NODE, clock)
        monitors = NodeMonitors(_unwatched)
        watching = Watching(store, providers, monitors, Directs(), self._client, self._secrets, clock)
        recording = Recording(store, always(NODE), "localhost", clock, _unnamed)
        deploying = Deploying(store, providers, AbsentBuilder(), Directs(), monitors.handling)
        return Activities(
            anywhere=[
                recording.begin_change,
                recording.analysed_commit,
                recording.finish_change,
                planning.prepare_change,
                watching.ensure_watch,
                watching.tell_watch,
                watching.change_is_open,
            ],
            here=[
                deploying.deploy_instance,
                deploying.await_instance,
                deploying.remove_instance,
                deploying.release_provider,
            ],
            watches=[watching.follow_provider],
            builds=[Building(store, AbsentBuilder()).build_image],
        )


def clock() -> datetime:
    return datetime.now(UTC)


async def ended(handle: WorkflowHandle[Any, Any]) -> BaseException | None:
    """What the run failed with."""
    try:
        await asyncio.wait_for(handle.result(), 60)
    except WorkflowFailureError as error:
        return error.cause
    return None


def instance(app: str, component: str, revision: int, replica: int = 0) -> str:
    return f"iarnet-{app}-{component}-r{revision}-{replica}"


def all_of(app: str, revision: int) -> set[str]:
    return {instance(app, name, revision) for name in NAMES} | {instance(app, "web", revision, 1)}


def _component(name: str, revision: int) -> Component:
    return Component(
        name=name,
        kind="job" if name == "migrate" else "worker",
        image=f"{name}:{revision}",
        ports=(Port(port=80),),
        health=HealthCheck(type="tcp"),
        volumes=(Volume(name="data", path="/data"),) if name == "db" else (),
        replicas=2 if name == "web" else 1,
    )


def _unwatched(provider: Any) -> Any:
    raise AssertionError(f"nobody watches {provider}")


async def _unnamed(host: str) -> None:
    raise AssertionError(f"{host} is nobody's")
