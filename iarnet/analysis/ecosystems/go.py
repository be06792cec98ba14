"""Go modules: net/http, gin, echo, fiber, chi, grpc; one or several main packages."""

import re
from dataclasses import dataclass
from posixpath import basename, dirname, normpath

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.configured import configured
from iarnet.analysis.ecosystems.go_code import GoModule, read_code, read_module
from iarnet.analysis.ecosystems.manifests import join, line_of, shows
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.sightings import (
    LOOPBACK,
    Listen,
    Protocol,
    Seen,
    health_check,
    health_route,
    opened,
    ports,
    settings,
)
from iarnet.analysis.ecosystems.sizes import size
from iarnet.analysis.recipes.go import GoBuild, go_recipe
from iarnet.models.component import ComponentKind

VERSIONS = tuple(f"1.{minor}" for minor in range(21, 27))

# Framework by import, with the port that its documentation starts with.
_FRAMEWORKS = (
    ("github.com/gin-gonic/gin", "gin", 8080),
    ("github.com/labstack/echo", "echo", 1323),
    ("github.com/gofiber/fiber", "fiber", 3000),
    ("github.com/go-chi/chi", "chi", 8080),
    ("github.com/gorilla/mux", "gorilla", 8080),
    ("github.com/beego/beego", "beego", 8080),
    ("github.com/astaxie/beego", "beego", 8080),
    ("github.com/valyala/fasthttp", "fasthttp", 8080),
    ("github.com/kataras/iris", "iris", 8080),
    ("github.com/go-kit/kit", "go-kit", 8080),
    ("github.com/gobuffalo/buffalo", "buffalo", 3000),
    ("github.com/zeromicro/go-zero", "go-zero", 8888),
    ("github.com/revel/revel", "revel", 9000),
    ("google.golang.org/grpc", "grpc", 50051),
)
_MAIN_NAMES = ("server", "api", "web", "app", "main", "service", "http", "backend")
_TOOLS = re.compile(
    r"(?i)^(cli|ctl|tools?|gen|generate|seed|migrat(e|ions?)|lint|bench|client|example.*)$|ctl$|-cli$"
)
_WORKERS = re.compile(r"(?i)worker|consumer|scheduler|cron|daemon|agent|bot|processor|listener|subscriber")
_LOOPS = re.compile(
    r"\bfor\s*\{|time\.NewTicker|\.Consume\(|\.Subscribe\(|asynq\.NewServer|select\s*\{\s*\}|ReadMessage\("
)
_WITH_C = ("github.com/mattn/go-sqlite3", "gorm.io/driver/sqlite", "github.com/jinzhu/gorm/dialects/sqlite")
"""Packages, and modules that there is no other use for, which do nothing without a C compiler."""
_USED = re.compile(r"^(?:use)?[ \t]{0,20}(\.{1,2}(?:/[\w./-]{0,200})?)[ \t]{0,20}(?://[^\n]{0,200})?$", re.MULTILINE)
_ASSETS = ("templates", "template", "static", "public", "web", "views", "assets", "migrations", "config", "configs",
           "html", "ui", "db", "locales", "i18n", "data", "certs", "www", "dist")  # fmt: skip


@dataclass(frozen=True)
class _Main:
    """A main package. `name`: of its binary; `start`: the command, which begins with the binary's path."""

    folder: str
    name: str
    start: str
    binary: str


class Go:
    name = "go"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        notes = Notes()
        home = _module_root(files, root)
        module = _module(files, home, notes) if home is not None else None
        if module is None or (root != home and root not in module.mains()):
            return None
        mains = module.mains() if root == home else [root]
        if not mains:
            return _library(module, root, notes)
        chosen = [_started(module, mains, start)] if start else _order(files, module, mains)
        profiles = [
            _profile(files, module, root, main, notes if i == 0 else Notes()) for i, main in enumerate(chosen)
        ]
        return Profile(**{**profiles[0].__dict__, "workers": tuple(profiles[1:])})


def _module(files: Files, home: str, notes: Notes) -> GoModule | None:
    def read() -> tuple[GoModule | None, Notes]:
        told = Notes()
        return read_module(files, home, told), told

    module, told = files.once(f"go {home}", read)
    notes.clues += told.clues
    notes.warnings += told.warnings
    return module


def _seen(files: Files, module: GoModule, folder: str) -> Seen:
    """What the program in a folder shows."""
    return files.once(f"go {module.root} {folder}", lambda: read_code(module, module.reachable(folder))).copy()


def _module_root(files: Files, root: str) -> str | None:
    """The folder of the go.mod that `root` belongs to."""
    folder = root
    while True:
        if files.exists(join(folder, "go.mod")):
            return folder
        if folder in ("", "."):
            return root if any(path.endswith(".go") for path in files.paths(root, 1)) else None
        folder = dirname(folder) or "."


def _library(module: GoModule, root: str, notes: Notes) -> Profile:
    dependencies = frozenset(module.dependencies)
    clues = tuple(notes.clues)
    return Profile(
        root=root, language="go", kind="job", dependencies=dependencies, clues=clues, runnable=False, context=root
    )


def _name(module: GoModule, folder: str) -> str:
    name = basename(module.name) if folder == module.root else basename(folder)
    return re.sub(r"[^\w.-]", "-", re.sub(r"^v\d+$", "app", name)) or "app"


def _main(module: GoModule, folder: str) -> _Main:
    name = _name(module, folder)
    return _Main(folder, name, f"./{name}", name)


def _order(files: Files, module: GoModule, mains: list[str]) -> list[_Main]:
    """What serves first, then workers; tools only when there is nothing else."""
    if len(mains) == 1:
        return [_main(module, mains[0])]
    serving = {folder: bool(_seen(files, module, folder).listens) for folder in mains}
    named = {folder: _name(module, folder) for folder in mains}
    useful = [f for f in mains if not _TOOLS.search(named[f]) and (serving[f] or _WORKERS.search(named[f]))]
    ranked = sorted(useful or mains[:1], key=lambda f: (not serving[f], named[f] not in _MAIN_NAMES, f.count("/"), f))
    return [_main(module, folder) for folder in ranked[:20]]


def _started(module: GoModule, mains: list[str], start: str) -> _Main:
    """The main package that a declared command means: by its folder (`go run ./cmd/api`) or its binary's name."""
    words = commands.words(start)
    if words[:2] == ["go", "run"]:
        target = next((w for w in words[2:] if not w.startswith("-")), ".")
        folder = normpath(join(module.root, dirname(target) if target.endswith(".go") else target))
        main = _main(module, folder if folder in mains else mains[0])
        rest = words[words.index(target) + 1 :] if target in words else []
        return _Main(main.folder, main.name, " ".join([main.start, *rest]), main.binary)
    program = words[0] if words else ""
    folder = next((f for f in mains if _name(module, f) == basename(program)), mains[0])
    inside = normpath(program).lstrip("/")
    inside = inside.removeprefix("app/") if program.startswith("/app/") else inside
    binary = (
        inside
        if (program and not inside.startswith("..") and not program.startswith("/")) or program.startswith("/app/")
        else ""
    )
    return _Main(folder, _name(module, folder), start, binary or _name(module, folder))


def _profile(files: Files, module: GoModule, root: str, main: _Main, notes: Notes) -> Profile:
    folders = module.reachable(main.folder)
    seen = _seen(files, module, main.folder)
    framework, usual = _framework(module, folders)
    if said := configured(files, module.root, serves=bool(seen.listens)):
        seen.listens.insert(0, said)
    listen = opened(seen)
    kind = _kind(module, main, folders, seen, framework)
    port, protocol = _port(main, seen, listen, framework, usual) if kind in ("web", "api") else (None, "http")
    given = _given(main, listen, port)
    env = settings(seen.env, notes, given)
    _explain(module, main, framework, listen, port, notes)
    if port and (route := health_route(seen)):
        notes.clue("health", route.path, route.file, route.line)
    workspace = _workspace(files, module)
    context = workspace or _context(module)
    return Profile(
        root=root,
        language="go",
        framework=framework,
        kind=kind,
        start_command=main.start,
        ports=ports(port, protocol),
        env=env,
        health=health_check(seen, port) if port else None,
        resources=size("go", language="go"),
        dependencies=frozenset(module.dependencies),
        recipe=go_recipe(_build(files, module, main, context, port, given, workspace is not None)),
        context=context,
        port_env=listen.env if listen else None,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
    )


def _framework(module: GoModule, folders: list[str]) -> tuple[str | None, int]:
    imported = module.foreign(folders)
    found = (
        (name, port)
        for path, name, port in _FRAMEWORKS
        if any(i == path or i.startswith(f"{path}/") for i in imported)
    )
    return next(found, (None, 8080))


def _kind(module: GoModule, main: _Main, folders: list[str], seen: Seen, framework: str | None) -> ComponentKind:
    serves = bool(seen.listens) or (framework is not None and framework != "grpc")
    if serves and not (_WORKERS.search(main.name) and not seen.listens):
        return "web" if seen.pages else "api"
    loops = any(shows(_LOOPS, text) for folder in folders for text in module.packages[folder].values())
    return "worker" if loops or _WORKERS.search(main.name) else "job"


def _port(
    main: _Main, seen: Seen, listen: Listen | None, framework: str | None, usual: int
) -> tuple[int | None, Protocol]:
    if port := commands.port_in(main.start):
        return port, "http"
    flagged = seen.numbers.get("flag", (None, None))[0]
    if listen:
        return listen.port or flagged or usual, listen.protocol
    return flagged or usual, "grpc" if framework == "grpc" else "http"


def _given(main: _Main, listen: Listen | None, port: int | None) -> dict[str, str]:
    """The setting that holds the port, if the code has one; one that holds an address gets one."""
    variable = commands.port_variable(main.start) or (listen.env if listen else None)
    if not port or not variable:
        return {}
    return {variable: f":{port}" if re.search(r"ADDR|LISTEN|BIND", variable) else str(port)}


def _explain(
    module: GoModule, main: _Main, framework: str | None, listen: Listen | None, port: int | None, notes: Notes
) -> None:
    file, text = next((p, t) for p, t in module.packages[main.folder].items() if "func main()" in t)
    line = line_of(text, "func main()")
    notes.clue("language", "go", file if module.made else join(module.root, "go.mod"))
    notes.clue("start_command", main.start, file, line, 0.9)
    if framework:
        notes.clue("framework", framework, file, line_of(text, "import"), 0.9)
    if port and listen and listen.port == port:
        notes.clue("ports", port, listen.file, listen.line)
    elif port:
        notes.clue("ports", port, file, line, 0.6)
    if port and listen and listen.host in LOOPBACK:
        message = f"listens on {listen.host} only, so nothing outside the container reaches it"
        notes.warn("loopback", message, listen.file, listen.line)


def _context(module: GoModule) -> str:
    """The folder that also holds the modules that `replace` points to."""
    folder = module.root
    for _ in range(module.above):
        folder = dirname(folder) or "."
    return folder


def _workspace(files: Files, module: GoModule) -> str | None:
    """The folder above with a go.work that uses the module and others, which it may import."""
    folder = module.root
    while folder not in ("", "."):
        folder = dirname(folder) or "."
        used = _USED.findall((files.text(join(folder, "go.work")) or "")[:100_000])
        if len(used) > 1 and module.root in [normpath(join(folder, path)) for path in used]:
            return folder
    return None


def _build(
    files: Files,
    module: GoModule,
    main: _Main,
    context: str,
    port: int | None,
    given: dict[str, str],
    in_workspace: bool,
) -> GoBuild:
    inside = "." if module.root == context else module.root.removeprefix(join(context, ""))
    package = "." if main.folder == module.root else "./" + main.folder.removeprefix(join(module.root, ""))
    assets = tuple(name for name in _ASSETS if _has_assets(files, join(module.root, name)))
    return GoBuild(
        version=_version(module.version),
        package=package,
        binary=main.binary,
        start=main.start,
        folder=inside,
        locked=in_workspace or files.exists(join(module.root, "go.sum")),
        made=module.made,
        vendored=files.exists(join(module.root, "vendor/modules.txt")),
        cgo=any(
            name.startswith(_WITH_C) for name in module.dependencies | module.foreign(module.reachable(main.folder))
        ),
        replaces=module.above > 0 or in_workspace,
        assets=assets,
        port=port,
        env=tuple(given.items()),
    )


def _has_assets(files: Files, folder: str) -> bool:
    return any(not path.endswith(".go") for path in files.paths(folder, 4))


def _version(wish: str) -> str:
    """The wished minor version, the oldest there is for older ones (a newer Go builds them), `1` for newer ones."""
    if wish in VERSIONS:
        return wish
    minor = int(wish.split(".")[1]) if re.fullmatch(r"1\.\d{1,3}", wish) else None
    if minor is None:
        return VERSIONS[-3]
    return VERSIONS[0] if minor < 21 else "1"
