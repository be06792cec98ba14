"""Filling a draft from weaker sources: its Dockerfile, the program in its folder, the image it runs."""

import re
import shlex
from typing import Any

from iarnet.analysis import services
from iarnet.analysis.base import Clue, Files, Profile
from iarnet.analysis.draft import Draft, Findings
from iarnet.analysis.folders import own_manifest
from iarnet.analysis.names import FRONT, component_name, unique
from iarnet.analysis.packing import code_root, mounted, note_language, packed
from iarnet.analysis.roots import Recogniser
from iarnet.analysis.service_table import Service
from iarnet.analysis.structures.dockerfile import (
    base_image,
    context_of,
    dockerfiles,
    home,
    port_settings,
    read_facts,
    target_of,
    variant,
)
from iarnet.analysis.structures.quantities import program
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Warning
from iarnet.models.component import Build, EnvVar, Port

SERVED = ("ports", "health")
"""What only a program that serves has: one that shares a Dockerfile with it does not."""


def complete(files: Files, recognise: Recogniser, findings: Findings) -> None:
    _name_jobs(findings)
    plain = {home(files, path): path for path in reversed(dockerfiles(files)) if not variant(path)}
    for draft in list(findings.drafts):
        if draft.facts.get("image"):
            _from_image(draft)
        else:
            _from_code(files, recognise, findings, draft, plain)


def _name_jobs(findings: Findings) -> None:
    """What others wait for until it has completed."""
    awaited = {edge.to for edge in findings.edges if edge.condition == "completed"}
    for draft in findings.drafts:
        if draft.name in awaited:
            draft.facts.setdefault("kind", "job")


def _from_image(draft: Draft) -> None:
    image = draft.facts["image"]
    draft.service = services.by_image(image) or services.by_name(draft.name, image, draft.facts.get("ports", ()))
    if draft.service:
        literals = {name: variable.value for name, variable in draft.env.items() if variable.value is not None}
        for name, value in services.facts(draft.service, image, literals).items():
            draft.offer(name, value)
        asked = draft.facts.get("capabilities", ())
        draft.facts["capabilities"] = tuple(dict.fromkeys((*asked, *draft.service.capabilities)))
        _speak_tcp(draft, draft.service)
    start = draft.facts.get("start_command")
    if start and "command" not in draft.facts:
        draft.facts["command"] = program(start, draft.name)
    draft.facts.setdefault("kind", _guess(draft))
    if draft.facts.get("baked"):
        _bake(draft)


def _speak_tcp(draft: Draft, service: Service) -> None:
    """A declared port of a database is no HTTP port."""
    draft.facts["ports"] = tuple(
        port.model_copy(update={"protocol": "tcp"}) if port.port == service.port else port
        for port in draft.facts["ports"]
    )


def _bake(draft: Draft) -> None:
    """Files of the repository that compose would mount become a layer on top of the image."""
    copies = [f"COPY {_quoted(source, target)}" for source, target in draft.facts.pop("baked")]
    recipe = "\n".join([f"FROM {draft.facts.pop('image')}", *copies, ""])
    draft.facts["build"] = Build(context=".", recipe=recipe)


def _quoted(source: str, target: str) -> str:
    escaped = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in (source, target))
    return f"[{', '.join(escaped)}]"


def _from_code(
    files: Files, recognise: Recogniser, findings: Findings, draft: Draft, dockerfile_of: dict[str, str]
) -> None:
    draft.root = draft.root or draft.facts.get("context") or "."
    _own_dockerfile(files, draft, dockerfile_of)
    build: Build | None = draft.facts.get("build")
    started = _start(draft)
    facts, clues = _dockerfile_facts(files, build)
    if build and build.dockerfile:
        _as_service(files, findings, draft, build)
    if build and build.dockerfile:
        draft.root = code_root(files, draft.root, build.dockerfile)
    start = started or facts.get("start_command")
    if draft.service:
        profile = recognise(draft.root, start)
    else:
        only = not (build and build.dockerfile) or variant(build.dockerfile) == ""
        profile = packed(files, recognise, draft, start, only=only)
    if profile is None:
        profile = mounted(files, recognise, draft, start)
    declared = draft.facts.get("kind")
    quiet = declared == "job" or bool(started and (declared or (profile and profile.kind)) in ("worker", "job"))
    for name in facts:
        if not (name in SERVED and quiet) and not (name == "start_command" and started):
            draft.offer(name, facts[name], clues.get(name), "dockerfile")
    if profile and build and build.dockerfile and "ports" not in facts:
        _port_by_setting(files, draft, build, profile)
    if profile:
        _from_profile(findings, draft, profile)
    elif build and build.dockerfile and not draft.service:
        note_language(files, draft, build, start)
    if "build" not in draft.facts and not findings.whole and len(findings.drafts) > 1:
        message = f"nothing in {draft.root!r} says how to build {draft.name}; it is left out"
        findings.warnings.append(Warning(code="not-built", message=message, file=_place(draft)))
        findings.drafts.remove(draft)
        return
    if "build" not in draft.facts:
        raise InvalidComponent(
            f"{draft.name}: nothing in {draft.root!r} says how to build it",
            where=next((f"{e.file}:{e.line}" for e in draft.evidence), draft.root),
            component=draft.name,
            hint="add a Dockerfile there, or an image to the component",
        )
    if added := draft.facts.pop("baked", ()):
        draft.facts["build"] = draft.facts["build"].model_copy(update={"added": added})
    _command(draft)


def _place(draft: Draft) -> str | None:
    return next((evidence.file for evidence in draft.evidence), None)


def _port_by_setting(files: Files, draft: Draft, build: Build, profile: Profile) -> None:
    """The image itself tells the program where to listen."""
    path = build.dockerfile or ""
    found = port_settings(files, path, build.target).get(profile.port_env or "")
    if found:
        clue = Clue("ports", f"{profile.port_env}={found[0]}", path, found[1])
        draft.offer("ports", (Port(port=found[0]),), clue, "dockerfile")


def _as_service(files: Files, findings: Findings, draft: Draft, build: Build) -> None:
    """A database with something added to its image is still that database."""
    path, declared = build.dockerfile or "", draft.facts.get("ports", ())
    base, settings = base_image(files, path, build.target)
    service = services.by_image(base) or services.by_name("", base, declared) if base else None
    if service is None or own_manifest(files, draft.root or "."):
        return
    started = _start(draft) or read_facts(files, path, build.target)[0].get("start_command") or ""
    if _asks(findings, draft, service, started):
        return
    draft.service = service
    for name, value in settings.items():
        draft.set(name, value)
    for name, fact in services.facts(draft.service, base, settings).items():
        draft.offer(name, fact)
    _speak_tcp(draft, draft.service)


def _own_dockerfile(files: Files, draft: Draft, dockerfile_of: dict[str, str]) -> None:
    """The Dockerfile in its folder, where the declaration names none (or one that is not there)."""
    build: Build | None = draft.facts.get("build")
    if build and (build.recipe or (build.dockerfile and files.exists(build.dockerfile))):
        return
    if build:
        draft.facts.pop("build")
        draft.warn("no-dockerfile", f"{draft.name}: there is no {build.dockerfile}; the build is generated")
        return
    path = dockerfile_of.get(draft.root or ".")
    if path:
        target = target_of(files, path)
        draft.facts["build"] = Build(context=context_of(files, path), dockerfile=path, target=target)


def _dockerfile_facts(files: Files, build: Build | None) -> tuple[dict[str, Any], dict[str, Clue]]:
    if build is None or build.dockerfile is None:
        return {}, {}
    facts, clues = read_facts(files, build.dockerfile, build.target)
    return facts, {clue.field: clue for clue in clues}


def _start(draft: Draft) -> str | None:
    """The command line that will run, where anything declares one."""
    if draft.facts.get("start_command"):
        return str(draft.facts["start_command"])
    vector = (*(draft.facts.get("entrypoint") or ()), *(draft.facts.get("command") or ()))
    if vector[:2] in (("/bin/sh", "-c"), ("sh", "-c"), ("bash", "-c")):
        return vector[2] if len(vector) > 2 else None
    return shlex.join(vector) if vector else None


def _from_profile(findings: Findings, draft: Draft, profile: Profile) -> None:
    draft.profile = profile
    draft.reads = {variable.name: variable for variable in profile.env} | draft.reads
    clues = {clue.field: clue for clue in profile.clues}
    dockerfile = _dockerfile(draft)
    for name in ("language", "framework", "start_command", "ports", "health", "resources"):
        if name in SERVED and draft.facts.get("kind") in ("worker", "job") and "ports" not in draft.facts:
            continue
        if not (name == "start_command" and _start(draft)):
            draft.offer(name, getattr(profile, name), clues.get(name), profile.language)
    draft.offer("kind", _kind(draft, profile), clues.get("kind"), profile.language)
    for clue in profile.clues:
        if clue.field not in draft.facts or clue.field == "env":
            draft.witness(clue, profile.language)
    if "build" not in draft.facts and profile.recipe:
        draft.facts["build"] = Build(context=profile.context, recipe=profile.recipe)
    draft.warnings += [w for w in profile.warnings if w not in draft.warnings]
    if not dockerfile and not findings.whole and profile.workers and "start_command" in draft.facts:
        _workers(findings, draft, profile)


def _kind(draft: Draft, profile: Profile) -> str:
    """A program with a declared port is not a worker; one that is called `frontend` is the web component."""
    if profile.kind in ("worker", "job") and draft.facts.get("ports"):
        return "web" if any(port.publish != "no" for port in draft.facts["ports"]) else "api"
    return "web" if profile.kind == "api" and draft.name in FRONT else profile.kind


def _workers(findings: Findings, draft: Draft, profile: Profile) -> None:
    """Further programs of the same folder. Declared processes (a Procfile) know better."""
    beside = [other for other in findings.drafts if other.root == draft.root]
    if any(e.detector in ("procfile", "platforms", "kubernetes") for other in beside for e in other.evidence):
        return
    for worker in profile.workers:
        suffix = "worker" if len(profile.workers) == 1 else component_name(worker.framework or worker.kind)
        name = suffix if draft.root == "." else component_name(f"{draft.name}-{suffix}")
        extra = Draft(unique(name, findings.names()), draft.root)
        extra.facts["kind"] = worker.kind
        if _dockerfile(draft):
            extra.facts["build"] = draft.facts["build"]
        _from_profile(findings, extra, worker)
        _command(extra)
        findings.drafts.append(extra)


def _dockerfile(draft: Draft) -> str | None:
    build: Build | None = draft.facts.get("build")
    return build.dockerfile if build else None


def _command(draft: Draft) -> None:
    """A declared start command overrides the image's own; in a generated image it is the image's own already."""
    declared = [e for e in draft.evidence if e.fact.endswith(".start_command") and e.detector in _DECLARING]
    if declared and _dockerfile(draft) and "command" not in draft.facts:
        draft.facts["command"] = program(draft.facts["start_command"], draft.name)
    draft.facts.setdefault("kind", _guess(draft))
    _note_variables(draft)


def _asks(findings: Findings, draft: Draft, service: Service, start: str) -> bool:
    """With a command of its own, and told where another one is: a copy of its data perhaps, but not the service."""
    others = {other.name for other in findings.drafts} - {draft.name}
    told = (v.value for name, v in draft.env.items() if services.role(name, service.own) in ("host", "address"))
    stems = {name[:5] for name in (service.key, *service.images)}
    return bool(start) and not any(stem in start for stem in stems) and not others.isdisjoint(told)


_VARIABLE = re.compile(r"\$\{?([A-Z][A-Z0-9_]{1,80})(:?-)?")


def _note_variables(draft: Draft) -> None:
    """What the start command itself takes from its settings."""
    place = next((e for e in draft.evidence if e.fact.endswith(".start_command")), None)
    for name, default in _VARIABLE.findall(str(draft.facts.get("start_command") or "")[:4_000]):
        if name in ("PORT", "HOME", "PATH", "PWD", "JAVA_OPTS", "HOSTNAME") or name in draft.reads:
            continue
        draft.reads[name] = EnvVar(name=name, required=not default)
        if place:
            draft.witness(Clue(f"env.{name}", "", place.file, place.line), place.detector)


_DECLARING = ("iarnet.yaml", "render", "platforms", "procfile")


def _guess(draft: Draft) -> str:
    """Without any sign of the program: what it listens on."""
    ports: tuple[Port, ...] = draft.facts.get("ports", ())
    if not ports:
        return "worker"
    return "web" if any(port.publish != "no" for port in ports) or "compose" not in _detectors(draft) else "api"


def _detectors(draft: Draft) -> set[str]:
    return {evidence.detector for evidence in draft.evidence}
