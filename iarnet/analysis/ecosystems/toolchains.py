"""Languages of which the build tool's own file says all that is needed: one row each."""

import re
from collections.abc import Iterable
from dataclasses import replace

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems.manifests import join, line_of, names
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.program import Outline, profile
from iarnet.analysis.ecosystems.signs import Signs, read_signs
from iarnet.analysis.ecosystems.toolchain_table import TOOLCHAINS, Toolchain
from iarnet.analysis.ecosystems.versions import asked
from iarnet.analysis.recipes.stages import Stages, stages_recipe

_GETENV = re.compile(
    r"(?:getenv|getEnv|lookupEnv|System/getenv|environment\[|ENV\[|sys\.env(?:\.get)?\(|get_env|Platform\.environment\[)"
    r"\s{0,5}\(?\s{0,5}[\"'](?P<name>[A-Z][A-Z0-9_]{0,80})[\"']"
)
_LISTEN = re.compile(
    r"(?:\.listen|:port|\.bind|\bport\s{0,5}[:=(]|run-jetty|\.serve|run_server|Server\.new|serve\()(?P<at>[^\n]{1,120})"
)
_WAITS = re.compile(r"while\s{1,20}true|forever|process\.sleep_forever", re.IGNORECASE)


class Toolchains:
    name = "toolchains"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        present = names(files, root)
        for toolchain in TOOLCHAINS:
            manifest = _manifest(files, root, toolchain, present)
            if manifest:
                return _profile(files, root, toolchain, manifest, start)
        return None


def _manifest(files: Files, root: str, toolchain: Toolchain, present: Iterable[str]) -> str | None:
    """Sources themselves count as a manifest where a language has none: `index` before the others."""
    if not toolchain.manifest.startswith("."):
        return join(root, toolchain.manifest) if toolchain.manifest in present else None
    found = [join(root, name) for name in present if name.endswith(toolchain.manifest)]
    found = found or [path for path in files.paths(join(root, "src"), 1) if path.endswith(toolchain.manifest)]
    return min(
        found,
        key=lambda path: (
            not path.endswith(f"/index{toolchain.manifest}") and path != f"index{toolchain.manifest}",
            path,
        ),
        default=None,
    )


def _profile(files: Files, root: str, toolchain: Toolchain, manifest: str, start: str | None) -> Profile:
    notes = Notes()
    text = (files.text(manifest) or "")[:200_000]
    text += "\n" + (files.text(join(root, toolchain.also)) or "")[:200_000] if toolchain.also else ""
    found = toolchain.program.search(text)
    name = next((group for group in found.groups() if group), "app") if found else "app"
    values = {
        "name": name.rpartition("/")[2],
        "file": manifest.rpartition("/")[2].rpartition(".")[0],
        "path": manifest.removeprefix(join(root, "")),
    }
    code = read_signs(files, root, Signs(toolchain.suffixes, _GETENV, _LISTEN, waits=_WAITS), ())
    framework = next((f for f in toolchain.frameworks if any(marker in text for marker in f.markers)), None)
    if framework is None:
        code.seen.listens.clear()
    asked(files, root, toolchain.language, (f".{toolchain.language}-version", ".jdk-version"), notes)
    stages = Stages(
        toolchain.build,
        toolchain.run,
        start or toolchain.start.format(**values),
        steps=tuple(_filled(step, values) for step in toolchain.steps),
        results=((toolchain.result[0].format(**values), toolchain.result[1].format(**values)),),
        tools=toolchain.tools,
        packages=toolchain.packages,
    )
    outline = Outline(
        root,
        toolchain.language,
        manifest,
        stages.start,
        framework=framework,
        line=line_of(text, found[0]) if found else 1,
        confidence=0.7,
        seen=code.seen,
        waits=code.waits,
        dependencies={
            marker: line_of(text, marker) for marker in (framework.markers if framework else ()) if marker in text
        },
        recipe=lambda port, env: stages_recipe(replace(stages, port=port, env=env)),
    )
    return profile(outline, notes)


def _filled(step: tuple[str, ...] | str, values: dict[str, str]) -> tuple[str, ...] | str:
    return step if isinstance(step, str) else tuple(part.format(**values) for part in step)
