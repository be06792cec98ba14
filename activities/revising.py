"""Which state is asked for: an old revision again, or a new one from the newest code, analysis and settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from iarnet import faults
from iarnet.errors import NotFound, NothingToRun, WrongPort
from iarnet.models.analysis import Analysis
from iarnet.models.app import App, Revision, Settings
from iarnet.models.change import ChangeRequest
from iarnet.models.component import Build, Component
from iarnet.models.image import BuildRequest
from iarnet.models.source import Source
from iarnet.models.work import Prepare
from iarnet.planning.desired import check, qualify
from iarnet.planning.graph import order
from iarnet.planning.volumes import with_data_kept
from iarnet.secrets.base import Secrets
from iarnet.sources.base import Sources, Tree
from iarnet.store.base import Clock, Store

ImageNamer = Callable[[str, Tree, Build], str]
"""(app, its tree, build) -> a name that changes when what is built does."""

Correct = Callable[[Analysis, Settings], Analysis]
"""The user's settings over what analysis says."""


@dataclass(frozen=True)
class Target:
    revision: Revision
    builds: dict[str, BuildRequest]


class Revising:
    def __init__(
        self, store: Store, sources: Sources, secrets: Secrets, name_image: ImageNamer, correct: Correct, clock: Clock
    ) -> None:
        self._store = store
        self._sources = sources
        self._secrets = secrets
        self._name_image = name_image
        self._correct = correct
        self._clock = clock

    async def target(self, prepare: Prepare) -> Target:
        """The revision to reach, stored unless this is a dry run, with the generated secrets that it names."""
        app = await self._store.apps.get(prepare.request.app)
        if prepare.request.revision is not None:
            revision = await self._old(app, prepare.request.revision)
            if await self._is_away(revision):
                revision = await self._renumbered(revision, prepare.dry_run)
            if not prepare.dry_run and not prepare.compensation:
                await self._store.apps.set_settings(app.name, revision.settings)
            return Target(revision, await self._builds(app, revision))
        if prepare.request.cause == "migrate" and app.revision:
            return await self._moved(app, prepare.dry_run)
        settings = _merged(app.settings, prepare.request)
        _refuse_set(settings, prepare.request.observed)
        revision, is_new = await self._next(app, prepare.commit, settings, fresh=prepare.request.cause == "migrate")
        if not prepare.dry_run:
            if settings != app.settings:
                await self._store.apps.set_settings(app.name, settings)
            if is_new:
                await self._store.facts.save_revision(revision)
            faults.reached("revision.saved")
            await self._ensure_secrets(revision)
        return Target(revision, await self._builds(app, revision))

    async def _moved(self, app: App, dry_run: bool) -> Target:
        """What runs, and nothing newer."""
        revision = await self._renumbered(await self._old(app, app.revision), dry_run)
        return Target(revision, await self._builds(app, revision))

    async def _renumbered(self, revision: Revision, dry_run: bool) -> Revision:
        """The same under a new number: what is lost keeps its name until it comes back."""
        latest = next(iter(await self._store.facts.revisions(revision.app, limit=1)), revision)
        again = revision.model_copy(update={"number": latest.number + 1, "created_at": self._clock()})
        if not dry_run:
            await self._store.facts.save_revision(again)
        return again

    async def _is_away(self, revision: Revision) -> bool:
        """Instances of it may still run where nobody can be asked now."""
        rows = [row for row in await self._store.instances.list(app=revision.app) if row.revision == revision.number]
        if not rows:
            return False
        reached = {s.info.id for s in await self._store.providers.states() if s.status == "active"}
        return any(row.provider_id not in reached for row in rows)

    async def _old(self, app: App, number: int) -> Revision:
        revision = await self._store.facts.revision(app.name, number)
        if revision is None:
            known = ", ".join(str(r.number) for r in await self._store.facts.revisions(app.name)) or "none"
            raise NotFound(f"{app.name} has no revision {number}.", where=app.name, hint=f"There are: {known}.")
        return revision

    async def _next(self, app: App, commit: str, settings: Settings, *, fresh: bool) -> tuple[Revision, bool]:
        """The latest revision again when nothing has changed, else a new one with the next number. `fresh` forces a
        new number."""
        source, analysis = await self._analysed(app, commit)
        components = tuple(qualify(app.name, c, analysis.edges) for c in analysis.components)
        qualified = analysis.model_copy(update={"components": components})
        corrected = self._correct(qualified, settings)
        for component in corrected.components:
            check(component)
        order((c.name for c in corrected.components), corrected.edges)
        latest = next(iter(await self._store.facts.revisions(app.name, limit=1)), None)
        tree = await self._tree(app, source)
        revision = Revision(
            app=app.name,
            number=latest.number + 1 if latest else 1,
            commit=source.commit,
            tree=source.tree,
            subdir=source.git.subdir,
            components=with_data_kept(corrected.components, latest.components if latest else ()),
            edges=corrected.edges,
            images={c.name: self._image(app, tree, c) for c in corrected.components},
            settings=settings,
            created_at=self._clock(),
        )
        if latest and not fresh and _same(latest, revision):
            return latest, False
        return revision, True

    async def _analysed(self, app: App, commit: str) -> tuple[Source, Analysis]:
        source = await self._store.facts.source(app.name, commit)
        analysis = await self._store.facts.analysis(app.name, source.part) if source else None
        if source is None or analysis is None:
            raise NotFound(f"{app.name} is not analysed yet.", where=app.name, hint=f"iarnet deploy {app.name}")
        if not analysis.components:
            raise NothingToRun(
                f"{app.name} has nothing to run.", where=app.git.url, hint="Describe it in an iarnet.yaml."
            )
        return source, analysis

    async def _tree(self, app: App, source: Source) -> Tree:
        tree = await self._sources.tree(app.name, source.tree)
        return tree.subtree(source.git.subdir) if source.git.subdir else tree

    def _image(self, app: App, tree: Tree, component: Component) -> str:
        if component.build is None:
            return component.image or ""
        return self._name_image(app.name, tree, component.build)

    async def _builds(self, app: App, revision: Revision) -> dict[str, BuildRequest]:
        return {
            c.name: BuildRequest(
                app=app.name,
                component=c.name,
                tree=revision.tree,
                subdir=revision.subdir,
                build=c.build,
                image=revision.images[c.name],
            )
            for c in revision.components
            if c.build
        }

    async def _ensure_secrets(self, revision: Revision) -> None:
        """Make what analysis names, check what the user names: only the former may be made up."""
        given = set(revision.settings.secrets.values())
        named = {env.secret for c in revision.components for env in c.env if env.secret}
        for name in sorted(named & given):
            await self._secrets.get(name)
        for name in sorted(named - given):
            await self._secrets.ensure(name)
            faults.reached("secret.made")


def _merged(settings: Settings, request: ChangeRequest) -> Settings:
    """An empty value takes a setting back. What a user says of what was observed is all that counts from then on."""
    values = {k: v for k, v in {**settings.values, **request.settings}.items() if v != ""}
    secrets = {k: v for k, v in {**settings.secrets, **request.secrets}.items() if v != ""}
    observed = {k: v for k, v in settings.observed.items() if k not in request.settings} | request.observed
    return Settings(values=values, secrets=secrets, observed=observed)


def _refuse_set(settings: Settings, observed: Mapping[str, str]) -> None:
    for key in sorted(settings.values.keys() & observed.keys()):
        raise WrongPort(
            f"{key} is set to {settings.values[key]}, and what has started listens on {observed[key]}.",
            component=key.partition(".")[0],
            where=key,
            hint=f"iarnet deploy --set {key}={observed[key]}; without a value, the setting is taken back.",
        )


def _same(a: Revision, b: Revision) -> bool:
    ignored = {"number", "created_at", "commit", "tree"}
    return a.tree == b.tree and a.model_dump(exclude=ignored) == b.model_dump(exclude=ignored)
