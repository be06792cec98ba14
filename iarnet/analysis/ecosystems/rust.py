"""Rust with Cargo: packages and workspaces; Axum, Actix, Rocket, Warp, Tonic and others."""

import re
from dataclasses import dataclass
from posixpath import basename, dirname, normpath
from typing import Any

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.configured import configured
from iarnet.analysis.ecosystems.manifests import join, line_of, names, read_toml, strings, table, text_at
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.program import Framework, Outline, chosen, library, profile
from iarnet.analysis.ecosystems.signs import Signs, read_signs
from iarnet.analysis.ecosystems.versions import asked, minor
from iarnet.analysis.recipes.rust import RustBuild, rust_recipe

FRAMEWORKS = (
    Framework("rocket", ("rocket",), 8000, honours=(("ROCKET_ADDRESS", "0.0.0.0"), ("ROCKET_PORT", "{port}"))),
    Framework("actix", ("actix-web",)),
    Framework("loco", ("loco-rs",), 5150),
    Framework("axum", ("axum",), 3000),
    Framework("warp", ("warp",), 3030),
    Framework("poem", ("poem",), 3000),
    Framework("salvo", ("salvo",), 5800),
    Framework("tide", ("tide",)),
    Framework("tonic", ("tonic",), 50051, protocol="grpc"),
    Framework("hyper", ("hyper",), 3000),
)
_ENV = re.compile(
    r"\b(?:env::var(?:_os)?|dotenvy?::var|option_env!|var)\(\s{0,20}\"(?P<name>[A-Z][A-Z0-9_]{0,80})\"\s{0,20}\)"
    r"(?:\s{0,20}\.unwrap_or(?:_else)?\(\s{0,20}(?:\|_\|\s{0,9})?\"(?P<default>[^\"\n]{0,200})\")?"
)
SIGNS = Signs(
    (".rs",),
    _ENV,
    listen=re.compile(
        r"(?:\.bind|::bind|\.run|SocketAddr::from|\.serve|\.parse::<SocketAddr)\(\s{0,20}(?P<at>[^\n;]{1,160})"
    ),
    route=re.compile(r"(?:\.route|\.at|#\[get|\.path)\(\s{0,20}\"(?P<path>/[\w/-]{1,60})\""),
    pages=re.compile(r"\bHtml[<(]|ServeDir|NamedFile|rocket_dyn_templates|\baskama\b|\btera\b|text/html|<html", re.I),
    waits=re.compile(r"\bloop\s{0,20}\{|tokio::time::interval|\.consume\(|\.subscribe\("),
)
_MAIN = re.compile(r"fn\s{1,20}main\s{0,20}\(|#\[launch\]")


@dataclass(frozen=True)
class _Binary:
    name: str
    path: str


class Rust:
    name = "rust"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        manifest = join(root, "Cargo.toml")
        if not files.exists(manifest):
            return None
        notes = Notes()
        cargo = read_toml(files, manifest, notes)
        dependencies = _dependencies(files, root, cargo)
        binaries = _binaries(files, root, cargo)
        if not binaries or "tauri" in dependencies:  # a program with windows
            return library(root, "rust", dependencies, notes) if table(cargo, "package") else None
        binary = _chosen(cargo, binaries, start)
        code = read_signs(files, root, SIGNS, ("Cargo.toml",))
        if said := configured(files, root, serves=bool(code.seen.listens or "config" in dependencies)):
            code.seen.listens.insert(0, said)
        context = _workspace(files, root)
        version = _version(files, root, notes)
        entry = code.texts.get(binary.path)
        outline = Outline(
            root,
            "rust",
            manifest,
            _start(start, binary),
            framework=chosen(FRAMEWORKS, table(cargo, "dependencies")) or chosen(FRAMEWORKS, dependencies),
            file=binary.path if entry else manifest,
            line=_line_of_main(entry),
            seen=code.seen,
            dependencies=dependencies,
            waits=code.waits,
            context=context,
            recipe=lambda port, env: rust_recipe(
                RustBuild(version, _start(start, binary), binary.name, frozenset(dependencies),
                          _copied(files, root), root, context, port, env)
            ),
        )  # fmt: skip
        return profile(outline, notes)


def _dependencies(files: Files, root: str, cargo: dict[str, Any]) -> dict[str, int | None]:
    """Those of the crates of the workspace that it is made of, too. With the names that drivers of a database are
    known by: `sqlx` says in a feature which one it is for."""
    top = read_toml(files, join(_workspace(files, root), "Cargo.toml"), Notes())
    shared = table(top, "workspace", "dependencies")
    own = _named(shared, table(cargo, "dependencies"))
    found = dict.fromkeys(_kinds(own)) | {n: line_of(files.text(join(root, "Cargo.toml")), n) for n in own}
    seen, waiting = {root}, list(_crates(files, root, own))
    while waiting and len(seen) < MAX_CRATES:
        folder = waiting.pop()
        if folder not in seen:
            seen.add(folder)
            inner = _named(shared, table(read_toml(files, join(folder, "Cargo.toml"), Notes()), "dependencies"))
            found = dict.fromkeys([*inner, *_kinds(inner)]) | found
            waiting += _crates(files, folder, inner)
    return found


MAX_CRATES = 80


def _named(shared: dict[str, Any], dependencies: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is said of each, here and for the whole workspace; paths of the latter start with `/`."""
    found: dict[str, dict[str, Any]] = {}
    for name, details in dependencies.items():
        given = details if isinstance(details, dict) else {}
        whole = table(shared, name) if given.get("workspace") else {}
        path = {"path": f"/{whole['path']}"} if isinstance(whole.get("path"), str) else {}
        features = strings(given.get("features")) + strings(whole.get("features"))
        found[name] = {**whole, **path, **given, "features": features}
    return found


def _kinds(dependencies: dict[str, dict[str, Any]]) -> set[str]:
    features = [f for name, each in dependencies.items() if name not in _DESCRIBING for f in each["features"]]
    return {kind for kind in ("postgres", "mysql", "redis") for feature in features if kind in feature}


_DESCRIBING = ("utoipa", "serde", "schemars")
"""Crates that only describe the types of others."""


def _crates(files: Files, root: str, dependencies: dict[str, dict[str, Any]]) -> list[str]:
    top = _workspace(files, root)
    paths = [path for each in dependencies.values() if isinstance(path := each.get("path"), str)]
    return [normpath(join(top, path[1:]) if path.startswith("/") else join(root, path)) for path in paths]


def _binaries(files: Files, root: str, cargo: dict[str, Any]) -> list[_Binary]:
    """Declared ones, and those that Cargo finds by itself (https://doc.rust-lang.org/cargo/guide/project-layout.html)."""
    package = text_at(cargo, "package", "name")
    if package is None:
        return []
    declared = cargo.get("bin")
    listed = [item for item in declared if isinstance(item, dict)] if isinstance(declared, list) else []
    found = [
        _Binary(str(item["name"]), join(root, str(item.get("path") or f"src/bin/{item['name']}.rs")))
        for item in listed
        if "name" in item
    ]
    if files.exists(join(root, "src/main.rs")):
        found.append(_Binary(package, join(root, "src/main.rs")))
    for path in files.paths(join(root, "src/bin"), 2):
        name = basename(path)
        if name == "main.rs":
            found.append(_Binary(basename(dirname(path)), path))
        elif name.endswith(".rs") and dirname(path).endswith("src/bin"):
            found.append(_Binary(name.removesuffix(".rs"), path))
    by_path = {binary.path: binary for binary in reversed(found)}
    return [binary for binary in found if by_path.get(binary.path) is binary]


def _chosen(cargo: dict[str, Any], binaries: list[_Binary], start: str | None) -> _Binary:
    """What a declared command starts, else `default-run`, else the one called like the package, else the first."""
    program = basename(next(iter(commands.words(start)), "")) if start else ""
    for name in (program, text_at(cargo, "package", "default-run"), text_at(cargo, "package", "name")):
        found = next((binary for binary in binaries if binary.name == name), None)
        if found:
            return found
    return binaries[0]


def _start(start: str | None, binary: _Binary) -> str:
    """`cargo run` needs what only the build has."""
    return start if start and commands.words(start)[:1] != ["cargo"] else f"./{binary.name}"


def _workspace(files: Files, root: str) -> str:
    """The folder that holds the lock file: the nearest above whose manifest has a workspace, if any."""
    folder = root
    while folder not in ("", "."):
        folder = dirname(folder) or "."
        if "[workspace" in (files.text(join(folder, "Cargo.toml")) or ""):
            return folder
    return root


def _version(files: Files, root: str, notes: Notes) -> str | None:
    path = join(root, "rust-toolchain.toml")
    channel = text_at(read_toml(files, path, notes), "toolchain", "channel")
    if channel and re.match(r"1\.\d+", channel):
        notes.clue("version", channel, path, line_of(files.text(path), channel))
        return minor(channel)
    wish = asked(files, root, "rust", ("rust-toolchain",), notes)
    return minor(wish) if wish else None


def _copied(files: Files, root: str) -> tuple[str, ...]:
    """What a server reads at run time beside its binary."""
    present = {path.removeprefix(join(root, "")).split("/")[0] for path in files.paths(root, 3) if "/" in path}
    folders = ("static", "templates", "public", "assets", "migrations", "config", "views")
    single = [name for name in ("Rocket.toml",) if name in names(files, root)]
    return tuple([name for name in folders if name in present] + single)


def _line_of_main(text: str | None) -> int | None:
    found = _MAIN.search(text or "")
    return (text or "").count("\n", 0, found.start()) + 1 if found else None
