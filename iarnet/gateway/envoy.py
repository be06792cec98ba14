"""The gateway that is Envoy: each change is written to the store, made a configuration, and taken over by Envoy."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import structlog

from iarnet.errors import GatewayRefused, GatewayUnavailable
from iarnet.gateway.admin import Admin, Checked
from iarnet.gateway.breakers import breakers, pattern
from iarnet.gateway.meter import Meter
from iarnet.gateway.named import Led
from iarnet.gateway.names import Names
from iarnet.gateway.records import NOTHING, Record, Records
from iarnet.gateway.resources import Resources, resources
from iarnet.gateway.transitions import Transitions
from iarnet.gateway.waits import Waits
from iarnet.gateway.xds import AdsServer
from iarnet.models.instance import Instance
from iarnet.models.traffic import Breaker, Endpoint, EndpointLoad, Service, ServiceTraffic
from iarnet.store.base import Traffic

_SETTLE_S = 10.0

log = structlog.get_logger()


class EnvoyGateway:
    """Of one provider. `publish_address` is where host ports are opened, `journal` where Envoy writes what its checks
    find, `access_log` where it writes requests."""

    def __init__(
        self,
        store: Traffic,
        provider_id: str,
        ads: AdsServer,
        admin: Admin,
        names: Names,
        *,
        journal: Path | None,
        access_log: Path | None = None,
        publish_address: str = "0.0.0.0",
    ) -> None:
        self._store = store
        self._provider_id = provider_id
        self._ads = ads
        self._admin = admin
        self._names = names
        self._journal = journal
        self._transitions = Transitions(journal, admin)
        self._waits = Waits(admin)
        self._access_log = access_log
        self._meter = Meter(admin, partial(store.services, provider_id=provider_id))
        self._publish_address = publish_address
        self._records = Records(store, provider_id, names)
        self._locks: dict[str, asyncio.Lock] = {}
        self._version = 0

    async def start(self, socket: Path) -> None:
        """Take over all that is recorded, and only then listen for Envoy: it would drop what it isn't told."""
        self._version = await self._store.version()
        for app, record in (await self._records.read_all()).items():
            self._records.remember(app, record)
            self._names.begin(app, self._led(record), named=record.named)
            await asyncio.sleep(0)  # a thousand apps take half a second, and others have work, too
        await self._names.start()
        await self._ads.start(socket)

    async def aclose(self) -> None:
        """Traffic goes on."""
        await self._ads.stop()
        await self._admin.aclose()

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        if provider_id != self._provider_id:
            return
        async with self._lock(app):
            before = await self._records.read(app)
            self._resources(before._replace(services=tuple(services)))
            await self._store.serve(app, provider_id, services)
            try:
                await self._apply(app)
            except GatewayRefused:
                await self._restore(app, before)
                raise

    async def admit(self, instance: Instance) -> None:
        if instance.provider_id != self._provider_id or not instance.address:
            return
        async with self._lock(instance.app):
            record = await self._records.read(instance.app)
            services = [service for service in record.services if service.component == instance.component]
            if not services:
                return
            before = {e.instance: e for e in record.endpoints if e.component == instance.component}
            endpoint = _endpoint(instance, before.pop(instance.name, None))
            await self._store.put_endpoint(endpoint)
            # Not read again: with many components that is most of what it costs.
            await self._apply(instance.app, record.having(endpoint))
        if all([await self._passes(endpoint, service) for service in services if service.health]):
            await self._replaced([e for e in before.values() if e.state == "held"])

    async def suspend(self, instance: str) -> None:
        """What drains or is held gets nothing new already."""
        if (app := await self._app_of(instance)) is None:
            return
        async with self._lock(app):
            endpoint = await self._records.endpoint(app, instance)
            if endpoint and endpoint.state == "active":
                await self._store.set_endpoint_state(instance, "suspended")
                await self._apply(app)

    async def drain(self, instance: str, within_s: float, *, hold: bool = False) -> None:
        if (app := await self._app_of(instance)) is None:
            return
        async with self._lock(app):
            endpoint = await self._records.endpoint(app, instance)
            if endpoint is None:
                return
            await self._waits.stands_in(endpoint, await self._beside(endpoint))
            await self._store.set_endpoint_state(instance, "held" if hold else "draining")
            await self._lead_away(endpoint)
            await self._apply(app)
        await self._waits.idle(endpoint, within_s)
        if hold:
            return
        async with self._lock(app):
            endpoint = await self._records.endpoint(app, instance)
            if endpoint is None or endpoint.state != "draining":
                return  # admitted again, or drained by another call
            await self._store.forget_endpoint(instance)
            await self._apply(app)

    async def loads(self) -> list[EndpointLoad]:
        return [load for _, load in sorted((await self._admin.loads()).items())]

    async def breakers(self, app: str = "") -> list[Breaker]:
        records = [self._records.of(app)] if app else self._records.known.values()
        bounded = [service for record in records for service in record.services if service.limits]
        return breakers(await self._admin.stats(pattern(app)), bounded) if bounded else []

    async def traffic(self, app: str = "") -> list[ServiceTraffic]:
        return await self._meter.traffic(app)

    async def measure(self) -> None:
        """Keep count, so that there is something to compare with; until cancelled."""
        await self._meter.run()

    async def checks(self) -> dict[str, bool]:
        silent = await self._transitions.silent()
        return {
            endpoint.instance: Checked(service.name, endpoint.address) not in silent
            for services, endpoints, *_ in self._records.known.values()
            for service in services
            # Envoy takes a gRPC server at its first word: that ends its traffic, and is no reason to mend it yet.
            if service.health and service.health.type != "grpc"
            for endpoint in endpoints
            if endpoint.component == service.component and endpoint.state == "active"
        }

    async def refresh(self, app: str = "", within_s: float = 10.0) -> None:
        if not app:
            await self._catch_up()
            return
        refused = None
        async with self._lock(app):
            if await self._records.read(app) != self._records.of(app):
                refused = await self._apply(app, within_s=within_s)
        refused = await self._names.refresh(within_s) or refused
        if refused:
            raise refused

    async def unopened(self) -> dict[int, str]:
        return self._names.unopened()

    async def uncertified(self) -> dict[str, str]:
        return self._names.uncertified()

    def _lock(self, app: str) -> asyncio.Lock:
        return self._locks.setdefault(app, asyncio.Lock())

    async def _catch_up(self) -> None:
        """With what others have written. What is refused for one app keeps nothing from the rest."""
        version = await self._store.version()
        if version == self._version:
            return
        stored = await self._records.read_all()
        for app in sorted(stored.keys() | self._records.known.keys()):
            if stored.get(app, NOTHING) != self._records.of(app):
                try:
                    await self.refresh(app)
                except GatewayRefused as error:
                    log.warning("what is recorded is refused", app=app, problem=error.message, where=error.where)
        await self._names.refresh(_SETTLE_S)
        self._version = version

    async def _lead_away(self, endpoint: Endpoint) -> None:
        """Routes that lead to nobody else go first: who still comes by them must not be turned away."""
        record = await self._records.read(endpoint.app)
        before = tuple(endpoint if e.instance == endpoint.instance else e for e in record.endpoints)
        if record.ways() != record._replace(endpoints=before).ways():
            led = self._led(record._replace(endpoints=before), led_by=record.endpoints)
            await self._names.lead(endpoint.app, led, named=record.named, within_s=_SETTLE_S)

    async def _apply(
        self, app: str, record: Record | None = None, within_s: float | None = None
    ) -> GatewayRefused | None:
        """Make Envoy do what is recorded of the app. Its lock is held. Gives what is refused of names alone."""
        record = record or await self._records.read(app)
        before = self._records.forget(app)
        within_s = _SETTLE_S if within_s is None else within_s
        try:
            of_names = await self._names.lead(app, self._led(record), named=record.named, within_s=within_s)
        except GatewayRefused:
            self._records.remember(app, record, before)  # it would be refused again
            raise
        self._records.remember(app, record, before)
        return of_names

    async def _restore(self, app: str, before: Record) -> None:
        """What is recorded would be refused again with each later change of the app."""
        await self._store.serve(app, self._provider_id, before.services)
        for endpoint in before.endpoints:
            await self._store.put_endpoint(endpoint)

    async def _passes(self, endpoint: Endpoint, service: Service) -> bool:
        """Wait until Envoy sends it requests; False when it has been suspended or drained instead."""
        assert service.health
        within_s = _SETTLE_S + service.health.timeout_s
        try:
            passes = await self._waits.well(endpoint, lambda: self._is_active(endpoint), within_s)
        except TimeoutError:
            raise GatewayUnavailable(
                f"{endpoint.instance} does not pass the gateway's check of {service.name} within {within_s:g} s.",
                where=endpoint.instance,
                hint="A check must come to an end: give it a path whose answer does, or `type: tcp`.",
            ) from None
        self._transitions.answers(Checked(service.name, endpoint.address))
        return passes

    async def _replaced(self, held: Sequence[Endpoint]) -> None:
        """Nobody waits for their successor any more."""
        if not held:
            return
        async with self._lock(held[0].app):
            for endpoint in await self._records.endpoints(held[0].app):
                if endpoint in held:
                    await self._store.forget_endpoint(endpoint.instance)
            await self._apply(held[0].app)

    def _is_active(self, endpoint: Endpoint) -> bool:
        """Unless it is known by now that it is not."""
        known = self._records.of(endpoint.app).endpoints
        return all(e.state == "active" for e in known if e.instance == endpoint.instance)

    def _led(self, record: Record, led_by: Sequence[Endpoint] | None = None) -> Led:
        return Led(record.services, self._resources(record, led_by))

    def _resources(self, record: Record, led_by: Sequence[Endpoint] | None = None) -> Resources:
        return resources(
            record.services,
            record.endpoints,
            record.routes,
            publish_address=self._publish_address,
            led_by=led_by,
            named=record.named,
            journal=self._journal,
            access_log=self._access_log,
        )

    async def _app_of(self, instance: str) -> str | None:
        if self._records.app_of(instance) is None:
            await self._catch_up()
        return self._records.app_of(instance)

    async def _beside(self, endpoint: Endpoint) -> list[str]:
        """The other active instances of its component."""
        beside = await self._records.endpoints(endpoint.app, endpoint.component)
        active = (e.instance for e in beside if e.state == "active")
        return [instance for instance in active if instance != endpoint.instance]


def _endpoint(instance: Instance, known: Endpoint | None) -> Endpoint:
    """With the weight that somebody has given it."""
    assert instance.address
    return Endpoint(
        app=instance.app,
        component=instance.component,
        instance=instance.name,
        provider_id=instance.provider_id,
        revision=instance.revision,
        address=instance.address,
        weight=known.weight if known else Endpoint.model_fields["weight"].default,
    )
