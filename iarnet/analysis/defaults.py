"""What holds when neither a file nor the code says anything: ports, health, room and the way in."""

import re

from iarnet.analysis.draft import Draft, Findings
from iarnet.models.component import HealthCheck, Port
from iarnet.models.resources import MIB, Resources

ASSUMED_PORT = 8080
SERVING = ("web", "api", "static")
_MEMORY_MIB = {"java": 512, "kotlin": 512, "scala": 512, "csharp": 512}


def apply_defaults(findings: Findings) -> None:
    for draft in findings.drafts:
        _port(draft)
        _health(draft)
        _resources(draft)
    _publish(findings)


def assume_ports(findings: Findings) -> None:
    """Before edges are looked for: an edge to a component needs its port."""
    for draft in findings.drafts:
        if draft.kind not in SERVING or draft.facts.get("ports"):
            continue
        declared = draft.value("PORT") or ""
        known = int(declared) if re.fullmatch(r"[1-9]\d{0,4}", declared) and int(declared) < 65536 else None
        draft.facts["ports"] = (Port(port=known or ASSUMED_PORT),)
        if not known and not _reads_port(draft):
            draft.warn("port-assumed", f"{draft.name}: no port is to be seen; {ASSUMED_PORT} is assumed")


def _port(draft: Draft) -> None:
    """Code that reads PORT is told the port that we expect."""
    if draft.port is not None and draft.kind in SERVING and _reads_port(draft):
        draft.set("PORT", str(draft.port))


def _reads_port(draft: Draft) -> bool:
    start = str(draft.facts.get("start_command") or "")
    return "PORT" in draft.reads or re.search(r"\$\{?PORT\b", start) is not None


def _health(draft: Draft) -> None:
    health: HealthCheck | None = draft.facts.get("health")
    ports: tuple[Port, ...] = tuple(p for p in draft.facts.get("ports", ()) if p.protocol != "udp")
    if health is None:
        health = _usual(draft, ports)
    if health.type in ("http", "grpc", "tcp") and health.port is None and ports:
        health = health.model_copy(update={"port": ports[0].port})
    draft.facts["health"] = health


def _usual(draft: Draft, ports: tuple[Port, ...]) -> HealthCheck:
    if not ports or draft.kind == "job":
        return HealthCheck(type="none")
    if draft.kind in ("web", "static") and ports[0].protocol == "http":
        return HealthCheck(type="http", path="/")
    return HealthCheck(type="tcp")


def _resources(draft: Draft) -> None:
    memory = 64 if draft.kind == "static" else _MEMORY_MIB.get(str(draft.facts.get("language")), 256)
    draft.offer("resources", Resources())
    known: Resources = draft.facts["resources"]
    draft.facts["resources"] = known.model_copy(
        update={
            "cpu_millis": known.cpu_millis or (100 if draft.kind == "static" else 250),
            "memory_bytes": known.memory_bytes or memory * MIB,
        }
    )


def _publish(findings: Findings) -> None:
    """Declared ways in, else the web components that nobody else needs, else such APIs; and what browsers call."""
    for draft in findings.drafts:
        _declared(draft)
    programs = [d for d in findings.drafts if not d.service and d.facts.get("ports")]
    if not any(port.publish != "no" for d in programs for port in d.facts["ports"]):
        for draft in _entry(findings, [d for d in programs if d.facts.get("publish") != "no"]):
            _set_publish(draft, "auto", None)
    for draft in programs:
        if draft.facts.get("browsed") and draft.facts["ports"][0].publish == "no":
            _set_publish(draft, "auto", None)


def _entry(findings: Findings, programs: list[Draft]) -> list[Draft]:
    needed = {edge.to for edge in findings.edges}
    for kinds in (("web", "static"), ("api",)):
        able = [draft for draft in programs if draft.kind in kinds]
        if able:
            return [draft for draft in able if draft.name not in needed] or able
    return []


def _declared(draft: Draft) -> None:
    wish = draft.facts.get("publish")
    if wish in (None, "no") or not draft.facts.get("ports"):
        return
    _set_publish(draft, "auto" if wish == "auto" else "exact", wish if isinstance(wish, int) else None)


def _set_publish(draft: Draft, publish: str, host: int | None) -> None:
    first, *rest = draft.facts["ports"]
    draft.facts["ports"] = (first.model_copy(update={"publish": publish, "host_port": host}), *rest)
