"""What `libs.ktor.server.core` stands for in a Gradle build: https://docs.gradle.org/current/userguide/version_catalogs.html"""

import re
from typing import Any

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join, matches, read_toml, table
from iarnet.analysis.ecosystems.notes import Notes

_ACCESSOR = re.compile(
    r"\b(?:implementation|api|compile|runtimeOnly|runtime|compileOnly|alias|platform)\b[ \t]{0,40}\(?[ \t]{0,40}"
    r"libs\.([A-Za-z][\w.]{1,100})"
)


def named(files: Files, context: str, text: str) -> tuple[dict[str, int], set[str]]:
    """The modules (`group:artifact`, with the line) and the IDs of plugins that a build file takes from the catalogue
    of its project; none without one."""
    if "libs." not in text:
        return {}, set()
    catalogue = read_toml(files, join(context, "gradle/libs.versions.toml"), Notes())
    libraries = {_accessor(alias): found for alias, value in table(catalogue, "libraries").items()
                 if (found := _module(value))}  # fmt: skip
    bundles = {_accessor(alias): [name for name in value if isinstance(name, str)]
               for alias, value in table(catalogue, "bundles").items() if isinstance(value, list)}  # fmt: skip
    plugins = {_accessor(alias): found for alias, value in table(catalogue, "plugins").items()
               if (found := _id(value))}  # fmt: skip
    modules: dict[str, int] = {}
    used: set[str] = set()
    for match in matches(_ACCESSOR, text):
        kind, _, rest = match[1].partition(".")
        line = text.count("\n", 0, match.start()) + 1
        if kind == "plugins" and rest in plugins:
            used.add(plugins[rest])
        aliases = bundles.get(rest, []) if kind == "bundles" else [match[1]]
        modules |= {libraries[name]: line for name in map(_accessor, aliases) if name in libraries}
    return modules, used


def _accessor(alias: str) -> str:
    return re.sub(r"[-_.]", ".", alias)


def _module(value: Any) -> str | None:
    """`"g:a:1"`, `{module = "g:a"}` or `{group = "g", name = "a"}`."""
    if isinstance(value, dict):
        value = value.get("module") or f"{value.get('group', '')}:{value.get('name', '')}"
    found = re.match(r"([\w.-]+):([\w.-]+)", value) if isinstance(value, str) else None
    return found[0] if found else None


def _id(value: Any) -> str | None:
    text = value.get("id") if isinstance(value, dict) else value
    return text.partition(":")[0] if isinstance(text, str) else None
