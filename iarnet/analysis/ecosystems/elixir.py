"""Elixir with Mix: Phoenix, Plug, plain applications, as releases."""

import re
from dataclasses import replace

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems.manifests import join, matches
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.program import Framework, Outline, chosen, library, profile
from iarnet.analysis.ecosystems.signs import Signs, read_signs
from iarnet.analysis.ecosystems.versions import asked, minor
from iarnet.analysis.recipes.elixir import ElixirBuild, elixir_recipe

DEFAULT_VERSION = "1.17"
FRAMEWORKS = (
    Framework("phoenix", ("phoenix",), 4000, pages=True, honours=(("PHX_SERVER", "true"), ("PORT", "{port}"))),
    Framework("plug", ("plug_cowboy", "bandit", "cowboy"), 4000),
)
SIGNS = Signs(
    (".ex", ".exs"),
    re.compile(
        r"System\.(?:get_env|fetch_env!)\(\s{0,20}\"(?P<name>[A-Z][A-Z0-9_]{0,80})\"\s{0,20}\)?"
        r"(?:\s{0,9}(?:,|\|\|)\s{0,9}\"(?P<default>[^\"\n]{0,200})\")?"
    ),
    listen=re.compile(
        r"(?:\bhttp:\s{0,20}\[|options:\s{0,20}\[|Bandit|Cowboy)[^\]]{0,300}?\bport:\s{0,20}(?P<at>[^\n]{1,120})"
    ),
    route=re.compile(r"^\s{0,40}get\s{0,20}\(?\s{0,20}\"(?P<path>/[\w/-]{1,60})\"", re.MULTILINE),
    waits=re.compile(r"use GenServer|Supervisor\.start_link"),
)
_APP = re.compile(r"\bapp:\s{0,20}:(\w{1,60})")
_DEPENDENCY = re.compile(r"^\s{0,40}\{\s{0,20}:(\w{1,60})\s{0,20},", re.MULTILINE)
_STARTED = re.compile(r"\bmod:\s{0,20}\{")
_WISH = re.compile(r"(?:^|[ \[,])elixir:\s{0,20}\"[^\d\n]{0,9}(\d+\.\d+)", re.MULTILINE)
_OLDEST, _NEWEST = (1, 14), (1, 18)


class Elixir:
    name = "elixir"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        manifest = join(root, "mix.exs")
        if not files.exists(manifest):
            return None
        notes = Notes()
        text = (files.text(manifest) or "")[:200_000]
        dependencies: dict[str, int | None] = {
            found[1]: text.count("\n", 0, found.start(1)) + 1 for found in matches(_DEPENDENCY, text)
        }
        app = _APP.search(text)
        framework = chosen(FRAMEWORKS, dependencies)
        if app is None or not (_STARTED.search(text) or framework or start):
            return library(root, "elixir", dependencies, notes)
        code = read_signs(files, root, SIGNS, ("mix.exs",))
        code.seen.listens = [
            listen for listen in code.seen.listens if not re.search(r"/(?:dev|test)\.exs$", listen.file)
        ]
        build = ElixirBuild(
            _version(files, root, text, notes),
            _start(start, app[1]),
            app[1],
            assets="assets.deploy" in text,
            locked=files.exists(join(root, "mix.lock")),
        )
        outline = Outline(
            root,
            "elixir",
            manifest,
            build.start,
            framework=framework,
            line=text.count("\n", 0, app.start()) + 1,
            seen=code.seen,
            dependencies=dependencies,
            waits=True,
            recipe=lambda port, env: elixir_recipe(replace(build, port=port, env=env)),
        )
        return profile(outline, notes)


def _start(start: str | None, app: str) -> str:
    """Mix stays in the build: what it would start, the release does."""
    return start if start and not re.match(r"(?:\w{1,80}=\S*\s{1,20})*(?:mix|iex)\b", start) else f"./bin/{app} start"


def _version(files: Files, root: str, text: str, notes: Notes) -> str:
    if wish := asked(files, root, "elixir", (".elixir-version",), notes):
        return minor(wish)
    found = _WISH.search(text)
    if not found:
        return DEFAULT_VERSION
    number = tuple(int(part) for part in found[1].split("."))
    return ".".join(str(part) for part in min(max(number, _OLDEST), _NEWEST))
