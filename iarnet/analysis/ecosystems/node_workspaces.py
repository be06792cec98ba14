"""Workspaces whose applications are in the tool's own files and not in a `package.json` each."""

import re
from posixpath import dirname

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import line_of, read_json, table, text_at
from iarnet.analysis.ecosystems.node_manifests import NodeProject
from iarnet.analysis.ecosystems.node_program import Program
from iarnet.analysis.ecosystems.notes import Notes

MAX_PROJECTS = 50
_SERVES = re.compile(r"^(?:npx )?nx (?:serve|run \S{1,80}:serve)\b")
_NODE = re.compile(r"@n(?:x|rwl)/(?:node|js|webpack|esbuild|nest|express)\b")


def nx_program(files: Files, project: NodeProject) -> Program | None:
    """Where `start` only serves developers, the first application that Nx builds for Node."""
    if not _SERVES.match(project.scripts.get("start", "")):
        return None
    for path in files.named(("project.json",), project.root, 4)[:MAX_PROJECTS]:
        build = table(read_json(files, path, Notes()), "targets", "build")
        tool = text_at(build, "executor") or text_at(build, "builder") or ""
        output = text_at(build, "options", "outputPath")
        if output and dirname(output) and _NODE.match(tool):
            start = f"node {output}/main.js"
            return Program(start, start, path, line_of(files.text(path), '"outputPath"'), serves=True)
    return None
