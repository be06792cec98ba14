"""Images that a declaration takes from a registry although this repository is where they are made."""

import re
from posixpath import basename, dirname

from iarnet.analysis import services
from iarnet.analysis.base import Files
from iarnet.analysis.draft import Draft, Findings
from iarnet.analysis.ecosystems.manifests import read_json, text_at
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.folders import aside, manifests
from iarnet.analysis.names import component_name
from iarnet.analysis.roots import Recogniser
from iarnet.analysis.structures.dockerfile import dockerfiles, home

DEPTH = 4
_NAMES = {
    "go.mod": re.compile(r"^module\s{1,9}(?:[\w.~/-]{0,200}/)?([\w.-]{1,80}?)(?:/v\d{1,3})?\s{0,9}$", re.MULTILINE),
    "Cargo.toml": re.compile(r"^name\s{0,9}=\s{0,9}\"([\w.-]{1,80})\"", re.MULTILINE),
    "pyproject.toml": re.compile(r"^name\s{0,9}=\s{0,9}[\"']([\w.-]{1,80})[\"']", re.MULTILINE),
}


def build_own(files: Files, recognise: Recogniser, findings: Findings) -> None:
    """What is asked for is this repository's code: it is built, not fetched. An image is one of its own when it is
    called as a folder with a program, or as the project at the top calls itself."""
    published = [draft for draft in findings.drafts if draft.facts.get("image") and not _service(draft)]
    folders = _folders(files) if published else {}
    packed = {home(files, path) for path in dockerfiles(files)} if published else set()
    for draft in published:
        folder = folders.get(_base(draft))
        profile = recognise(folder) if folder else None
        if folder is None or not (folder in packed or (profile and profile.runnable)):
            continue
        image, draft.root = draft.facts.pop("image"), folder
        findings.whole = findings.whole or draft.evidence[0].detector
        draft.warn("own-image", f"{draft.name}: {image} is made from {folder!r} of this repository; that is built")


def _service(draft: Draft) -> bool:
    return services.by_image(draft.facts["image"]) is not None


def _base(draft: Draft) -> str:
    return component_name(basename(services.split_image(draft.facts["image"])[0]))


def _folders(files: Files) -> dict[str, str]:
    """By the names that images of theirs may have; a name that two have is nobody's."""
    below = {dirname(path) for path in manifests(files, ".", DEPTH) if "/" in path and not aside(dirname(path))}
    named = [(component_name(basename(folder)), folder) for folder in sorted(below)]
    named += [(component_name(found), ".") for found in _own_names(files)]
    labels = [label for label, _ in named]
    return {label: folder for label, folder in named if labels.count(label) == 1 or folder == "."}


def _own_names(files: Files) -> list[str]:
    found = (expression.search((files.text(name) or "")[:20_000]) for name, expression in _NAMES.items())
    told = (text_at(read_json(files, name, Notes()), "name") for name in ("package.json", "composer.json"))
    return [*(match[1] for match in found if match), *(basename(name) for name in told if name)]
