"""Deno: tasks of its configuration, or the usual entry file; Fresh, Oak, Hono."""

import re
from dataclasses import replace
from posixpath import dirname
from typing import Any

from iarnet.analysis import jsonc
from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems.manifests import join, line_of, names, table
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.program import Framework, Outline, profile
from iarnet.analysis.ecosystems.signs import Code, Signs, read_signs
from iarnet.analysis.ecosystems.versions import asked
from iarnet.analysis.recipes.stages import Stages, stages_recipe

FRAMEWORKS = (
    Framework("fresh", ("fresh",), 8000, pages=True),
    Framework("oak", ("oak",), 8000),
    Framework("hono", ("hono",), 8000),
)
SIGNS = Signs(
    (".ts", ".tsx", ".js", ".mjs", ".jsx"),
    re.compile(
        r"Deno\.env\.get\(\s{0,20}[\"'](?P<name>[A-Za-z_]\w{0,80})[\"']\s{0,20}\)(?:\s{0,9}(?:\|\||\?\?)\s{0,9}[\"']?(?P<default>[\w.:/-]{1,100}))?"
    ),
    listen=re.compile(r"(?:Deno\.(?:serve|listen)|\.listen|\bserve)\(\s{0,20}(?P<at>[^\n]{1,160})"),
    route=re.compile(r"\.get\(\s{0,20}[\"'](?P<path>/[\w/-]{1,60})[\"']"),
    pages=re.compile(r"text/html|<html|\.tsx[\"']", re.IGNORECASE),
)
CONFIGURATIONS = ("deno.json", "deno.jsonc")
_ENTRIES = tuple(f"{folder}{name}.{suffix}" for folder in ("", "src/", "server/")
                 for name in ("main", "server", "index", "app", "mod") for suffix in ("ts", "tsx", "js"))  # fmt: skip
_SIGN = re.compile(r"\bDeno\.\w|https://deno\.land/|[\"']jsr:@|[\"']npm:")
_IMPORTED = re.compile(r"(?:deno\.land/x/|jsr:@|npm:)@?([\w-]{1,40})(?:/([\w-]{1,40}))?")


class Deno:
    name = "deno"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        present = names(files, root)
        config = next((name for name in CONFIGURATIONS if name in present), None)
        entry = next((name for name in _ENTRIES if files.exists(join(root, name))), None)
        if "package.json" in present and not (config and "start" in _tasks(files, root, config)):
            return None
        if config is None and start is None and _belongs_to_another(files, root):
            return None
        if config is None and not (entry and _SIGN.search((files.text(join(root, entry)) or "")[:100_000])):
            return None
        found = _start(files, root, config, entry)
        if start is None and found is None:
            return None
        notes = Notes()
        command = start or found or ""
        code = read_signs(files, root, SIGNS, CONFIGURATIONS)
        manifest = join(root, config or entry or ".")
        dependencies: dict[str, int | None] = dict.fromkeys(_imported(files, root, config, code))
        framework = next((f for f in FRAMEWORKS if f.name in dependencies), None)
        version = asked(files, root, "deno", (".deno-version", ".dvmrc"), notes)
        task = line_of(files.text(manifest), '"start"') if config else None
        outline = Outline(
            root,
            "typescript" if (entry or "").endswith(("ts", "tsx")) or entry is None else "javascript",
            manifest,
            command,
            framework=framework,
            file=manifest if task else join(root, entry or config or "."),
            line=task or 1,
            seen=code.seen,
            dependencies=dependencies,
        )
        stages = Stages(
            f"denoland/deno:{version or '2'}" if not version or version.count(".") == 2 else "denoland/deno:2",
            f"denoland/deno:{version or '2'}" if not version or version.count(".") == 2 else "denoland/deno:2",
            command,
            steps=(("deno", "cache", entry),) if entry else (),
            results=(("/src", "/app"), ("/deno-dir", "/deno-dir")),
        )
        return profile(
            replace(outline, recipe=lambda port, env: stages_recipe(replace(stages, port=port, env=env))), notes
        )


def _belongs_to_another(files: Files, root: str) -> bool:
    """Whether a folder above is a project of Deno's, so that this one only has code of it."""
    above = root
    while above not in ("", "."):
        above = dirname(above) or "."
        if any(files.exists(join(above, name)) for name in CONFIGURATIONS):
            return True
    return False


def _start(files: Files, root: str, config: str | None, entry: str | None) -> str | None:
    task = _tasks(files, root, config).get("start") if config else None
    if isinstance(task, str) and task:
        return task
    # https://jsr.io/docs/package-configuration
    published = config is not None and "exports" in _read(files, join(root, config))
    return f"deno run --allow-all {entry}" if entry and not published else None


def _tasks(files: Files, root: str, config: str) -> dict[str, Any]:
    return table(_read(files, join(root, config)), "tasks")


def _read(files: Files, path: str) -> dict[str, Any]:
    try:
        return jsonc.loads(files.text(path) or "{}")
    except (ValueError, RecursionError):
        return {}


def _imported(files: Files, root: str, config: str | None, code: Code) -> list[str]:
    texts = [*code.texts.values(), (files.text(join(root, config)) or "")[:200_000] if config else ""]
    texts.append((files.text(join(root, "import_map.json")) or "")[:200_000])
    found = {name for text in texts for pair in _IMPORTED.findall(text[:200_000]) for name in pair if name}
    return sorted(found)[:100]
