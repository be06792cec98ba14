"""What a Dockerfile copies from the repository, and where that then lies in its image."""

import posixpath
from dataclasses import dataclass, field
from fnmatch import fnmatch

import dockerfile

from iarnet.analysis.base import Files
from iarnet.models.component import Build


@dataclass
class _Stage:
    """`copies`: pairs of a path of the repository and one of the image."""

    folder: str = "/"
    copies: list[tuple[str, str]] = field(default_factory=list)


def lies_there(files: Files, build: Build, source: str, target: str) -> bool:
    """Whether the build itself puts `source` at `target`. False where the Dockerfile can't be read."""
    copies = _copies(files, build)
    above = [source, *_parents(source)]
    return any(
        copied in above and posixpath.normpath(posixpath.join(at, posixpath.relpath(source, copied))) == target
        for copied, at in copies
    )


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))] + ["."]


def _copies(files: Files, build: Build) -> list[tuple[str, str]]:
    text = build.recipe or files.text(build.dockerfile or "")
    try:
        commands = dockerfile.parse_string(text) if text else ()
    except ValueError:
        return []
    stages: dict[str, _Stage] = {}
    stage = _Stage()
    for command in commands:
        verb, value = command.cmd.lower(), command.value
        if verb == "from" and value:
            earlier = stages.get(value[0].lower(), _Stage())
            stage = _Stage(earlier.folder, list(earlier.copies))
            stages[value[2].lower() if len(value) == 3 else f" {len(stages)}"] = stage
        elif verb == "workdir" and value:
            stage.folder = posixpath.normpath(posixpath.join(stage.folder, value[0]))
        elif verb in ("copy", "add") and not any(flag.startswith("--from") for flag in command.flags):
            stage.copies += _copied(files, build.context, stage.folder, value)
    return stages.get((build.target or "").lower(), stage).copies


def _copied(files: Files, context: str, folder: str, value: tuple[str, ...]) -> list[tuple[str, str]]:
    *sources, last = value
    target = posixpath.normpath(posixpath.join(folder, last))
    into = last.endswith("/") or len(sources) > 1 or last in (".", "./")
    found: list[tuple[str, str]] = []
    for source in sources:
        path = posixpath.normpath(posixpath.join(context, source.lstrip("/") or "."))
        for each in _matching(files, path):
            single = files.exists(each)
            named = into or any(letter in path for letter in "*?[")
            found.append((each, posixpath.join(target, posixpath.basename(each)) if single and named else target))
    return found


def _matching(files: Files, path: str) -> list[str]:
    if not any(letter in path for letter in "*?["):
        return [path]
    folder = posixpath.dirname(path) or "."
    return [each for each in files.paths(folder, 1) if fnmatch(each, path)]
