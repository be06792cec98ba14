"""Everything on an engine that carries an owner's mark, found by labels; and taking one of these away."""

import asyncio
import re
from collections.abc import Collection, Mapping
from typing import Any

from iarnet.errors import Conflict, ProviderError, SpecMismatch
from iarnet.models.reconciliation import Belonging
from iarnet.providers.docker.companion import MADE_OF
from iarnet.providers.docker.engine import Engine, or_none
from iarnet.providers.docker.names import Names
from iarnet.providers.docker.spec import APP, COMPONENT, EPOCH, NAME, OWNER, REPLICA, REVISION, SPEC, gone, state_of

_INSTANCE = {NAME, APP, COMPONENT, REVISION, REPLICA, EPOCH, SPEC}
"""What makes a container an instance that can be judged. With less, or with nonsense, it is left alone."""


class Owned:
    """Three requests, however much there is."""

    def __init__(self, engine: Engine, provider_id: str) -> None:
        self._engine = engine
        self._provider_id = provider_id

    async def of(self, owner: str) -> list[Belonging]:
        mine = {"label": f"{OWNER}={owner}"}
        names = Names(owner)
        containers, networks, volumes = await asyncio.gather(
            self._engine.ask(lambda c: c.containers(all=True, filters=mine)),
            self._engine.ask(lambda c: c.networks(filters=mine)),
            self._engine.ask(lambda c: c.volumes(filters=mine)),
        )
        found = [
            *(self._container(each, names) for each in containers),
            *(_network(each, names) for each in networks),
            *(_volume(each, names) for each in volumes["Volumes"] or ()),
        ]
        return [belonging for belonging in found if belonging is not None]

    async def container(self, id: str, owner: str) -> dict[str, Any] | None:
        """Raises `SpecMismatch` when it isn't the owner's."""
        found = await self._engine.container(id)
        if found is not None:
            _require_mark(found["Config"]["Labels"], owner, found["Name"].lstrip("/"))
        return found

    async def remove_network(self, id: str, owner: str) -> None:
        """Nothing there is fine. Raises `SpecMismatch`, and `Conflict` while something is on it."""
        found = await or_none(self._engine.ask(lambda c: c.inspect_network(id)))
        if found is None:
            return
        _require_mark(found["Labels"], owner, found["Name"])
        try:
            await or_none(self._engine.call(lambda c: c.remove_network(id)))
        except ProviderError as e:
            if "active endpoints" not in e.message:
                raise
            users = ", ".join(sorted(each["Name"] for each in found["Containers"].values()))
            hint = f"`docker network disconnect {found['Name']} CONTAINER`, or restart the engine if nothing is on it"
            raise Conflict(f"The network {found['Name']} is in use by {users or 'nobody'}", hint=hint) from e

    async def remove_volume(self, id: str, owner: str) -> None:
        """As `remove_network`."""
        found = await or_none(self._engine.ask(lambda c: c.inspect_volume(id)))
        if found is None:
            return
        _require_mark(found["Labels"], owner, id)
        try:
            await or_none(self._engine.call(lambda c: c.remove_volume(id)))
        except Conflict as e:
            raise Conflict(
                f"The volume {id} is in use", hint=f"`docker ps -a --filter volume={id}` says by what"
            ) from e

    def _container(self, listed: dict[str, Any], names: Names) -> Belonging | None:
        labels = listed["Labels"]
        if MADE_OF in labels:
            beside = next(iter(called(listed)), "").removeprefix(names.companion(""))
            return Belonging(kind="gateway", id=listed["Id"], name=beside)
        if not _tells_enough(labels):
            return None
        try:
            instance = gone(labels, self._provider_id, id=listed["Id"], state=state_of(listed["State"]))
        except ValueError:  # names that no application and no component can have
            return None
        return Belonging(
            kind="instance",
            id=listed["Id"],
            name=labels[NAME],
            app=labels[APP],
            component=labels[COMPONENT],
            astray=not is_instance(labels, called(listed), names),
            instance=instance,
        )


def is_instance(labels: Mapping[str, str], called: Collection[str], names: Names) -> bool:
    """Whether it is where a deployment looks for what has its name. Another one with its labels is astray."""
    return _tells_enough(labels) and names.container(labels[NAME]) in called


def called(listed: dict[str, Any]) -> list[str]:
    return [name.lstrip("/") for name in listed["Names"] or ()]


def _tells_enough(labels: Mapping[str, str]) -> bool:
    return labels.keys() >= _INSTANCE and all(labels[key].isdecimal() for key in (REVISION, REPLICA, EPOCH))


def _network(listed: dict[str, Any], names: Names) -> Belonging | None:
    labels = listed["Labels"] or {}
    if APP not in labels:
        return None
    home = names.network(labels[APP])
    astray = not re.fullmatch(rf"{re.escape(home)}(\.[1-9]\d*)?", listed["Name"])
    return Belonging(kind="network", id=listed["Id"], name=listed["Name"], app=labels[APP], astray=astray)


def _volume(listed: dict[str, Any], names: Names) -> Belonging | None:
    labels = listed["Labels"] or {}
    if not {APP, COMPONENT} <= labels.keys():
        return None
    app, component, full = labels[APP], labels[COMPONENT], listed["Name"]
    before, _, after = names.volume(app, component, "\n").partition("\n")
    short = full.removeprefix(before).removesuffix(after)
    return Belonging(
        kind="volume",
        id=full,
        name=f"{component}/{short}",
        app=app,
        component=component,
        astray=names.volume(app, component, short) != full,
    )


def _require_mark(labels: dict[str, str] | None, owner: str, name: str) -> None:
    if (labels or {}).get(OWNER) != owner:
        raise SpecMismatch(f"{name} is not ours any more", hint="look at who made it; it is left as it is")
