"""Who needs whom: declared, or seen in drivers, in values and in the names of settings."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from iarnet.analysis import mentions, services
from iarnet.analysis.base import Clue, Files
from iarnet.analysis.draft import Draft, Findings
from iarnet.analysis.names import did_you_mean, words
from iarnet.analysis.needs import wanted
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Evidence, Warning
from iarnet.models.component import EnvVar
from iarnet.models.edge import Condition, Edge, EdgeType

FRONT_KINDS = ("web", "static")
"""An API that knows the address of its web page (for links, for CORS) does not wait for it."""
_BACK = frozenset({"api", "backend", "server", "service", "base"})
_PUBLIC = ("NEXT_PUBLIC_", "VITE_", "REACT_APP_", "NUXT_PUBLIC_", "PUBLIC_", "VUE_APP_", "GATSBY_", "NG_APP_")
_POINTER = re.compile(
    r"(?P<name>[A-Z0-9_]+?)_(?P<part>BASE_URL|SERVICE_URL|API_URL|URL|URI|ORIGIN|ADDRESS|ADDR|ENDPOINT|TARGET|"
    r"HOSTNAME|HOSTPORT|HOST|SERVICE_HOST|SERVICE_PORT|PORT)"
)
_REVERSED = re.compile(r"(?:[A-Z0-9]+_){0,3}?(?P<part>URL|ENDPOINT|HOST)S?_(?P<name>[A-Z0-9_]{3,40})")
_SUFFIXES = ("-service", "-svc", "-server", "-api", "-base", "-internal", "-app", "-backend")


@dataclass(frozen=True)
class Pointer:
    """A setting that names another component: `part` is `url`, `address`, `host` or `port`."""

    name: str
    target: str
    part: str


def connect(files: Files, findings: Findings) -> None:
    """Refines declared edges and adds the inferred ones; an inferred edge never closes a circle."""
    _check(findings)
    findings.edges = [_refined(findings, edge) for edge in findings.edges]
    _note_proxy_settings(files, findings)
    found = [*_drivers(findings), *_clients(findings), *_values(findings), *_mentions(files, findings)]
    for edge, evidence in [*found, *_names(findings)]:
        _add(findings, edge, evidence)


def pointers(draft: Draft, findings: Findings) -> list[Pointer]:
    """The settings that `draft` reads or has without a value and that name another component."""
    names = [*draft.reads, *(name for name in draft.env if name not in draft.reads)]
    found = (_pointer(draft, name, findings) for name in names)
    return [pointer for pointer in found if pointer]


def in_browser(name: str) -> bool:
    return name.startswith(_PUBLIC)


def points(name: str, value: str | None, host: str) -> bool:
    """Whether a setting points to `host`. A bare word is a host only in a setting that is named like one."""
    if not value:
        return False
    if value.lower() == host:
        return re.search(r"HOST|SERVER|ADDR|URL|URI|ENDPOINT|BROKER|BACKEND", name.upper()) is not None
    return any(_host(part) == host for part in re.split(r"[,;\s]+", value.lower()))


def _host(part: str) -> str | None:
    """The host in a URL, in `user@host:port`, in Go's `user@tcp(host:port)/` and in `host=name`."""
    if "://" in part:
        authority = re.split(r"[/?#]", part.split("://", 1)[1])[0]
        return authority.rpartition("@")[2].partition(":")[0]
    if written := re.match(r"(?:host|server|source)=(?:tcp:)?([\w.-]+)", part):
        return written[1]
    found = re.fullmatch(r"(?:[^@/]*@)?(?:tcp\()?([\w.-]+):\d+\)?(?:/.*)?", part)
    return found[1] if found else None


def _check(findings: Findings) -> None:
    names = findings.names()
    for edge in findings.edges:
        for name in (edge.from_, edge.to):
            if name not in names:
                raise InvalidComponent(
                    f"{edge.from_} needs {edge.to}, but there is no component {name!r}",
                    where=next((f"{e.file}:{e.line}" for e in findings.evidence if name in e.fact), name),
                    hint=did_you_mean(name, names),
                )


def _refined(findings: Findings, edge: Edge) -> Edge:
    """A database that is merely `started` refuses connections: the short form of compose means `healthy` there."""
    source, target = findings.get(edge.from_), findings.get(edge.to)
    if source is None or target is None:
        return edge
    condition = edge.condition
    short = any(e.fact == f"{edge.from_}->{edge.to}" and e.confidence < 1 for e in findings.evidence)
    if short and target.service and target.facts.get("health"):
        condition = "healthy"
    env = _env(source, target, findings)
    return edge.model_copy(update={"type": _type(target), "condition": condition, "env": env})


def _type(target: Draft) -> EdgeType:
    if target.service:
        kinds: dict[str, EdgeType] = {"database": "database", "cache": "cache", "queue": "queue"}
        return kinds[target.service.kind]
    ports = target.facts.get("ports", ())
    return ports[0].protocol if ports else "order"


def _env(source: Draft, target: Draft, findings: Findings) -> str | None:
    """The setting of `source` that finds `target`: one that holds a whole URL if there is any."""
    known = {**source.reads, **source.env}
    if target.service:
        parts = {name: services.role(name, target.service.prefixes) for name in known}
    else:
        parts = {p.name: p.part for p in pointers(source, findings) if p.target == target.name}
    held = [name for name, variable in source.env.items() if points(name, variable.value, target.name)]
    for part in ("url", "address", "host"):
        found = next((name for name in known if parts.get(name) == part), None)
        if found and (not held or found in held):
            return found
    return held[0] if held else None


def _drivers(findings: Findings) -> Iterator[tuple[Edge, Evidence]]:
    present: dict[str, list[Draft]] = defaultdict(list)
    for draft in findings.drafts:
        if draft.service:
            present[draft.service.key].append(draft)
    for draft in findings.drafts:
        if draft.service or (draft.root is None and draft.facts.get("image")):
            continue
        for service, why in wanted(draft, frozenset(present)):
            if service.key in present:
                target = _nearest(draft, present[service.key], _needed(findings, draft))
                yield _edge(findings, draft, target, why, 0.9, "drivers")


def _clients(findings: Findings) -> Iterator[tuple[Edge, Evidence]]:
    """Libraries of which one half calls the other."""
    for client, server in _HALVES:
        serving = [draft for draft in findings.drafts if _depends(draft, server)]
        for draft in findings.drafts if len(serving) == 1 else ():
            if draft is not serving[0] and _depends(draft, client):
                why = f"has the client of {serving[0].name} among its dependencies"
                yield _edge(findings, draft, serving[0], why, 0.85, "clients")


_HALVES = (
    ("spring-cloud-starter-config", "spring-cloud-config-server"),
    ("spring-cloud-starter-netflix-eureka-client", "spring-cloud-starter-netflix-eureka-server"),
    ("spring-cloud-starter-eureka", "spring-cloud-starter-eureka-server"),
    ("spring-boot-admin-starter-client", "spring-boot-admin-starter-server"),
)


def _depends(draft: Draft, name: str) -> bool:
    return draft.profile is not None and name in draft.profile.dependencies


def _needed(findings: Findings, draft: Draft) -> set[str]:
    return {edge.to for edge in findings.edges if edge.from_ == draft.name}


def _nearest(draft: Draft, services: list[Draft], needed: set[str]) -> Draft:
    """Of several databases of a kind the one that a setting points to, that is declared to be needed, that is called
    alike, or that lies nearest."""
    values = [(name, variable.value) for name, variable in draft.env.items()]

    def rank(service: Draft) -> tuple[bool, bool, bool, int]:
        pointed = any(points(name, value, service.name) for name, value in values)
        alike = bool(set(draft.name.split("-")) & set(service.name.split("-")) - _GENERIC)
        near = len(posixpath.commonprefix([f"{draft.root}/", f"{service.root}/"]))
        return pointed, service.name in needed, alike, near

    return max(services, key=rank)


_GENERIC = words("db database service api server app redis postgres mysql mongo data")


def _values(findings: Findings) -> Iterator[tuple[Edge, Evidence]]:
    for draft in findings.drafts:
        for name, variable in draft.env.items():
            for target in findings.drafts:
                if target is draft or not points(name, variable.value, target.name):
                    continue
                yield _edge(findings, draft, target, f"{name} points to it", 0.95, "values")


def _mentions(files: Files, findings: Findings) -> Iterator[tuple[Edge, Evidence]]:
    found = [(0.9, "proxy", mention) for mention in mentions.proxies(files, findings)]
    found += [(0.8, "addresses", mention) for mention in mentions.addresses(files, findings)]
    for confidence, detector, mention in found:
        sure = confidence if mention.sure else 0.6
        yield _edge(
            findings, mention.source, mention.target, mention.text, sure, detector, mention.file, mention.line
        )


def _note_proxy_settings(files: Files, findings: Findings) -> None:
    for draft in findings.drafts:
        for name, (file, line) in mentions.proxy_settings(files, draft).items():
            if name not in draft.reads:
                draft.reads[name] = EnvVar(name=name, required=True)
                draft.witness(Clue(f"env.{name}", "", file, line), "proxy")


def _names(findings: Findings) -> Iterator[tuple[Edge, Evidence]]:
    for draft in findings.drafts:
        if draft.service:
            continue
        for pointer in pointers(draft, findings):
            target = findings.get(pointer.target)
            if target and not (target.kind in FRONT_KINDS and draft.kind not in FRONT_KINDS):
                confidence = 0.6 if pointer.part == "port" else 0.8
                yield _edge(findings, draft, target, f"reads {pointer.name}", confidence, "names")


def _pointer(draft: Draft, name: str, findings: Findings) -> Pointer | None:
    plain = next((name[len(prefix) :] for prefix in _PUBLIC if name.startswith(prefix)), name)
    found = _POINTER.fullmatch(plain.upper()) or _REVERSED.fullmatch(plain.upper())
    if not found or services.by_setting(name):
        return None
    part = _PARTS.get(found["part"], "url")
    target = _target(draft, found["name"].lower().replace("_", "-"), findings)
    return Pointer(name, target.name, part) if target else None


_PARTS = {
    **dict.fromkeys(("ADDRESS", "ADDR", "HOSTPORT", "TARGET"), "address"),
    **dict.fromkeys(("HOST", "HOSTNAME", "SERVICE_HOST"), "host"),
    **dict.fromkeys(("PORT", "SERVICE_PORT"), "port"),
}


def _target(draft: Draft, wanted_name: str, findings: Findings) -> Draft | None:
    others = [d for d in findings.drafts if d is not draft and not d.service and d.facts.get("ports")]
    same = [d for d in others if d.name == wanted_name]
    similar = [d for d in others if _variants(wanted_name) & _variants(d.name)]
    ending = [d for d in others if d.name.endswith(f"-{wanted_name}")]
    similar = similar or (ending if len(ending) == 1 else [])
    if same or similar:
        return (same or similar)[0]
    behind = [d for d in others if d.kind == "api"]
    generic = wanted_name in _BACK or wanted_name.removesuffix("-api") in _BACK
    return behind[0] if generic and len(behind) == 1 and draft.kind in ("web", "static") else None


@lru_cache(maxsize=4096)
def _variants(name: str) -> frozenset[str]:
    found = {name, name.replace("-", "")}
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            found |= {name.removesuffix(suffix), name.removesuffix(suffix).replace("-", "")}
    return frozenset(found)


def _edge(
    findings: Findings,
    source: Draft,
    target: Draft,
    why: str,
    confidence: float,
    detector: str,
    file: str = "",
    line: int | None = None,
) -> tuple[Edge, Evidence]:
    condition: Condition = "completed" if target.kind == "job" else "healthy"
    edge = Edge(from_=source.name, to=target.name, type=_type(target), condition=condition)
    place = next((e for e in source.evidence if why.removeprefix("reads ").split()[0] in e.fact), None)
    evidence = Evidence(
        fact=f"{source.name}->{target.name}",
        value=why[:500],
        file=file or (place.file if place else source.root or "."),
        line=line or (place.line if place else None),
        confidence=confidence,
        detector=detector,
    )
    return edge.model_copy(update={"env": _env(source, target, findings)}), evidence


def _add(findings: Findings, edge: Edge, evidence: Evidence) -> None:
    if any(known.from_ == edge.from_ and known.to == edge.to for known in findings.edges):
        findings.evidence.append(evidence)
        return
    if _reaches(findings.edges, edge.to, edge.from_):
        message = f"{edge.from_} also refers to {edge.to}, which waits for it already; it does not wait in turn"
        findings.warnings.append(Warning(code="circle-avoided", message=message, severity="info"))
        return
    findings.edges.append(edge)
    findings.evidence.append(evidence)


def _reaches(edges: list[Edge], start: str, goal: str) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        at = waiting.pop()
        if at == goal:
            return True
        following = {edge.to for edge in edges if edge.from_ == at} - seen
        seen |= following
        waiting.extend(following)
    return False
