"""Named volumes, which outlive the instances that use them."""

from functools import partial
from typing import Any

import docker

from iarnet.errors import Conflict, SpecMismatch
from iarnet.models.instance import InstanceSpec
from iarnet.providers.docker.engine import Engine, or_none
from iarnet.providers.docker.names import Names
from iarnet.providers.docker.spec import volume_labels


class Volumes:
    def __init__(self, engine: Engine, names: Names) -> None:
        self._engine = engine
        self._names = names

    async def ensure(self, spec: InstanceSpec) -> None:
        """Raises `SpecMismatch` when a volume of this name is not ours."""
        for volume in spec.volumes:
            component = volume.of or spec.component
            name = self._names.volume(spec.app, component, volume.name)
            labels = volume_labels(self._names.owner, spec.app, component)
            # Returns the one that is there, with its own labels, when there is one.
            made = await self._engine.call(partial(_create, name=name, labels=labels))
            _refuse_foreign(name, made["Labels"], labels)

    async def remove(self, app: str, volume: str) -> None:
        """`volume` is `{component}/{volume}`. Nothing there is fine."""
        component, _, short = volume.partition("/")
        name = self._names.volume(app, component, short)
        found = await or_none(self._engine.ask(lambda c: c.inspect_volume(name)))
        if found is None:
            return
        _refuse_foreign(name, found["Labels"], volume_labels(self._names.owner, app, component))
        try:
            await or_none(self._engine.call(lambda c: c.remove_volume(name)))
        except Conflict as e:
            raise Conflict(f"The volume {name} is in use", hint="remove the instances that use it first") from e


def _create(client: docker.APIClient, name: str, labels: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = client.create_volume(name, labels=labels)
    return made


def _refuse_foreign(name: str, given: dict[str, str] | None, wanted: dict[str, str]) -> None:
    if any((given or {}).get(key) != value for key, value in wanted.items()):
        raise SpecMismatch(
            f"A volume {name} exists that was not made for this component",
            hint=f"look at what is in it; `docker volume rm {name}` removes it with its data",
        )
