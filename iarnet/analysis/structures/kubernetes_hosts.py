"""How workloads find each other: by the names and ports of services, which a component here does not have."""

import re
from dataclasses import dataclass

from iarnet.analysis.base import Declared
from iarnet.analysis.structures.manifests import Manifest, Manifests, at, each, text_of
from iarnet.models.component import EnvVar

_OUTSIDE = ("LoadBalancer", "NodePort")


@dataclass(frozen=True)
class Host:
    """`ports`: what a service listens on, and what its pods do instead."""

    name: str
    component: str
    ports: dict[str, str]


def hosts(all_of: Manifests, workloads: dict[str, Manifest]) -> list[Host]:
    """`workloads` by the names of their components. A service leads to the first that has all of its labels."""
    found = []
    for service in all_of.of("Service"):
        wanted = service.labels().items()
        target = next((name for name, one in workloads.items() if wanted and wanted <= one.labels().items()), None)
        if target:
            found.append(Host(service.name, target, _ports(service, workloads[target])))
    return found


def published(all_of: Manifests, known: list[Host]) -> set[str]:
    """Components that are reached from outside of the cluster."""
    led = {backend for ingress in all_of.of("Ingress") for backend in _backends(ingress)}
    led |= {s.name for s in all_of.of("Service") if text_of(s.at("spec", "type")) in _OUTSIDE}
    return {host.component for host in known if host.name in led}


def readdress(declared: Declared, known: list[Host]) -> None:
    """In its settings, the component and its own port for a service and the service's."""
    variables: tuple[EnvVar, ...] = declared.facts.get("env", ())
    if variables:
        declared.facts["env"] = tuple(v.model_copy(update={"value": _told(v.value, known)}) for v in variables)


def _told(value: str | None, known: list[Host]) -> str | None:
    for host in known:
        if value and host.name in value:
            expression = _ADDRESS.format(re.escape(host.name))
            value = re.sub(expression, lambda found, host=host: _address(found, host), value)  # type: ignore[misc]
    return value


_ADDRESS = (
    r"(?P<scheme>\w{{1,20}}://(?:[^\s/@]{{1,200}}@)?|^|[,@(])"
    r"(?:{0})(?:\.[a-z0-9-]{{1,63}}(?:\.svc(?:\.cluster\.local)?)?)?"
    r"(?::(?P<port>\d{{1,5}})|(?=$|[/,)]))"
)
"""A host where one may stand: as all of a value, in a URL, in a list; with or without its namespace."""


def _address(found: re.Match[str], host: Host) -> str:
    """A URL without a port means the one of its scheme."""
    usual = {"http://": "80", "https://": "443"}.get(found["scheme"], "")
    own = host.ports.get(found["port"] or usual, found["port"] or "")
    shown = "" if own == usual else own
    return f"{found['scheme']}{host.component}{':' + shown if shown else ''}"


def _ports(service: Manifest, workload: Manifest) -> dict[str, str]:
    containers = each(at(workload.pod(), "containers"))
    named = {
        text_of(at(port, "name")): text_of(at(port, "containerPort"))
        for container in containers
        for port in each(at(container, "ports"))
    }
    found = {}
    for port in each(service.at("spec", "ports")):
        number, target = text_of(at(port, "port")), text_of(at(port, "targetPort"))
        found[number] = named.get(target, target) or number
    return found


def _backends(ingress: Manifest) -> list[str]:
    paths = [path for rule in each(ingress.at("spec", "rules")) for path in each(at(rule, "http", "paths"))]
    backends = [ingress.at("spec", "defaultBackend"), *(at(path, "backend") for path in paths)]
    return [text_of(at(one, "service", "name")) or text_of(at(one, "serviceName")) for one in backends]
