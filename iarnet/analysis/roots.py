"""Which folders hold a program of their own, where no file of a whole application says so."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from posixpath import dirname

from pydantic import ValidationError

from iarnet.analysis.base import Declared, Ecosystem, Files, Profile, StructureDetector
from iarnet.analysis.declared import draft_of, edge_evidence
from iarnet.analysis.draft import Draft, Findings
from iarnet.analysis.ecosystems.commands import TOOLS
from iarnet.analysis.ecosystems.commands import words as words_of
from iarnet.analysis.folders import distance, manifests, own_manifest
from iarnet.analysis.names import component_name, folder_name, unique
from iarnet.analysis.services import by_image
from iarnet.analysis.structures.dockerfile import dockerfiles
from iarnet.errors import InvalidComponent

DEPTH, MANIFEST_DEPTH = 3, 6
MAX_FOLDERS = 300
ORCHESTRATORS = ("pnpm-workspace.yaml", "turbo.json", "nx.json", "lerna.json", "rush.json")


class Recogniser:
    """Asks the ecosystems in turn, once per folder and start command; the first runnable answer counts."""

    def __init__(self, files: Files, ecosystems: Sequence[Ecosystem]) -> None:
        self._files = files
        self._ecosystems = ecosystems
        self._known: dict[tuple[str, str | None], Profile | None] = {}

    def __call__(self, root: str, start: str | None = None) -> Profile | None:
        key = (root, start)
        if key not in self._known:
            self._known[key] = self._ask(root, start)
        return self._known[key]

    def _ask(self, root: str, start: str | None) -> Profile | None:
        """The first that finds a program. Pages that a server of the same folder delivers are a part of it."""
        if start and (pages := self._pages(root, start)):
            return pages
        found: Profile | None = None
        for ecosystem in self._order(root, start):
            profile = self._answer(ecosystem, root, start)
            if profile is None or (found and not _delivers(profile, found)):
                continue
            if profile.runnable and profile.kind != "static":
                return profile
            found = profile if found is None or profile.runnable else found
        return found

    def _pages(self, root: str, start: str) -> Profile | None:
        """In the folder of a generator of pages, a command of nobody's is the generator's: the image knows it."""
        own = self(root) if TOOLS.get(next(iter(words_of(start)), "")) is None else None
        if own is None or own.ecosystem != "static" or own.framework is None:
            return None
        return replace(own, start_command=start, ports=(), health=None, recipe=None)

    def _order(self, root: str, start: str | None) -> Sequence[Ecosystem]:
        """A command that is declared is first shown to whom it belongs, then to who would start a program anyway."""
        if not start:
            return self._ecosystems
        owner = TOOLS.get(next(iter(words_of(start)), ""))
        if owner is None and (own := self(root)) and own.runnable:
            owner = own.ecosystem
        return sorted(self._ecosystems, key=lambda ecosystem: ecosystem.name != owner)

    def _answer(self, ecosystem: Ecosystem, root: str, start: str | None) -> Profile | None:
        try:
            profile = ecosystem.recognise(self._files, root, start)
        except ValidationError as error:
            raise InvalidComponent(
                f"{ecosystem.name} in {root!r}: {error.errors()[0]['msg']}", where=root, hint="see the files there"
            ) from error
        return profile and replace(profile, ecosystem=ecosystem.name)


def _delivers(profile: Profile, found: Profile) -> bool:
    """Whether what a later ecosystem says counts more."""
    if not found.runnable:
        return profile.runnable
    return profile.runnable and found.kind == "static" and profile.kind in ("web", "api")


@dataclass
class _Folder:
    path: str
    dockerfiles: list[Declared] = field(default_factory=list)
    processes: list[tuple[str, Declared]] = field(default_factory=list)
    hints: list[tuple[str, Declared]] = field(default_factory=list)
    profile: Profile | None = None

    @property
    def runs(self) -> bool:
        return bool(self.dockerfiles or self.processes or (self.profile and self.profile.runnable))


def discover(
    files: Files, recognise: Recogniser, structures: Sequence[StructureDetector], findings: Findings
) -> None:
    """Adds a draft for each program that is found; folders of examples and tests only when there is nothing else."""
    folders = _folders(files)
    _partial(files, structures, folders, findings)
    for far in range(3):
        roots = _choose(files, {path: folders[path] for path in folders if distance(path) == far}, recognise)
        for folder in roots:
            _add(findings, folder)
        if roots:
            return


def _folders(files: Files) -> dict[str, _Folder]:
    """Shallow ones first, and deeper ones with a manifest; of too many, those with a manifest or a Dockerfile."""
    found = {"."} | {dirname(path) or "." for path in manifests(files, ".", MANIFEST_DEPTH)}
    for folder in files.folders(DEPTH):
        if folder not in found:
            parts = folder.split("/")
            found.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
    if len(found) > MAX_FOLDERS:
        telling = {dirname(path) or "." for path in [*manifests(files, ".", MANIFEST_DEPTH), *dockerfiles(files)]}
        found = set(sorted(found, key=lambda path: (path not in telling, path.count("/"), path))[:MAX_FOLDERS])
    ordered = sorted(found, key=lambda path: (path != ".", path.count("/"), path))
    return {path: _Folder(path) for path in ordered}


def _partial(
    files: Files, structures: Sequence[StructureDetector], folders: dict[str, _Folder], findings: Findings
) -> None:
    for detector in structures:
        structure = None if detector.whole else detector.read(files)
        if structure is None:
            continue
        for component in structure.components:
            if component.root is None and "image" in component.facts:
                _image(findings, detector.name, component)
                continue
            folder = folders.setdefault(component.root or ".", _Folder(component.root or "."))
            if component.hint:
                folder.hints.append((detector.name, component))
            elif "build" in component.facts:
                folder.dockerfiles.append(component)
            else:
                _process(folder, detector.name, component)
        findings.edges += structure.edges
        findings.evidence += [edge_evidence(clue, detector.name) for clue in structure.edge_clues]
        findings.warnings += structure.warnings


def _image(findings: Findings, detector: str, component: Declared) -> None:
    """Of a kind of service that is declared already, there is one."""
    service = by_image(component.facts["image"])
    known = [by_image(draft.facts["image"]) for draft in findings.drafts if "image" in draft.facts]
    if service is None or service not in known:
        _take(findings, draft_of(component, detector))


def _process(folder: _Folder, detector: str, component: Declared) -> None:
    """A process that two files declare is as the stronger one says; what has no name is the web process. What a
    cluster runs of a folder is not also run where another file says how."""
    names = {known.name or "web" for _, known in folder.processes}
    others = {known for known, _ in folder.processes} - {detector}
    if (component.name or "web") not in names and not (detector == "kubernetes" and others):
        folder.processes.append((detector, component))


def _choose(files: Files, folders: dict[str, _Folder], recognise: Recogniser) -> list[_Folder]:
    chosen: list[_Folder] = []
    for folder in folders.values():
        above = [other for other in chosen if _above(other.path, folder.path)]
        if _candidate(files, folder, above):
            folder.profile = recognise(folder.path)
            if folder.runs:
                chosen.append(folder)
    root = next((folder for folder in chosen if folder.path == "."), None)
    own = root and (root.dockerfiles or root.processes or (root.profile and root.profile.framework))
    if root and not own and len(chosen) > 1 and _orchestrates(files):
        chosen.remove(root)
    return chosen


def _candidate(files: Files, folder: _Folder, above: list[_Folder]) -> bool:
    """Below another component only what says itself how it runs, its own resources apart; below one with a Dockerfile
    only another one."""
    if folder.dockerfiles or folder.processes or not above:
        return True
    if any(other.dockerfiles for other in above):
        return False
    return own_manifest(files, folder.path) and "/src/main/" not in f"/{folder.path}/"


def _above(upper: str, lower: str) -> bool:
    return upper != lower and (upper == "." or lower.startswith(upper + "/"))


def _orchestrates(files: Files) -> bool:
    """The root of a workspace only starts its members."""
    if any(files.exists(name) for name in ORCHESTRATORS):
        return True
    try:
        manifest = json.loads(files.text("package.json") or "{}")
    except (ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and bool(manifest.get("workspaces"))


def _add(findings: Findings, folder: _Folder) -> None:
    before = len(findings.drafts)
    _add_programs(findings, folder)
    for detector, hint in folder.hints:
        for draft in findings.drafts[before:]:
            for variable in hint.facts.get("env", ()):
                own = {"secret": f"{draft.name}/{variable.secret}"} if variable.secret else {}
                draft.env.setdefault(variable.name, variable.model_copy(update=own))
            for clue in hint.clues:
                draft.witness(clue, detector)


def _add_programs(findings: Findings, folder: _Folder) -> None:
    if folder.processes:
        build = folder.dockerfiles[0].facts["build"] if folder.dockerfiles else None
        if not build and _serves_unasked(folder):
            _take(findings, Draft("web", folder.path))
        for detector, process in folder.processes:
            draft = draft_of(process, detector)
            draft.name = draft.name or ("web" if len(folder.processes) > 1 else _name(folder))
            if build:
                draft.facts["build"] = build
            _take(findings, draft)
        return
    for declared in folder.dockerfiles:
        draft = draft_of(declared, "dockerfile")
        draft.name = draft.name or _name(folder)
        _take(findings, draft)
    if not folder.dockerfiles:
        _take(findings, Draft(_name(folder), folder.path))


def _serves_unasked(folder: _Folder) -> bool:
    """Whether a file lists the helpers of an application that serves, which starts by itself where it was written."""
    listed = {detector for detector, _ in folder.processes} == {"procfile"}
    helpers = all(process.facts.get("kind") == "worker" for _, process in folder.processes)
    return listed and helpers and bool(folder.profile and folder.profile.framework and folder.profile.kind == "web")


def _take(findings: Findings, draft: Draft) -> None:
    """A name that is taken gets the folders above in front of it."""
    parts = (draft.root or "").split("/")
    for count in range(2, min(len(parts), MANIFEST_DEPTH) + 1):
        if draft.name in findings.names():
            draft.name = component_name("-".join(parts[-count:]))
    renamed = unique(draft.name, findings.names())
    draft.evidence = [e.model_copy(update={"fact": _renamed(e.fact, draft.name, renamed)}) for e in draft.evidence]
    draft.name = renamed
    findings.drafts.append(draft)


def _renamed(fact: str, old: str, new: str) -> str:
    return new + fact.removeprefix(old)


def _name(folder: _Folder) -> str:
    """A folder's own name; at the root of the tree, which has none, the kind of program."""
    if folder.path != ".":
        return folder_name(folder.path)
    exposed = any(declared.facts.get("ports") for declared in folder.dockerfiles)
    kind = folder.profile.kind if folder.profile else "web"
    if exposed and kind in ("job", "worker"):
        return "web"
    return {"job": "job", "worker": "worker", "api": "api"}.get(kind, "web")
