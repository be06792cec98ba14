"""Go without a compiler: modules, main packages, what they import of the same module, settings, sockets, routes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from posixpath import dirname

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join, matches, shows, sources
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.sightings import Listen, Seen, may_have_health, resolve

CODE_LIMIT = 300_000

_REQUIRE = re.compile(
    r"^[ \t]*(?:require[ \t]+)?([\w-]+\.[\w./~-]{1,200})[ \t]+v\d\S{0,100}(?!.*// indirect)", re.MULTILINE
)
_IMPORT = re.compile(r"^[ \t]*(?:import[ \t]+)?(?:[\w.]+[ \t]+)?\"([\w.~/-]+)\"[ \t]*\r?$", re.MULTILINE)
_BODY = re.compile(r"^(?:func|type|var|const)\b", re.MULTILINE)
"""What can only stand below the imports."""
_ASSIGNED_ENV = re.compile(
    r"\b(\w+)\s*:?=\s*os\.Getenv\(\"(\w+)\"\)[ \t\r]*\n\s*if\s+(\w+)\s*==\s*\"\"\s*\{\s*([^\s][^\n]{0,199})"
)
_GETENV = re.compile(
    r"((?i:env)\w{0,40})\(\s*(?:&?[\w.]{1,60},\s{0,20})?\"([A-Z][A-Z0-9_]+)\"\s*(?:,\s*(?:\"([^\"\n]{0,200})\"|(\d+)))?"
)
_TAG = re.compile(r"`[^`\n]{0,300}\b(?:env|envconfig):\"([A-Z][A-Z0-9_]*)([^\"\n]{0,100})\"[^`\n]{0,300}`")
_TAG_DEFAULT = re.compile(r"\b(?:envDefault|env-default|default):\"([^\"\n]*)\"")
_FIELD = re.compile(r"^[ \t]*(\w{0,40}(?i:port|addr))[ \t]+\w+[ \t]+`", re.MULTILINE)
_LISTEN = re.compile(
    r"(?:ListenAndServe(?:TLS)?|\.Run|\.Start|\.Listen|net\.Listen)\(\s*(?:\"tcp[46]?\",\s*)?([^\n]{0,160})|\bAddr:\s*([^\n]{1,160})"
)
_FLAG = re.compile(
    r"(?:flag|[fF]lags\(\)|viper|\bfs)\.(?:(?:String|Int|Uint)(?:Var)?P?|SetDefault)\((?:&\w[\w.]{0,60},\s{0,9})?"
    r"\"([\w.-]{0,40}(?i:port|addr|listen)[\w-]{0,40})\",\s{0,9}(?:\"\w?\",\s{0,9})?\"?([\w.:\[\]]{0,80})\"?"
)
_ADDRESS = re.compile(r"\"([\w.\[\]:-]*):(\d{2,5})\"")
_ROUTE = re.compile(r"\b(\w+)\.(?:HandleFunc|Handle|GET|Get|Any|All)\(\s*\"(?:GET )?(/[\w/-]{1,60})\"")
_GROUPS = re.compile(r"\b(\w+)\s*:?=\s*[^\n]{0,120}\.(?:Group|Subrouter|Route)\(")
_PAGES = re.compile(
    r"\"html/template\"|http\.FileServer|LoadHTML|text/html|ServeFile|\.Static\(|<html|<!doctype", re.IGNORECASE
)


_MAIN_PACKAGE = re.compile(r"^package main\b", re.MULTILINE)
_MAIN_FUNCTION = re.compile(r"^func main\(\)", re.MULTILINE)


@dataclass
class GoModule:
    """`root` holds go.mod. `packages` maps a folder to the texts of its files, by path; `made`: there is none."""

    root: str
    name: str
    version: str
    dependencies: set[str] = field(default_factory=set)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)
    above: int = 0
    made: bool = False
    _imported: dict[str, set[str]] = field(default_factory=dict)

    def mains(self) -> list[str]:
        """Folders of main packages, the shallowest first."""
        found = [folder for folder, texts in self.packages.items() if _is_main(texts.values())]
        return sorted(found, key=lambda folder: (folder.count("/"), folder))

    def reachable(self, folder: str) -> list[str]:
        """The package in `folder` and those of this module that it imports, directly or not."""
        found, waiting = [folder], [folder]
        while waiting:
            for imported in self._imports(waiting.pop()):
                if imported in self.packages and imported not in found:
                    found.append(imported)
                    waiting.append(imported)
        return found

    def foreign(self, folders: Iterable[str]) -> set[str]:
        """What the packages import, this module's own packages among it."""
        return {path for folder in folders for path in self._imports_of(folder)}

    def _imports_of(self, folder: str) -> set[str]:
        if folder not in self._imported:
            heads = (_BODY.split(text, 1)[0] for text in self.packages[folder].values())
            self._imported[folder] = {path for head in heads for path in _IMPORT.findall(head)}
        return self._imported[folder]

    def _imports(self, folder: str) -> list[str]:
        imported = sorted(self.foreign([folder]))
        inside = [path for path in imported if path == self.name or path.startswith(f"{self.name}/")]
        return [join(self.root, path[len(self.name) + 1 :]) if path != self.name else self.root for path in inside]


def read_module(files: Files, root: str, notes: Notes) -> GoModule | None:
    path = join(root, "go.mod")
    text = files.text(path)
    if text is None:
        return _loose(files, root)
    name = re.search(r"^module\s+\"?([\w./~-]+)", text, re.MULTILINE)
    if name is None:
        notes.warn("broken-manifest", "go.mod names no module", path)
    version = re.search(r"^toolchain\s+go(\d+\.\d+)", text, re.MULTILINE) or re.search(
        r"^go\s+(\d+\.\d+)", text, re.MULTILINE
    )
    module = GoModule(root, name[1] if name else "app", version[1] if version else "")
    for found in matches(_REQUIRE, text):
        module.dependencies.add(found[1])
        notes.clue("dependencies", found[1], path, text.count("\n", 0, found.start(1)) + 1)
    module.above = max((path.count("../") for path in re.findall(r"=>\s*((?:\.\./)+[\w./-]*)", text)), default=0)
    for file in sources(files, root, (".go",), ("go.mod",)):
        _read_file(files, module, file)
    return module


def _loose(files: Files, root: str) -> GoModule | None:
    """Sources directly in a folder that is no module; the build makes one."""
    module = GoModule(root, "app", "", made=True)
    for file in files.paths(root, 1):
        if file.endswith(".go") and not file.endswith("_test.go"):
            _read_file(files, module, file)
    return module if module.mains() else None


def _read_file(files: Files, module: GoModule, file: str) -> None:
    source = files.text(file)
    if source and len(source) <= CODE_LIMIT and "//go:build ignore" not in source[:2000]:
        module.packages.setdefault(dirname(file) or ".", {})[file] = source


def read_code(module: GoModule, folders: Iterable[str]) -> Seen:
    """What the given packages show."""
    seen = Seen()
    for folder in folders:
        for path, text in module.packages[folder].items():
            _note_settings(path, text, seen)
            _note_listens(path, text, seen)
            if may_have_health(text):
                _note_routes(path, text, seen)
            seen.pages = seen.pages or shows(_PAGES, text)
    resolve(seen)
    return seen


def _is_main(texts: Iterable[str]) -> bool:
    return any(shows(_MAIN_PACKAGE, text) and shows(_MAIN_FUNCTION, text) for text in texts)


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _note_settings(path: str, text: str, seen: Seen) -> None:
    checked: set[str] = set()
    for found in matches(_ASSIGNED_ENV, text):
        if found[1] == found[3]:
            checked.add(found[2])
            default = re.match(rf"{re.escape(found[1])}\s*=\s*\"([^\"\n]*)\"", found[4])
            fails = (
                re.match(r"log\.|panic|os\.Exit|return\b.*(?i:err)|slog\.Error|logger\.Fatal", found[4]) is not None
            )
            seen.read(
                found[2], path, _line(text, found.start()), required=fails, default=default[1] if default else None
            )
    for found in matches(_GETENV, text):
        function = text[max(0, found.start() - 40) : found.end(1)].rpartition("\n")[2]
        function = re.split(r"\W", function)[-1]
        if found[2] not in checked and function not in ("Setenv", "Unsetenv"):
            default_text = found[3] if found[3] is not None else found[4]
            required = default_text is None and re.match(r"(?i:must|require)", function) is not None
            seen.read(found[2], path, _line(text, found.start()), required=required, default=default_text)
    for found in matches(_TAG, text):
        default = _TAG_DEFAULT.search(found[0])
        required = default is None and "required" in found[0]
        seen.read(
            found[1], path, _line(text, found.start()), required=required, default=default[1] if default else None
        )


def _note_listens(path: str, text: str, seen: Seen) -> None:
    for found in matches(_TAG, text):
        default = _TAG_DEFAULT.search(found[0])
        line = text[text.rfind("\n", 0, found.start()) + 1 : found.end()]
        if default and (name := _FIELD.match(line)) and (port := re.search(r"(\d{2,5})$", default[1])):
            seen.numbers[name[1]] = (int(port[1]), found[1])
    for found in matches(_FLAG, text):
        if port := re.search(r"(\d{2,5})$", found[2]):
            seen.numbers.setdefault("flag", (int(port[1]), None))
    for found in matches(_LISTEN, text):
        if listen := _listen(path, text, found):
            seen.listens.append(listen)


def _listen(path: str, text: str, found: re.Match[str]) -> Listen | None:
    expression, line = found[1] if found[1] is not None else found[2], _line(text, found.start())
    call = found[0].split("(")[0]
    grpc = call == "net.Listen" and "google.golang.org/grpc" in text
    if (
        call == ".Run"
        and not expression.startswith(")")
        and not re.match(r"\"|\w*(?i:addr|port|host\))|os\.|fmt\.|\":\"|cfg|conf", expression)
    ):
        return None  # `t.Run(name, func…)`, `cmd.Run()` and their kind
    if call == ".Run" and expression.startswith(")"):
        return Listen(path, line, 8080, "PORT") if "gin." in text else None
    if call in (".Start", ".Listen") and not re.search(r"echo|fiber", text):
        return None
    if call == ".Run" and "gin." not in text:
        return None
    return _address(path, text, line, expression, grpc=grpc)


def _address(path: str, text: str, line: int, expression: str, *, grpc: bool) -> Listen | None:
    """`":8080"`, `":" + port`, `fmt.Sprintf(":%s", cfg.Port)`, `addr`, `os.Getenv("ADDR")`."""
    protocol = "grpc" if grpc else "http"
    if literal := _ADDRESS.search(expression):
        return Listen(path, line, int(literal[2]), None, literal[1] or None, protocol)  # type: ignore[arg-type]
    port, env, name = _number(expression, text)
    return Listen(path, line, port, env, None, protocol, name) if port or env or name else None  # type: ignore[arg-type]


def _number(expression: str, text: str, depth: int = 3) -> tuple[int | None, str | None, str | None]:
    if helper := _GETENV.search(expression):
        digits = re.search(r"(\d{2,5})$", helper[3] or helper[4] or "")
        return int(digits[1]) if digits else None, helper[2], None
    names = [
        n
        for n in re.findall(r"[A-Za-z_]\w*", re.sub(r"\"[^\"]*\"", "", expression))
        if n not in ("fmt", "Sprintf", "nil")
    ]
    if not names or depth == 0:
        return None, None, None
    # The last name before further arguments: `cfg.Port` in `cfg.Port, handler`.
    first = re.findall(
        r"[A-Za-z_]\w*", re.sub(r"\"[^\"]*\"|fmt\.Sprintf\(", "", expression).strip(" ,+").split(",")[0].split(")")[0]
    )
    name = first[-1] if first else names[0]
    env = re.search(rf"\b{name}\s*:?=\s*([^\n]{{0,120}}env[^\n]{{0,120}})", text, re.IGNORECASE)
    given = re.search(rf"\b{name}\s*(?:string|int)?\s*:?=\s*(?:\"(?:[\w.\[\]]*:)?(?=\d+\"))?(\d{{2,5}})\b", text)
    flag = re.search(rf"\b{name}\s*:?=\s*(flag\.\w+\([^\n]{{0,120}})", text)
    found = _GETENV.search(env[1]) if env else None
    if found or given:
        default = re.search(r"(\d{2,5})$", (found[3] or found[4] or "") if found else "")
        port = int(default[1]) if default else int(given[1]) if given else None
        return port, found[2] if found else None, None if port else name
    if flag and (digits := re.search(r"[\s\":](\d{2,5})\"?,", flag[1])):
        return int(digits[1]), None, None
    return None, None, name


def _note_routes(path: str, text: str, seen: Seen) -> None:
    """Routes of a group hang below its prefix, so they are left out."""
    groups = set(_GROUPS.findall(text))
    nested = '.Route("' in text
    for found in matches(_ROUTE, text):
        if found[1] not in groups and not nested:
            seen.route(found[2], path, _line(text, found.start()))
