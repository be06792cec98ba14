"""Effects on providers: each is idempotent by the instance's name, and written down before it happens."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from temporalio import activity

from activities.caused import BY_DEPLOYING, BY_REMOVING, Handling
from activities.heartbeat import heartbeating
from activities.readiness import wait_until
from iarnet import faults
from iarnet.errors import IarnetError, StaleEpoch
from iarnet.gateway.base import Gateways
from iarnet.models.instance import Instance, InstanceSpec, LogQuery
from iarnet.models.traffic import Service
from iarnet.models.work import Effect
from iarnet.providers.base import ImageSource, Provider, Providers
from iarnet.store.base import Store

_LAST_LINES = 30
_LONGEST_LINE = 2000
_DRAIN_S = 10.0
# Others wait for its successor meanwhile.
_HOLD_S = 3.0
_CLOSED_S = 5.0
_LOOK_S = 0.02


class Deploying:
    def __init__(
        self, store: Store, providers: Providers, images: ImageSource, gateways: Gateways, handling: Handling
    ) -> None:
        self._store = store
        self._providers = providers
        self._images = images
        self._gateways = gateways
        self._handling = handling

    @activity.defn
    async def serve_app(self, effect: Effect) -> None:
        """Have the gateway listen for what the operation says, and lead to what runs already."""
        operation = effect.operation
        provider = self._providers.get(operation.provider_id)
        gateway = self._gateways.get(operation.provider_id)
        async with heartbeating():
            await self._refuse_stale(effect)
            services = await _services(provider, effect)
            before = await self._store.traffic.services(effect.app, provider.info.id)
            await gateway.serve(effect.app, provider.info.id, services)
            await _left(provider, before, services)
            for name in operation.admits:
                if instance := await provider.inspect(name):
                    await gateway.admit(instance)

    @activity.defn
    async def deploy_instance(self, effect: Effect) -> Instance:
        """Create or adopt the instance, and wait until it is what the operation asks for."""
        spec = effect.operation.spec
        assert spec is not None, "a deploy operation carries its spec"
        provider = self._providers.get(effect.operation.provider_id)
        async with heartbeating():
            await self._store.instances.intend(spec, provider.info.id, lease=spec.name)
            faults.reached("instance.intended")
            try:
                await provider.ensure_image(spec.image, self._images)
                async with self._handling(provider.info.id, spec.name, BY_DEPLOYING):
                    instance = await provider.deploy(spec)
                    await self._store.instances.record(instance)
                faults.reached("instance.recorded")
                return await self._settled(effect, provider, spec, instance)
            except IarnetError as error:
                error.component = error.component or spec.component
                error.log = error.log or await _last_lines(provider, spec.name)
                raise

    @activity.defn
    async def await_instance(self, effect: Effect) -> Instance:
        """Wait for an instance that another operation has started."""
        spec = effect.operation.spec
        assert spec is not None, "a ready operation carries its spec"
        provider = self._providers.get(effect.operation.provider_id)
        async with heartbeating():
            try:
                return await self._settled(effect, provider, spec)
            except IarnetError as error:
                error.component = spec.component
                error.log = error.log or await _last_lines(provider, spec.name)
                raise

    @activity.defn
    async def remove_instance(self, effect: Effect) -> None:
        """Drain, stop and remove it, then forget its row and what it had reserved."""
        operation = effect.operation
        provider = self._providers.get(operation.provider_id)
        gateway = self._gateways.get(operation.provider_id)
        async with heartbeating():
            await self._refuse_stale(effect)
            found = await provider.inspect(operation.instance)
            if found and found.app != effect.app:
                # Another app's, of the same name: this one's never came to be.
                return
            patience_s = _HOLD_S if operation.hold else _DRAIN_S
            await gateway.drain(operation.instance, patience_s, hold=operation.hold)
            faults.reached("instance.drained")
            async with self._handling(provider.info.id, operation.instance, BY_REMOVING):
                await provider.remove(operation.instance, effect.epoch)
                faults.reached("container.removed")
                # Held, its room is kept for the way back, until the change has ended.
                lease = "" if operation.hold else operation.instance
                await self._store.instances.forget(operation.instance, operation.provider_id, lease=lease)

    @activity.defn
    async def release_provider(self, effect: Effect) -> None:
        """Remove what is left of the app on a provider besides instances."""
        operation = effect.operation
        provider = self._providers.get(operation.provider_id)
        async with heartbeating():
            await self._refuse_stale(effect)
            await self._gateways.get(operation.provider_id).serve(effect.app, operation.provider_id, ())
            faults.reached("services.closed")
            await provider.release(effect.app, effect.epoch, operation.volumes)

    async def _refuse_stale(self, effect: Effect) -> None:
        """A provider would, too, but its gateway does not, and comes first. Raises `StaleEpoch`."""
        app = await self._store.apps.get(effect.app)
        if app.epoch > effect.epoch:
            raise StaleEpoch(
                f"A newer change of {app.name} (epoch {app.epoch}) has taken over from epoch {effect.epoch}",
                where=effect.operation.id,
                hint="follow the newer change",
            )

    async def _settled(
        self, effect: Effect, provider: Provider, spec: InstanceSpec, recorded: Instance | None = None
    ) -> Instance:
        """Users come once it is healthy; what has only been started gets them with its `ready` operation."""
        instance = await wait_until(provider, spec, effect.operation.until, recorded)
        faults.reached("instance.ready")
        if instance != recorded:
            await self._store.instances.record(instance)
        if effect.operation.until == "healthy":
            await self._gateways.get(provider.info.id).admit(instance)
        return instance


async def _services(provider: Provider, effect: Effect) -> list[Service]:
    app, ports, room = effect.app, effect.operation.serves, effect.operation.room
    if not ports:
        return []
    slots = sorted({0, *(port.slot for port in ports)})
    networks = {slot: await provider.network(app, slot, room) for slot in slots}
    return [Service(app=app, provider_id=provider.info.id, **dict(p), **dict(networks[p.slot])) for p in ports]


async def _left(provider: Provider, before: Sequence[Service], after: Sequence[Service]) -> None:
    """Return when the host ports that are no longer served can be had by whoever is next: Envoy closes them a moment
    after it has said so. One that is not free by then is named when somebody wants it."""
    freed = {(s.host_port, s.transport) for s in before} - {(s.host_port, s.transport) for s in after}
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSED_S):
            for port, transport in freed:
                while port and not await provider.host_port_free(port, transport):  # noqa: ASYNC110 - not ours
                    await asyncio.sleep(_LOOK_S)


async def _last_lines(provider: Provider, name: str) -> tuple[str, ...]:
    """What a dead instance said last; a provider that can't tell has nothing to add to the error."""
    try:
        return tuple([line.text[:_LONGEST_LINE] async for line in provider.logs(name, LogQuery(tail=_LAST_LINES))])
    except IarnetError:
        return ()
