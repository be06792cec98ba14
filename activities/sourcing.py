"""Bringing code to the node."""

from temporalio import activity

from activities.heartbeat import heartbeating
from iarnet import faults
from iarnet.builds.base import Builder
from iarnet.models.change import ChangeRequest, ImportRequest, ImportResult
from iarnet.secrets.base import Secrets, made_for
from iarnet.sources.base import Sources
from iarnet.store.base import Clock, Store


class Sourcing:
    def __init__(self, store: Store, sources: Sources, secrets: Secrets, builder: Builder, clock: Clock) -> None:
        self._store = store
        self._sources = sources
        self._secrets = secrets
        self._builder = builder
        self._clock = clock

    @activity.defn
    async def import_source(self, request: ImportRequest) -> ImportResult:
        """Resolve the ref, fetch the commit unless it is here, record it. Creates the app when there is none."""
        async with heartbeating():
            if request.git:
                await self._store.apps.create(request.app, request.git)
            app = await self._store.apps.get(request.app)
            commit = await self._sources.resolve(app.git)
            before = await self._store.facts.source(request.app)
            source = await self._sources.fetch(request.app, app.git, commit)
            faults.reached("source.fetched")
            await self._store.facts.save_source(source.model_copy(update={"fetched_at": self._clock()}))
            changed = before is None or before.part != source.part
            return ImportResult(app=request.app, commit=commit, tree=source.tree, changed=changed)

    @activity.defn
    async def forget_source(self, request: ChangeRequest) -> None:
        """Remove the code, the images and, unless data is kept that needs them, the secrets made for an app."""
        async with heartbeating():
            await self._sources.forget(request.app)
            faults.reached("sources.forgotten")
            await self._builder.forget(request.app)
            faults.reached("images.forgotten")
            if not request.keep_data:
                await self._secrets.delete(made_for(request.app))
