"""Which version of a tool the files of a project ask for."""

import re

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join, line_of, read_toml, table
from iarnet.analysis.ecosystems.notes import Notes

NUMBER = re.compile(r"(?<![\w.])v?(\d{1,4}(?:\.\d{1,4}){0,2})")
_MISE = ("mise.toml", ".mise.toml")


def asked(files: Files, root: str, tool: str, own: tuple[str, ...], notes: Notes) -> str | None:
    """Of the tool's own files (`.ruby-version`), then of those of asdf and mise, in the folder and at the top; the
    number alone, `3.2.1` of `ruby-3.2.1`."""
    for folder in dict.fromkeys((root, ".")):
        for path, text in _wishes(files, folder, tool, own):
            if found := NUMBER.search(text.replace("-", " ").replace("@", " ")):
                notes.clue("version", found[1], path, line_of(files.text(path), found[1]))
                return found[1]
    return None


def minor(version: str) -> str:
    """`3.2` of `3.2.1`: what tags of base images have."""
    return ".".join(version.split(".")[:2])


def _wishes(files: Files, folder: str, tool: str, own: tuple[str, ...]) -> list[tuple[str, str]]:
    wishes = [(join(folder, name), (files.text(join(folder, name)) or "").strip()[:200]) for name in own]
    path = join(folder, ".tool-versions")
    line = re.search(rf"^{re.escape(tool)}[ \t]{{1,20}}(\S{{1,40}})", (files.text(path) or "")[:20_000], re.MULTILINE)
    wishes += [(path, line[1])] if line else []
    for path in (join(folder, name) for name in _MISE):
        wish = table(read_toml(files, path, Notes()), "tools").get(tool)
        wishes += (
            [(path, str(wish["version"] if isinstance(wish, dict) and "version" in wish else wish))] if wish else []
        )
    return wishes
