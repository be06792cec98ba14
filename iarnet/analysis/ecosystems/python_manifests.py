"""What a Python project declares: packages, the tool that installs them, the Python version, console scripts."""

import ast
import configparser
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from posixpath import dirname
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join, line_of, names, read_toml, strings, table, text_at
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.python_code import parse

MANIFESTS = ("pyproject.toml", "requirements.txt", "Pipfile", "setup.py", "setup.cfg", "manage.py")
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
DEFAULT_VERSION = "3.12"
LINE_LIMIT, LINES_LIMIT = 2_000, 5_000

REQUIREMENT_FILES = re.compile(r"requirements.*\.(txt|in)")
_PREFERRED = ("requirements.txt", "requirements-prod.txt", "requirements/prod.txt", "requirements/production.txt",
              "requirements/base.txt", "requirements/common.txt", "requirements.in")  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")


@dataclass
class PythonProject:
    """`manager` installs from `lock` (and `manifest`); without a lock from `requirements`, a file to hand to pip, or
    else from `wanted`, requirement strings. `member`: its name in the workspace whose root is `context`."""

    manager: str = "pip"
    version: str = DEFAULT_VERSION
    lock: str | None = None
    requirements: str | None = None
    wanted: list[str] = field(default_factory=list)
    dependencies: set[str] = field(default_factory=set)
    scripts: dict[str, str] = field(default_factory=dict)
    packaged: bool = False
    declared: bool = False
    copies: list[str] = field(default_factory=list)
    vcs: bool = False
    context: str | None = None
    member: str | None = None


def read_project(files: Files, root: str, notes: Notes) -> PythonProject:
    """Everything that the manifests of `root` say; `declared` is false when there is none."""
    project, present = PythonProject(), names(files, root)
    document = read_toml(files, join(root, "pyproject.toml"), notes)
    project.declared = bool(present & set(MANIFESTS)) or any(REQUIREMENT_FILES.fullmatch(name) for name in present)
    _read_requirements(files, root, project, notes)
    _read_pyproject(document, project)
    _read_pipfile(read_toml(files, join(root, "Pipfile"), notes), project)
    _read_setup(files, root, project)
    _choose_manager(document, present, project)
    _join_workspace(files, root, document, project)
    project.version = _version(files, root, document, notes)
    return project


def requirement_names(line: str) -> set[str]:
    """The normalised name in one line of a requirements file, also with each extra (`celery[redis]`); empty for
    options, comments and paths."""
    text = re.sub(r"(^|\s)#.*", "", line).split(" --hash")[0].strip().rstrip("\\").strip()
    if egg := _EGG.search(text):
        return {canonicalize_name(egg[1])}
    if not text or text.startswith(("-", ".", "/")) or "://" in text.split("@")[0]:
        return set()
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        found = _NAME.match(text)
        return {canonicalize_name(found[0])} if found else set()
    name = canonicalize_name(requirement.name)
    return {name, *(f"{name}[{extra}]" for extra in requirement.extras)}


def _read_requirements(files: Files, root: str, project: PythonProject, notes: Notes) -> None:
    present = files.ending((".txt", ".in"), root, 2)
    local = [path if root == "." else path[len(root) + 1 :] for path in present]
    chosen = next((name for name in _PREFERRED if name in local), None)
    chosen = chosen or next((name for name in sorted(local) if REQUIREMENT_FILES.fullmatch(name)), None)
    if chosen is None:
        return
    project.requirements, project.copies = chosen, []
    _follow(files, root, chosen, project, notes)


def _follow(files: Files, root: str, name: str, project: PythonProject, notes: Notes) -> None:
    """Read one requirements file and those it includes, each once and none outside of `root`."""
    if name in project.copies or len(project.copies) > 30:
        return
    text = files.text(join(root, name))
    if text is None:
        notes.warn("missing-file", f"{name} is included but is not there", join(root, name))
        return
    project.copies.append(name)
    for number, line in enumerate(text.splitlines()[:LINES_LIMIT], start=1):
        if len(line) > LINE_LIMIT:
            continue
        project.vcs = project.vcs or "git+" in line
        included = re.match(r"\s*(?:-r|-c|--requirement|--constraint)[ =]\s*(\S+)", line)
        if included and (path := _beside(name, included[1])):
            _follow(files, root, path, project, notes)
        elif packages := requirement_names(line):
            project.dependencies |= packages
            notes.clue("dependencies", min(packages, key=len), join(root, name), number)


def _beside(name: str, other: str) -> str | None:
    folder = name.rpartition("/")[0]
    parts: list[str] = folder.split("/") if folder else []
    for part in other.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) or None


def _read_pyproject(document: dict[str, Any], project: PythonProject) -> None:
    wanted = strings(table(document, "project").get("dependencies"))
    poetry = table(document, "tool", "poetry")
    project.wanted += wanted
    project.dependencies |= {name for line in wanted for name in requirement_names(line)}
    project.dependencies |= {
        canonicalize_name(str(n)) for n in table(poetry, "dependencies") if str(n).lower() != "python"
    }
    scripts = table(document, "project", "scripts") | table(poetry, "scripts")
    project.scripts = {name: target for name, target in scripts.items() if isinstance(target, str)}
    not_a_package = poetry.get("package-mode") is False or table(document, "tool", "uv").get("package") is False
    project.packaged = "build-system" in document and not not_a_package
    project.vcs = project.vcs or any("git+" in line for line in wanted)


def _read_pipfile(document: dict[str, Any], project: PythonProject) -> None:
    for name, constraint in table(document, "packages").items():
        project.dependencies.add(canonicalize_name(name))
        version = constraint if isinstance(constraint, str) else text_at(constraint, "version") or "*"
        project.wanted.append(name + ("" if version == "*" else version))


def _read_setup(files: Files, root: str, project: PythonProject) -> None:
    lines = _setup_cfg(files.text(join(root, "setup.cfg"))) + _setup_py(files.text(join(root, "setup.py")))
    project.dependencies |= {name for line in lines for name in requirement_names(line)}
    if not project.requirements:
        project.wanted += lines
    project.packaged = project.packaged or files.exists(join(root, "setup.py"))


def _setup_cfg(text: str | None) -> list[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text or "")
        value = parser.get("options", "install_requires", fallback="")
    except configparser.Error:
        return []
    return [line.strip() for line in value.splitlines() if line.strip()]


def _setup_py(text: str | None) -> list[str]:
    try:
        tree = parse(text or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    lists = [
        k.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for k in node.keywords
        if k.arg == "install_requires"
    ]
    items = [item for value in lists if isinstance(value, ast.List) for item in value.elts]
    return [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def _choose_manager(document: dict[str, Any], present: frozenset[str], project: PythonProject) -> None:
    """A lock file decides; without one poetry alone has constraints that pip can't read."""
    for manager, lock, manifest in (
        ("uv", "uv.lock", "pyproject.toml"),
        ("poetry", "poetry.lock", "pyproject.toml"),
        ("pdm", "pdm.lock", "pyproject.toml"),
        ("pipenv", "Pipfile.lock", "Pipfile"),
    ):
        if {lock, manifest} <= present:
            project.manager, project.lock, project.copies = manager, lock, [manifest, lock]
            return
    if project.requirements is None and table(document, "tool", "poetry", "dependencies"):
        project.manager, project.copies = "poetry", ["pyproject.toml"]


def _join_workspace(files: Files, root: str, document: dict[str, Any], project: PythonProject) -> None:
    """A member of uv's workspace is installed from the root of that, where the lock is."""
    name, folder = text_at(document, "project", "name"), root
    while name and folder not in ("", "."):
        folder = dirname(folder) or "."
        if files.exists(join(folder, "uv.lock")):
            above = read_toml(files, join(folder, "pyproject.toml"), Notes())
            inside = root.removeprefix(join(folder, "")) if folder != "." else root
            members = strings(table(above, "tool", "uv", "workspace").get("members"))
            if any(fnmatchcase(inside, pattern) for pattern in members):
                project.manager, project.copies = "uv", []
                project.context, project.member = folder, name
            return


def _version(files: Files, root: str, document: dict[str, Any], notes: Notes) -> str:
    """The Python that is asked for, or the nearest that there is an image of."""
    for name, wish in _wishes(files, root, document, notes):
        if version := _nearest(wish):
            path = join(root, name)
            notes.clue("version", version, path, line_of(files.text(path), wish.split("\n")[0]))
            if re.fullmatch(r"3\.\d+", wish) and wish != version:
                notes.warn("version", f"Python {wish} has no image here; {version} is used", path)
            return version
    return DEFAULT_VERSION


def _wishes(files: Files, root: str, document: dict[str, Any], notes: Notes) -> list[tuple[str, str]]:
    pipfile = read_toml(files, join(root, "Pipfile"), Notes())
    found = [
        (".python-version", _exact(files.text(join(root, ".python-version")))),
        ("runtime.txt", _exact(files.text(join(root, "runtime.txt")))),
        (
            "Pipfile",
            text_at(pipfile, "requires", "python_full_version") or text_at(pipfile, "requires", "python_version"),
        ),
        ("pyproject.toml", text_at(document, "project", "requires-python")),
        ("pyproject.toml", text_at(document, "tool", "poetry", "dependencies", "python")),
    ]
    return [(name, wish) for name, wish in found if wish]


def _exact(text: str | None) -> str | None:
    found = re.search(r"3\.\d+", text or "")
    return found[0] if found else None


def _nearest(wish: str) -> str | None:
    if exact := re.fullmatch(r"(3\.\d{1,2})(\.\d+)?", wish.strip()):
        minor = int(exact[1].split(".")[1])
        return min(VERSIONS, key=lambda v: abs(int(v.split(".")[1]) - minor))
    try:
        allowed = SpecifierSet(re.sub(r"[\^~](?=\d)", ">=", wish))  # poetry's caret and tilde have a lower end, too
    except InvalidSpecifier:
        return None
    fitting = [v for v in VERSIONS if allowed.contains(f"{v}.99") or allowed.contains(v)]
    if not fitting or DEFAULT_VERSION in fitting:
        return DEFAULT_VERSION if fitting else None
    return fitting[-1] if fitting[-1] < DEFAULT_VERSION or len(fitting[-1]) < 4 else fitting[0]
