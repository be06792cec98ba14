"""Files that are served as they are, and the sites that Hugo and Jekyll make."""

import re
from posixpath import dirname

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems.manifests import join, line_of, names
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.sightings import ports
from iarnet.analysis.ecosystems.sizes import size
from iarnet.analysis.names import is_inner
from iarnet.analysis.recipes.static import PORT, START, Site, hugo_recipe, jekyll_recipe, static_recipe
from iarnet.models.component import HealthCheck

_FOLDERS = (".", "public", "site", "www", "html", "htdocs")
_HUGO = ("hugo.toml", "hugo.yaml", "hugo.json", "config.toml", "config.yaml")


class Static:
    name = "static"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        """A declared start command means a program, which this is not."""
        if start:
            return None
        return _hugo(files, root) or _jekyll(files, root) or _plain(files, root)


_UNBUILT = re.compile(r"src=[\"']?\.?/?[\w./-]{1,100}\.(?:tsx?|jsx|vue)\b|src=[\"']/src/")
"""A page that loads what a bundler has yet to make."""


def _hugo(files: Files, root: str) -> Profile | None:
    present = names(files, root)
    config = next((name for name in _HUGO if name in present), None)
    sure = config is not None and config.startswith("hugo.")
    if config is None or not (
        sure or (files.paths(join(root, "content"), 2) and "baseURL" in _text(files, root, config))
    ):
        return None
    return _profile(files, root, "hugo", hugo_recipe(), config, "baseURL")


def _jekyll(files: Files, root: str) -> Profile | None:
    present = names(files, root)
    if "_config.yml" not in present:
        return None
    bundled = "jekyll" in _text(files, root, "Gemfile") or "github-pages" in _text(files, root, "Gemfile")
    folders = ("_posts", "_layouts", "_includes", "_site", "_pages")
    if not (bundled or any(files.paths(join(root, folder), 1) for folder in folders)):
        return None
    return _profile(files, root, "jekyll", jekyll_recipe(bundled=bundled), "_config.yml", "title")


def _plain(files: Files, root: str) -> Profile | None:
    folder = next(
        (f for f in _FOLDERS if files.exists(join(root, "index.html" if f == "." else f"{f}/index.html"))), None
    )
    if folder is None or (is_inner(root) and files.exists(join(dirname(root), "package.json"))):
        return None  # what a bundler makes pages from
    page = "index.html" if folder == "." else f"{folder}/index.html"
    if _UNBUILT.search(_text(files, root, page)[:100_000]):
        return None
    return _profile(files, root, None, static_recipe(folder, Site()), page, "<title")


def _profile(files: Files, root: str, framework: str | None, recipe: str, file: str, needle: str) -> Profile:
    notes, path = Notes(), join(root, file)
    line = line_of(files.text(path), needle)
    notes.clue("language", "html", path, line)
    notes.clue("ports", PORT, path, line, 0.9)
    if framework:
        notes.clue("framework", framework, path, line)
    return Profile(
        root=root,
        language="html",
        framework=framework,
        kind="static",
        start_command=START,
        ports=ports(PORT),
        health=HealthCheck(type="http", path="/", port=PORT),
        resources=size("static"),
        recipe=recipe,
        context=root,
        clues=tuple(notes.clues),
    )


def _text(files: Files, root: str, name: str) -> str:
    return files.text(join(root, name)) or ""
