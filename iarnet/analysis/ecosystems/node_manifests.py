"""What `package.json` and the files around it declare."""

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from posixpath import dirname
from typing import Any

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join, line_of, names, read_json, strings, table, text_at
from iarnet.analysis.ecosystems.notes import Notes

VERSIONS = (18, 20, 22, 24)
DEFAULT_VERSION = 22
MAX_MEMBERS = 80
MANIFESTS = ("package.json", "package.json5")
"""pnpm reads the second one, too (https://pnpm.io/package_json)."""

_LOCKS = (
    ("pnpm", "pnpm-lock.yaml"),
    ("bun", "bun.lock"),
    ("bun", "bun.lockb"),
    ("yarn", "yarn.lock"),
    ("npm", "package-lock.json"),
    ("npm", "npm-shrinkwrap.json"),
)
_PNPM_OF_LOCK = {"5": "7", "6": "8", "9": "9"}
_LIFECYCLE = ("preinstall", "install", "postinstall", "prepare")


@dataclass
class NodeProject:
    """`context` is the folder with the lock file: `root` itself, or the workspace that it belongs to. `major` is the
    package manager's version where it matters. `early`: installing runs scripts of the repository."""

    root: str
    context: str
    package: dict[str, Any]
    manager: str = "npm"
    major: str = ""
    lock: str | None = None
    version: int = DEFAULT_VERSION
    dependencies: set[str] = field(default_factory=set)
    development: set[str] = field(default_factory=set)
    scripts: dict[str, str] = field(default_factory=dict)
    manifests: tuple[str, ...] = ()
    early: bool = False
    turbo: bool = False
    skips: tuple[str, ...] = ()
    manifest: str = "package.json"
    inherited: set[str] = field(default_factory=set)

    @property
    def path(self) -> str:
        return join(self.root, self.manifest)

    @property
    def reached(self) -> set[str]:
        """With the dependencies of the members of the workspace that the program is made of."""
        return self.dependencies | self.inherited

    @property
    def everything(self) -> set[str]:
        return self.dependencies | self.development


_TURBO = ("turbo.json", "turbo.jsonc")
_SKIPPED = {"cypress": "CYPRESS_INSTALL_BINARY=0"}
"""What the installation would download for tests alone, and the setting that spares it."""


def read_project(files: Files, root: str, notes: Notes) -> NodeProject | None:
    """None without a `package.json` in `root`; an unreadable one counts as empty."""
    name = next((name for name in MANIFESTS if files.exists(join(root, name))), None)
    if name is None:
        return None
    package = read_json(files, join(root, name), notes)
    context = _workspace(files, root) or root
    project = NodeProject(root, context, package, manifest=name)
    project.dependencies = {str(name) for name in table(package, "dependencies")}
    project.development = {str(name) for name in table(package, "devDependencies")}
    project.scripts = {name: text for name, text in table(package, "scripts").items() if isinstance(text, str)}
    top = package if context == root else read_json(files, join(context, "package.json"), notes)
    _choose_manager(files, project, top)
    project.version = _version(files, project, top, notes)
    project.manifests = _manifests(files, project)
    project.early = any(hook in table(owner, "scripts") for owner in (package, top) for hook in _LIFECYCLE)
    shared = table(top, "devDependencies") | table(top, "dependencies")
    project.turbo = "turbo" in shared and any(files.exists(join(context, name)) for name in _TURBO)
    project.skips = tuple(_SKIPPED[name] for name in sorted(_SKIPPED.keys() & (project.everything | set(shared))))
    project.inherited = _inherited(files, project)
    _note_dependencies(files, project, notes)
    return project


def _inherited(files: Files, project: NodeProject) -> set[str]:
    """Of members of the same workspace, by the names that they have there, directly or not."""
    if project.context == project.root:
        return set()
    members = files.once(f"node members {project.context}", lambda: _members(files, project.context))
    seen, waiting = set[str](), [project.dependencies]
    while waiting:
        for name in (waiting.pop() & members.keys()) - seen:
            seen.add(name)
            waiting.append({str(each) for each in table(members[name], "dependencies")})
    return {str(each) for name in seen for each in table(members[name], "dependencies")}


def _members(files: Files, context: str) -> dict[str, dict[str, Any]]:
    paths = files.named(("package.json",), context, 4)[:MAX_MEMBERS]
    return {text_at(found, "name") or path: found for path in paths if (found := read_json(files, path, Notes()))}


def has_workspaces(files: Files, root: str, package: dict[str, Any]) -> bool:
    """pnpm keeps its settings in the file that names the members, too."""
    return "workspaces" in package or _PNPM_MEMBERS.search(_pnpm(files, root)) is not None


def _workspace(files: Files, root: str) -> str | None:
    """The nearest folder above whose workspaces include `root`, unless `root` has a lock file of its own."""
    if root == "." or any(lock in names(files, root) for _, lock in _LOCKS):
        return None
    folder = root
    while folder not in ("", "."):
        folder = dirname(folder) or "."
        inside = root if folder == "." else root[len(folder) + 1 :]
        if any(fnmatchcase(inside, pattern.removeprefix("./").rstrip("/")) for pattern in _patterns(files, folder)):
            return folder
    return None


def _patterns(files: Files, folder: str) -> list[str]:
    declared = read_json(files, join(folder, "package.json"), Notes()).get("workspaces")
    listed = strings(declared) + strings(table(declared).get("packages"))
    return listed + re.findall(r"^[ \t]*-[ \t]*[\"']?([^\"'\s#]+)[\"']?[ \t]*$", _pnpm(files, folder), re.MULTILINE)


def _pnpm(files: Files, folder: str) -> str:
    return (files.text(join(folder, "pnpm-workspace.yaml")) or "")[:50_000]


_PNPM_MEMBERS = re.compile(r"^packages:[^\n]{0,200}(?:-|\n\s{0,9}-|\n\s{0,9}#[^\n]{0,200}\n|\[)", re.MULTILINE)


def _choose_manager(files: Files, project: NodeProject, top: dict[str, Any]) -> None:
    """`packageManager` decides, then the lock file."""
    present = names(files, project.context)
    asked = re.match(r"(npm|pnpm|yarn|bun)@(\d+)", text_at(top, "packageManager") or "")
    locks = [(manager, lock) for manager, lock in _LOCKS if lock in present]
    if asked:
        project.manager, project.major = asked[1], asked[2]
        project.lock = next((lock for manager, lock in locks if manager == asked[1]), None)
    elif locks:
        project.manager, project.lock = locks[0]
    elif "pnpm-workspace.yaml" in present:
        project.manager = "pnpm"
    if not project.major and project.lock:
        project.major = _major_of_lock(
            files.text(join(project.context, project.lock)) or "", project.manager, present
        )


def _major_of_lock(text: str, manager: str, present: frozenset[str]) -> str:
    if manager == "pnpm":
        found = re.search(r"lockfileVersion:\s*[\"']?(\d+)", text[:500])
        return _PNPM_OF_LOCK.get(found[1] if found else "", "9")
    if manager == "yarn":
        return "4" if "__metadata:" in text[:2000] or ".yarnrc.yml" in present else "1"
    return ""


def _version(files: Files, project: NodeProject, top: dict[str, Any], notes: Notes) -> int:
    places = [join(f, n) for f in dict.fromkeys((project.root, project.context)) for n in (".nvmrc", ".node-version")]
    wishes = [(path, files.text(path) or "") for path in places]
    wishes += [(project.path, text_at(owner, "engines", "node") or "") for owner in (project.package, top)]
    for path, wish in wishes:
        if version := nearest_version(wish):
            notes.clue("version", version, path, line_of(files.text(path), wish.strip()))
            return version
    return DEFAULT_VERSION


def nearest_version(wish: str) -> int | None:
    """The major version to use for `20`, `v20.1.0`, `>=18`, `^20 || ^22`, `lts/iron`; None when nothing is said."""
    named = {"argon": 18, "hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24}.get(
        wish.strip().removeprefix("lts/").lower()
    )
    if named:
        return named
    numbers = [int(found) for found in re.findall(r"(?<![\d.])v?(\d{1,2})(?:\.[\dx*]+)*", wish[:200])]
    if not numbers:
        return None
    if ">" in wish and "<" not in wish:
        return max(DEFAULT_VERSION, min(VERSIONS, key=lambda v: (v < min(numbers), v)))
    exact = [number for number in numbers if number in VERSIONS]
    return max(exact) if exact else min(VERSIONS, key=lambda v: (abs(v - numbers[0]), v))


def _manifests(files: Files, project: NodeProject) -> tuple[str, ...]:
    """What an installation reads, relative to the context: manifests of all workspaces, lock, settings, patches."""
    context, present = project.context, names(files, project.context)
    own = (project.manifest, project.lock, ".npmrc", ".yarnrc.yml", ".yarnrc", "pnpm-workspace.yaml", "bunfig.toml")
    found = [name for name in own if name and name in present]
    if project.manager == "yarn":
        found += [path for path in (".yarn/releases", ".yarn/plugins") if files.paths(join(context, path), 1)]
    found += [folder for folder in ("patches", "prisma") if files.paths(join(context, folder), 1)]
    if context != project.root or has_workspaces(files, project.root, project.package):
        below = files.named(("package.json",), context, 4)
        found += [path if context == "." else path[len(context) + 1 :] for path in below if dirname(path) != context][
            :80
        ]
    return tuple(found)


def _note_dependencies(files: Files, project: NodeProject, notes: Notes) -> None:
    text = files.text(project.path)
    for name in sorted(project.dependencies):
        notes.clue("dependencies", name, project.path, line_of(text, f'"{name}"'))
