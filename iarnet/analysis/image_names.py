"""Which folder of the repository an image is made from, by what both are called."""

import re
from posixpath import basename, dirname

from iarnet.analysis import services
from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import read_json, text_at
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.folders import aside, manifests
from iarnet.analysis.names import component_name

DEPTH = 4
_NAMES = {
    "go.mod": re.compile(r"^module\s{1,9}(?:[\w.~/-]{0,200}/)?([\w.-]{1,80}?)(?:/v\d{1,3})?\s{0,9}$", re.MULTILINE),
    "Cargo.toml": re.compile(r"^name\s{0,9}=\s{0,9}\"([\w.-]{1,80})\"", re.MULTILINE),
    "pyproject.toml": re.compile(r"^name\s{0,9}=\s{0,9}[\"']([\w.-]{1,80})[\"']", re.MULTILINE),
}
_TOLD = ("package.json", "composer.json", "app.json")


def folder_of_image(files: Files, image: str) -> str | None:
    """The one that is called alike, or the top of the repository when the project calls itself so. None for the image
    of a well-known service, and for one that nothing here is called like."""
    if services.by_image(image) is not None:
        return None
    label = component_name(basename(services.split_image(image)[0]))
    return files.once("folders by image", lambda: _folders(files)).get(label)


def _folders(files: Files) -> dict[str, str]:
    """By the names that images of theirs may have; a name that two have is nobody's."""
    below = {dirname(path) for path in manifests(files, ".", DEPTH) if "/" in path and not aside(dirname(path))}
    named = [(component_name(basename(folder)), folder) for folder in sorted(below)]
    named += [(component_name(found), ".") for found in _own_names(files)]
    labels = [label for label, _ in named]
    return {label: folder for label, folder in named if labels.count(label) == 1 or folder == "."}


def _own_names(files: Files) -> list[str]:
    found = (expression.search((files.text(name) or "")[:20_000]) for name, expression in _NAMES.items())
    told = (text_at(read_json(files, name, Notes()), "name") for name in _TOLD)
    return [*(match[1] for match in found if match), *(basename(name) for name in told if name)]
