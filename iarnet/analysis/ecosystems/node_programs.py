"""Which program a Node folder holds, and what its start script comes down to."""

import re
from posixpath import normpath

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join, line_of, names, text_at
from iarnet.analysis.ecosystems.node_frameworks import (
    BUNDLERS,
    SERVERS,
    Delivery,
    Framework,
    delivery,
    detect,
    is_development,
)
from iarnet.analysis.ecosystems.node_manifests import NodeProject, has_workspaces
from iarnet.analysis.ecosystems.node_program import Program
from iarnet.analysis.ecosystems.node_workspaces import nx_program
from iarnet.analysis.ecosystems.sightings import Seen
from iarnet.analysis.recipes import static

_ENTRIES = tuple(
    f"{folder}{name}.{suffix}"
    for suffix in ("js", "mjs", "cjs", "ts", "mts")
    for folder in ("", "src/", "server/", "app/")
    for name in ("index", "server", "app", "main", "bot", "worker")
)
_PREVIEWS = re.compile(r"(?:npx )?(?:serve\b|vite preview|http-server|astro preview|gatsby serve|docusaurus serve)")
_START_SCRIPTS = ("start:prod", "start:production", "prod", "start")
_MONOREPO = re.compile(
    r"\b(?:turbo|lerna|nx|concurrently|npm-run-all)\b|(?:\s-w\s|--workspace|--filter|-r\s+run|workspaces )"
)
_CONSUMERS = (
    "bullmq",
    "bull",
    "bee-queue",
    "amqplib",
    "kafkajs",
    "node-cron",
    "cron",
    "telegraf",
    "discord.js",
    "agenda",
)
_PUBLISHED = frozenset({"files", "exports", "types", "typings", "bin", "publishConfig", "browser"})


def without_manifest(files: Files, root: str, start: str | None) -> NodeProject | None:
    """A server written for plain Node needs no `package.json`."""
    entry = next((name for name in _ENTRIES[:24] if name in names(files, root)), None)
    if entry is None or "index.html" in names(files, root):
        return None
    serves = re.search(r"createServer|require\(|\.listen\(", files.text(join(root, entry)) or "")
    return NodeProject(root, root, {}) if start or serves else None


def declared_program(project: NodeProject, start: str) -> Program:
    """A declared command; `npm start` and its kind are looked up."""
    found = re.fullmatch(r"(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?([\w:.-]+)", start.strip())
    script = found[1] if found and found[1] in project.scripts else None
    run = resolved(project, script) if script else start
    return Program(start, run, project.path, script=script)


def find_program(files: Files, project: NodeProject, framework: Framework | None, seen: Seen) -> Program | None:
    if program := nx_program(files, project):
        return program
    if _is_monorepo_root(files, project):
        return None
    if framework and framework.pages and _is_part(project):
        return None
    if (
        framework
        and framework.pages
        and (framework.name not in BUNDLERS or is_development(project) or not seen.listens)
    ):
        return _framework_program(files, project, framework, seen)
    return _script_program(files, project) or _entry_program(files, project, seen)


def _is_part(project: NodeProject) -> bool:
    """A package for applications of the framework: published, and with nothing to build or start."""
    runs = {"build", "start", "dev", "serve", "preview", "generate"} & project.scripts.keys()
    return not runs and not _PUBLISHED.isdisjoint(project.package)


def _is_monorepo_root(files: Files, project: NodeProject) -> bool:
    """The root of a workspace starts its members, which are components of their own."""
    if not has_workspaces(files, project.root, project.package):
        return False
    start = project.scripts.get("start", "")
    if not start and _is_program(files, project):
        return False
    return not start or bool(_MONOREPO.search(start)) or bool(re.match(r"(?:npm|pnpm|yarn|bun)\b", start))


def _is_program(files: Files, project: NodeProject) -> bool:
    """A root that is never published and has an entry of its own, whose members are there to be imported."""
    entry = text_at(project.package, "main") or text_at(project.package, "module")
    if not (project.package.get("private") and entry and files.exists(join(project.root, normpath(entry)))):
        return False
    members = [path for path in files.named(("package.json",), project.root, 4) if "/" in path][:80]
    return not any(re.search(r"\"(?:start|dev|serve)\"\s{0,9}:", files.text(path) or "") for path in members)


def _framework_program(files: Files, project: NodeProject, framework: Framework, seen: Seen) -> Program | None:
    found = delivery(files, project, framework)
    own_server = not is_development(project) and not _PREVIEWS.match(project.scripts["start"])
    if found.output is not None and not (own_server and seen.listens and framework.name in BUNDLERS):
        line = line_of(files.text(project.path), '"build"')
        return Program(static.START, "", project.path, line, delivery=found)
    if own_server and (program := _script_program(files, project)):
        return Program(**{**program.__dict__, "delivery": Delivery(port=found.port, warning=None)})
    return Program(found.start, found.start, project.path, delivery=found, adds=found.adds) if found.start else None


def _script_program(files: Files, project: NodeProject) -> Program | None:
    for script in _START_SCRIPTS:
        text = project.scripts.get(script)
        if text and not (script == "start" and _NOT_A_START.match(text)):
            line = line_of(files.text(project.path), f'"{script}"')
            return Program(shown(project, script), resolved(project, script), project.path, line, script)
    if "@nestjs/core" in project.everything:
        return Program("node dist/main", "node dist/main", project.path)
    return None


_NOT_A_START = re.compile(r"nest start(?!.*--prod)|(?:npx )?(?:expo|react-native) start")
"""For developers, who look at it on a telephone perhaps."""


def shown(project: NodeProject, script: str) -> str:
    return f"{project.manager} run {script}"


def resolved(project: NodeProject, script: str) -> str:
    """The script's own command, so that no package manager stands between the engine and the program. Scripts with
    hooks keep it."""
    text = project.scripts[script].strip()
    hooked = f"pre{script}" in project.scripts or f"post{script}" in project.scripts
    if hooked or re.search(r"npm_\w+", text):
        return shown(project, script)
    text = re.sub(r"^(?:npx\s+)?nodemon\s+(?:--?\w+\s+)*(?=\S+\.js)", "node ", text)
    text = re.sub(r"^(?:npx\s+)?nodemon$", "node .", text)
    nested = re.fullmatch(r"(?:npm|pnpm|yarn|bun)\s+(?:run\s+)?([\w:.-]+)", text)
    if nested and nested[1] in project.scripts and nested[1] != script:
        return project.scripts[nested[1]]
    return re.sub(r"^cross-env\s+", "", text)


def _entry_program(files: Files, project: NodeProject, seen: Seen) -> Program | None:
    """`main`, or the file with the usual name; where that is a library, one of these that opens a port."""
    main = text_at(project.package, "main") or text_at(project.package, "module")
    listed = [normpath(main), normpath(f"{main}.js"), normpath(f"{main}/index.js")] if main else []
    inside = [name for name in (*listed, *_ENTRIES) if not name.startswith("..")]
    found = [name for name in inside if files.exists(join(project.root, name))]
    serving = {listen.file for listen in seen.listens}
    entry = found[0] if found and (_runs(files, project) or join(project.root, found[0]) in serving) else None
    if entry is None and _only_package(files, project):
        entry = next((name for name in found if join(project.root, name) in serving), None)
    if entry is None:
        return None
    if project.manager == "bun":
        return Program(f"bun {entry}", f"bun {entry}", join(project.root, entry))
    typed = entry.endswith("ts")
    run = f"{'tsx' if typed else 'node'} {entry}"
    adds = ("tsx",) if typed and "tsx" not in project.everything else ()
    return Program(run, run, join(project.root, entry), adds=adds)


def _runs(files: Files, project: NodeProject) -> bool:
    """Whether the package is there to be run, whatever its code shows."""
    consumes = bool(project.dependencies & set(_CONSUMERS)) and _PUBLISHED.isdisjoint(project.package)
    return consumes or not project.package or _is_alone(files, project) or _is_application(files, project)


def _is_alone(files: Files, project: NodeProject) -> bool:
    """The only package of the repository, and nothing in it speaks of publishing: it is there to be run."""
    if has_workspaces(files, project.root, project.package):
        return True
    return _PUBLISHED.isdisjoint(project.package) and _only_package(files, project)


def _only_package(files: Files, project: NodeProject) -> bool:
    if project.context != project.root:
        return False
    return not any("/" in path and path != project.path for path in files.named(("package.json",)))


def _is_application(files: Files, project: NodeProject) -> bool:
    framework = detect(files, project)
    return framework is not None and framework.name in SERVERS and "files" not in project.package
