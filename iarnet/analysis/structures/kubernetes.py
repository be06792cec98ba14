"""Kubernetes manifests and Helm charts: what they say of the programs in the repository, and what else they run.

A workload belongs to the folder whose program its image holds: the one of the same name, or the only one that is
left. Images that are no folder's are run when they are a service's or an official one (`nginx:1.27`); others are
somebody's builds of code that may well be here, and are left out.
"""

import posixpath

from iarnet.analysis import services
from iarnet.analysis.base import Clue, Declared, Files, Structure
from iarnet.analysis.folders import manifests as program_files
from iarnet.analysis.names import component_name, unique, words
from iarnet.analysis.structures.charts import charts
from iarnet.analysis.structures.dockerfile import dockerfiles, home
from iarnet.analysis.structures.kubernetes_fields import container_facts
from iarnet.analysis.structures.kubernetes_hosts import hosts, published, readdress
from iarnet.analysis.structures.manifests import WORKLOADS, Manifest, Manifests, at, each, manifests, text_of
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Warning

DEPTH = 4
_OFFICIAL = words("nginx httpd caddy traefik haproxy varnish adminer phpmyadmin mongo-express zookeeper consul vault")


class Kubernetes:
    name = "kubernetes"
    whole = False

    def read(self, files: Files) -> Structure | None:
        structure = Structure()
        all_of = manifests(files)
        structure.warnings += all_of.warnings
        declared = _workloads(all_of, structure.warnings)
        taken = {one.name for one in declared}
        values = [one for one in charts(files, structure.warnings) if one.name not in taken]
        _place([*declared, *values], _folders(files), structure, {one.name for one in values})
        return structure if structure.components or structure.warnings else None


def _workloads(all_of: Manifests, warnings: list[Warning]) -> list[Declared]:
    found: list[Declared] = []
    made_by: dict[str, Manifest] = {}
    for manifest in all_of.of(*WORKLOADS):
        try:
            declared = _declared(manifest, all_of, warnings)
        except InvalidComponent as error:
            message = f"{manifest.name} can't be read: {error.message[:200]}"
            warnings.append(Warning(code="broken-manifest", message=message, file=manifest.node.path))
            continue
        if declared:
            declared.name = unique(declared.name, made_by)
            made_by[declared.name] = manifest
            found.append(declared)
    known = hosts(all_of, made_by)
    outside = published(all_of, known)
    for declared in found:
        readdress(declared, known)
        if declared.name in outside:
            declared.facts["publish"] = "auto"
    return found


def _declared(manifest: Manifest, all_of: Manifests, warnings: list[Warning]) -> Declared | None:
    containers = [one for one in each(at(manifest.pod(), "containers")) if text_of(at(one, "image"))]
    if not containers:
        return None
    image = text_of(at(containers[0], "image"))
    facts, clues = container_facts(manifest, containers[0], all_of)
    facts["image"] = all_of.images.get(services.split_image(image)[0], image)
    if manifest.kind == "Job":
        facts["kind"] = "job"
    place = manifest.node
    for other in [*containers[1:], *each(at(manifest.pod(), "initContainers"))]:
        message = f"{text_of(at(other, 'name'))} runs beside {manifest.name} in its pod, which is not done here"
        warnings.append(Warning(code="not-run", message=message, file=other.path, line=other.line, severity="info"))
    clue = Clue("component", facts["image"], place.path, place.line)
    return Declared(component_name(manifest.name), None, facts, [clue, *clues])


def _folders(files: Files) -> dict[str, str]:
    """Folders with a Dockerfile, or else with a program, by the names that images of theirs may have."""
    found = {home(files, path) for path in dockerfiles(files)}
    found = found or {posixpath.dirname(path) or "." for path in program_files(files, ".", DEPTH)}
    return {component_name(posixpath.basename(folder)) if folder != "." else "": folder for folder in sorted(found)}


def _place(declared: list[Declared], folders: dict[str, str], structure: Structure, charted: set[str]) -> None:
    homes: dict[str, str] = {}
    for one in list(declared):
        folder = _home(one, folders)
        if folder is not None and one.name in charted and folder in homes.values():
            declared.remove(one)
        elif folder is not None:
            homes[one.name] = folder
    open_images = {_base(one) for one in declared if one.name not in homes and not _runs_elsewhere(one)}
    left = [folder for folder in folders.values() if folder not in homes.values()]
    for one in declared:
        folder = homes.get(one.name)
        if folder is None and len(left) == len(open_images) == 1 and _base(one) in open_images:
            folder = left[0]
        image, clue = one.facts["image"], one.clues[0]
        if folder is not None:
            one.root = folder
            del one.facts["image"]
        elif one.name in charted or (folders and not _runs_elsewhere(one)):
            message = f"{one.name} runs {image}, which nothing in the repository builds by that name; it is left out"
            structure.warnings.append(
                Warning(code="not-run", message=message, file=clue.file, line=clue.line, severity="info")
            )
            continue
        structure.components.append(one)


def _home(declared: Declared, folders: dict[str, str]) -> str | None:
    base = _base(declared)
    for label in (base, declared.name):
        if label in folders:
            return folders[label]
    if services.by_image(declared.facts["image"]):
        return None
    similar = [label for label in folders if label and _within(label, base)]
    return folders[max(similar, key=len)] if similar else None


def _within(label: str, base: str) -> bool:
    return base.endswith(f"-{label}") or base.startswith(f"{label}-")


def _base(declared: Declared) -> str:
    return component_name(services.split_image(declared.facts["image"])[0].rsplit("/", 1)[-1])


def _runs_elsewhere(declared: Declared) -> bool:
    """An image that is nobody's build of this code."""
    image = declared.facts["image"]
    return services.by_image(image) is not None or services.split_image(image)[0] in _OFFICIAL
