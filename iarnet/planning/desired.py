"""From what analysis and the user say to the instances that should run."""

from collections.abc import Iterable, Mapping, Sequence

from iarnet.errors import InvalidComponent, MissingSetting
from iarnet.models.app import Revision
from iarnet.models.component import HARMLESS_CAPABILITIES, Component, EnvVar
from iarnet.models.container import is_address
from iarnet.models.edge import Edge
from iarnet.models.image import made_here
from iarnet.models.instance import InstanceSpec, PortBinding
from iarnet.secrets.base import made_for


def qualify(app: str, component: Component, edges: Sequence[Edge]) -> Component:
    """Secret names of an analysis are relative to the app (`db/password`); in a revision they are full. What others
    wait for to be completed is a job, whatever it looks like."""
    awaited = any(edge.to == component.name and edge.condition == "completed" for edge in edges)
    env = tuple(_qualified(app, env) for env in component.env)
    return component.model_copy(update={"env": env, "kind": "job" if awaited else component.kind})


def check(component: Component) -> None:
    """Refuse what could never run, or must not. Raises `MissingSetting`, `InvalidComponent`."""
    missing = [env.name for env in component.env if env.required and env.value is None and env.secret is None]
    if missing:
        raise MissingSetting(
            f"{component.name} needs {', '.join(missing)}, and nobody has set it.",
            component=component.name,
            where=f"{component.name}.env.{missing[0]}",
            hint=f"iarnet deploy --set {component.name}.env.{missing[0]}=VALUE, or --secret with a stored secret.",
        )
    unknown = next((file for file in component.files if file.value is None and file.secret is None), None)
    if unknown:
        raise MissingSetting(
            f"{component.name} needs the file {unknown.path}, and nobody has said what is in it.",
            component=component.name,
            where=f"{component.name}.file.{unknown.name}",
            hint=f"iarnet deploy --secret {component.name}.file.{unknown.name}=NAME, the name of a stored secret.",
        )
    if component.image and made_here(component.image):
        raise InvalidComponent(
            f"{component.name} wants {component.image}, which was built here for an application and belongs to it.",
            component=component.name,
            where=f"{component.name}.image",
            hint="Name an image of a registry, or build it from this repository.",
        )
    if component.replicas > 1 and any(not volume.read_only for volume in component.volumes):
        raise InvalidComponent(
            f"{component.name} keeps data in a volume that one instance writes, so it can't have"
            f" {component.replicas} replicas.",
            component=component.name,
            where=f"{component.name}.replicas",
            hint=f"Keep one: `iarnet scale` it with {component.name}=1.",
        )


def port_key(component: str, port: int, transport: str) -> str:
    """The name under which the ledger knows a published port."""
    return f"{component}/{port}/{transport}"


def published(component: Component) -> Iterable[tuple[str, str, str, int | None]]:
    """The ports to publish: ledger key, transport, `no`/`auto`/`prefer`/`exact`, wanted host port."""
    for port in component.ports:
        if port.publish != "no":
            yield port_key(component.name, port.port, port.transport), port.transport, port.publish, port.host_port


def instance_specs(
    revision: Revision,
    component: Component,
    host_ports: Mapping[str, int],
    owner: str,
    epoch: int,
    served: Mapping[str, int] | None = None,
) -> list[InstanceSpec]:
    """One spec per replica. `served`: the components that are reached through the gateway, with the slots of their
    addresses. It then holds their published ports; without it the first replica does: a host port has one holder."""
    served = served or {}
    aliases = {a: served[c.name] for c in revision.components if c.name in served for a in c.aliases}
    own_ports = {} if component.name in served else host_ports
    return [
        InstanceSpec(
            name=f"iarnet-{revision.app}-{component.name}-r{revision.number}-{replica}",
            app=revision.app,
            component=component.name,
            kind=component.kind,
            owner=owner,
            revision=revision.number,
            replica=replica,
            epoch=epoch,
            image=revision.images[component.name],
            entrypoint=component.entrypoint,
            command=component.command,
            env=tuple(env for env in component.env if env.value is not None),
            ports=_bindings(component, own_ports if replica == 0 else {}),
            volumes=component.volumes,
            resources=component.resources,
            health=component.health,
            user=component.user,
            capabilities=_capabilities(component),
            working_dir=component.working_dir,
            aliases=(component.name, *(alias for alias in component.aliases if not is_address(alias))),
            hosts=dict(sorted((aliases | dict(served)).items())),
            files=component.files,
            container=component.container,
        )
        for replica in range(component.replicas)
    ]


def _capabilities(component: Component) -> tuple[str, ...]:
    dropped = component.container.dropped
    if component.capabilities:
        return tuple(name for name in component.capabilities if name not in dropped)
    return () if "ALL" in dropped else tuple(name for name in _usual(component) if name not in dropped)


def _usual(component: Component) -> tuple[str, ...]:
    """What images expect that start as root to become somebody else (nginx dies without); what names its user, as
    everything does that we write the recipe of, needs none."""
    recipe = component.build.recipe if component.build else None
    if component.user or (recipe and "\nUSER " in recipe):
        return ()
    return tuple(sorted(HARMLESS_CAPABILITIES))


def _bindings(component: Component, host_ports: Mapping[str, int]) -> tuple[PortBinding, ...]:
    bindings = []
    for port in component.ports:
        host_port = host_ports.get(port_key(component.name, port.port, port.transport))
        bindings.append(PortBinding(port=port.port, protocol=port.transport, host_port=host_port))
    return tuple(bindings)


def _qualified(app: str, env: EnvVar) -> EnvVar:
    return env.model_copy(update={"secret": f"{made_for(app)}/{env.secret}"}) if env.secret else env
