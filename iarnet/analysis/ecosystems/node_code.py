"""What JavaScript and TypeScript show without being parsed: settings, listening sockets, health routes, pages."""

import re
from collections.abc import Iterator

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join, matches, shows, sources
from iarnet.analysis.ecosystems.sightings import Listen, Protocol, Seen, may_have_health, resolve

SUFFIXES = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx", ".vue", ".svelte", ".astro", "bin/www")
CODE_LIMIT = 200_000
_NOT_RUN = re.compile(
    r"\.min\.js$|\b(?:playwright|cypress|vite|vitest|jest|karma|webpack|eslint|rollup)[\w.]{0,40}\.[cm]?[jt]s$"
)
"""What only tools read."""

_LITERAL = r"(?:'([^'\n]{0,300})'|\"([^\"\n]{0,300})\"|`([^`$\n]{0,300})`|(\d{1,9}|true|false))"
_DEFAULT = rf"(?:\s{{0,40}}\)?\s{{0,40}}(?:\|\||\?\?)\s{{0,40}}{_LITERAL})?"
_ENV = re.compile(rf"(?:process|Bun)\.env(?:\.([A-Za-z_]\w*)|\[[\"'](\w+)[\"']\])(!)?{_DEFAULT}")
_META_ENV = re.compile(rf"import\.meta\.env\.([A-Za-z_]\w*)(){_DEFAULT}")
_DESTRUCTURED = re.compile(r"(?:const|let|var)\s*\{([^{}]{1,2000})\}\s*=\s*process\.env\b")
_CONFIG_GET = re.compile(
    rf"onfig\w{{0,30}}\.(getOrThrow|get)(?:<[^>\n]{{0,80}}>)?\(\s*[\"']([A-Z][A-Z0-9_]+)[\"']\s*(?:,\s*{_LITERAL})?"
)
_CHECKED = re.compile(r"!\s*process\.env\.(\w+)\s{0,40}\)\s{0,40}\{?\s{0,40}(?:throw|process\.exit)")
_ASKED = re.compile(
    r"(?:!!\s{0,9}|\bBoolean\(\s{0,40})process\.env\.(\w+)|\bif\s?\(\s{0,40}process\.env\.(\w+)\s{0,40}(?:\)|&&)"
    r"|(?<!!)process\.env\.(\w+)\s{1,40}(?:&&|\?(?![?.]))"
)
_ZOD = re.compile(r"^[ \t]*([A-Z][A-Z0-9_]+):\s*z\.([^\n]{0,300})", re.MULTILINE)
_PRISMA = re.compile(r"env\(\"(\w+)\"\)")

_LISTEN = re.compile(r"(?:\.listen|\bserve|new\s+(?:WebSocket\.)?(?:WebSocket)?Server)\s*\(\s*")
_GRPC = re.compile(r"\.bindAsync\(\s*(?:[\"'`][^\"'`\n]*?:(\d{2,5})[\"'`]|`[^`\n]*?:\$\{([^}]{1,100})\}`)")
_NAMED_PORT = re.compile(
    r"([pP](?:ort|ORT))\b[\"']?\s*(?:\?\s*)?(?::\s*(?:number|string)\s*)?[:=,](?!=)\s*([^;\n]{1,200})"
)
_NUMBER = re.compile(r"(?<![\w.:])(\d{2,5})(?![\w.])")
_HOST = re.compile(r"(?:host(?:name)?\s*:\s*|,\s*)[\"'`]([\w.:]+)[\"'`]")

_ROUTE = re.compile(r"\b(\w+)\.(?:get|all|use|head)\(\s*[\"'`](/[\w/-]{1,60})[\"'`]")
_APPLICATION = re.compile(
    r"\b(\w+)(?::[\w<>., ]{1,80})?\s{0,40}=\s{0,40}(?:await\s+)?(?:express|[fF]astify|restify\.createServer"
    r"|new\s+(?:Hono|OpenAPIHono|Elysia|Koa))\s*(?:<[^>\n]{0,80}>)?\("
)
_COMPARED = re.compile(r"(?:url|pathname|path)\s*={2,3}\s*[\"'`](/[\w/-]{1,60})[\"'`]")
_CONTROLLER = re.compile(r"@Controller\(\s*[\"'`]/?([\w/-]{1,60})[\"'`]")
_GLOBAL_PREFIX = re.compile(r"setGlobalPrefix\(\s*[\"'`]/?([\w/-]{1,60})[\"'`]")
_PAGES = re.compile(
    r"\.render\(|express\.static|\.sendFile\(|serve-?static|text/html|<html|<!doctype|@fastify/static|koa-static|\.html\(",
    re.IGNORECASE,
)


def read_code(files: Files, root: str, *, fastify: bool) -> Seen:
    """Everything seen below `root`. With `fastify` a server that says no host listens on loopback only."""
    seen = Seen()
    texts = list(_texts(files, root))
    versioned = any("enableVersioning" in text for _, text in texts)
    prefixes = (found[1].strip("/") for _, text in texts for found in matches(_GLOBAL_PREFIX, text))
    prefix = next((f"/{prefix}" for prefix in prefixes), "")
    mounted = any(re.search(r"\bprefix\s*:", text) for _, text in texts)
    for path, text in texts:
        _note_settings(path, text, seen)
        _note_listens(path, text, seen, fastify=fastify)
        if may_have_health(text) and not (mounted and ".listen(" not in text):
            _note_routes(path, text, seen)
        if not versioned:
            _note_controllers(path, text, prefix, seen)
        seen.pages = seen.pages or shows(_PAGES, text)
    _note_prisma(files, root, seen)
    resolve(seen)
    return seen


def line_at(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def port_of(expression: str, text: str, depth: int = 3) -> tuple[int | None, str | None, str | None]:
    """Port, setting, and the name to look for elsewhere, of `process.env.PORT || 3000`, `config.port` …"""
    setting = _ENV.search(expression)
    digits = re.search(r"[\"'`](\d{2,5})[\"'`]", expression) or _NUMBER.search(expression)
    port = int(digits[1]) if digits and 0 < int(digits[1]) < 65536 else None
    if setting or port:
        return port, (setting[1] or setting[2]) if setting else None, None
    names = re.findall(r"[A-Za-z_$][\w$]*", re.sub(r"\w+\(", "", expression))
    if not names or depth == 0:
        return None, None, None
    assigned = re.search(rf"\b(?:const|let|var)\s+{re.escape(names[-1])}\b[^=\n]{{0,60}}=\s*([^;\n]{{1,200}})", text)
    if len(names) == 1 and assigned:
        found = port_of(assigned[1], text, depth - 1)
        return found[0], found[1], found[2] or names[-1]
    return None, None, names[-1]


def _texts(files: Files, root: str) -> Iterator[tuple[str, str]]:
    for path in sources(files, root, SUFFIXES, ("package.json",)):
        text = files.text(path)
        if text and len(text) <= CODE_LIMIT and not _NOT_RUN.search(path):
            yield path, text


def _note_settings(path: str, text: str, seen: Seen) -> None:
    for expression in (_ENV, _META_ENV):
        for found in matches(expression, text):
            name, default = found[1] or found[2], _literal(found, 4 if expression is _ENV else 3)
            demanded = expression is _ENV and found[3] is not None and default is None
            seen.read(name, path, line_at(text, found.start()), required=demanded, default=default)
    for found in matches(_DESTRUCTURED, text):
        _note_destructured(path, line_at(text, found.start()), found[1], seen)
    for found in matches(_CONFIG_GET, text):
        required = found[1] == "getOrThrow"
        seen.read(found[2], path, line_at(text, found.start()), required=required, default=_literal(found, 3))
    for found in matches(_CHECKED, text):
        seen.read(found[1], path, line_at(text, found.start()), required=True)
    seen.optional |= {found[found.lastindex or 0] for found in matches(_ASKED, text)}
    if "process.env" in text or "runtimeEnv" in text:
        _note_schema(path, text, seen)


def _literal(found: re.Match[str], first: int) -> str | None:
    return next((found[group] for group in range(first, first + 4) if found[group] is not None), None)


def _note_destructured(path: str, line: int, inside: str, seen: Seen) -> None:
    """`const { PORT = 3000, DATABASE_URL: url } = process.env`."""
    for part in inside.split(","):
        name, _, default = part.partition("=")
        name = name.partition(":")[0].strip()
        value = default.strip().strip("\"'`") or None
        seen.read(name, path, line, default=value)
        if value and value.isdigit() and name.upper().endswith("PORT"):
            seen.numbers[name] = (int(value), name)


def _note_schema(path: str, text: str, seen: Seen) -> None:
    """`DATABASE_URL: z.string().url()` beside a use of `process.env`."""
    for found in matches(_ZOD, text):
        default = re.search(r"\.default\(\s*[\"'`]?([^\"'`)\n]{0,200})", found[2])
        optional = default is not None or ".optional()" in found[2]
        value = default[1] if default else None
        if ".optional()" in found[2]:
            seen.optional.add(found[1])
        seen.read(found[1], path, line_at(text, found.start(1)), required=not optional, default=value)
        if value and value.isdigit() and found[1].endswith("PORT"):
            seen.numbers[found[1]] = (int(value), found[1])


def _note_listens(path: str, text: str, seen: Seen, *, fastify: bool) -> None:
    for found in matches(_NAMED_PORT, text):
        whole = "(" in found[2] or found[2].startswith("[")
        port, env, _ = port_of(found[2] if whole else found[2].split(",")[0], text, 1)
        if port or env:
            name = re.split(r"\W", text[max(0, found.start() - 60) : found.end(1)])[-1]
            seen.numbers.setdefault(name, (port, env))
    for found in matches(_LISTEN, text):
        arguments = _arguments(text[found.end() : found.end() + 400])
        if listen := _listen(path, line_at(text, found.start()), found[0], arguments, text, fastify=fastify):
            seen.listens.append(listen)
    for found in matches(_GRPC, text):
        port, env, name = port_of(found[1] or found[2], text)
        seen.listens.append(Listen(path, line_at(text, found.start()), port, env, protocol="grpc", name=name))


def _arguments(text: str) -> str:
    """The text up to the parenthesis that closes the call."""
    depth = 1
    for index, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[:index]
    return text


def _listen(path: str, line: int, call: str, arguments: str, text: str, *, fastify: bool) -> Listen | None:
    protocol: Protocol = "websocket" if "Server" in call else "http"
    host = _HOST.search(arguments)
    address = host[1] if host else "localhost" if fastify and ".listen" in call and "host" not in arguments else None
    if arguments.startswith("{") or "fetch" in arguments:
        member = re.search(r"\bport\b\s*(?::\s*([^,}\n]{1,200}))?", arguments)
        if member is None:
            return None if "Server" in call else Listen(path, line, None, None, address, protocol)
        port, env, name = port_of(member[1] or "port", text)
    elif protocol == "websocket" or not arguments:
        return None
    else:
        port, env, name = port_of(_first(arguments), text)
    return Listen(path, line, port, env, address, protocol, name) if port or env or name else None


def _first(arguments: str) -> str:
    """The first of several arguments."""
    depth = 0
    for index, character in enumerate(arguments):
        depth += {"(": 1, ")": -1, "{": 1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            return arguments[:index]
    return arguments


def _note_routes(path: str, text: str, seen: Seen) -> None:
    """Routes of the application itself; those of a router hang below a prefix that is not known here."""
    owners = {"app", "server", "fastify", *_APPLICATION.findall(text)}
    for found in matches(_ROUTE, text):
        if found[1] in owners:
            seen.route(found[2], path, line_at(text, found.start()))
    for found in matches(_COMPARED, text):
        seen.route(found[1], path, line_at(text, found.start()))


def _note_controllers(path: str, text: str, prefix: str, seen: Seen) -> None:
    for found in matches(_CONTROLLER, text):
        if re.search(r"@Get\(\s*\)", text):
            seen.route(f"{prefix}/{found[1].strip('/')}", path, line_at(text, found.start()))


def _note_prisma(files: Files, root: str, seen: Seen) -> None:
    path = join(root, "prisma/schema.prisma")
    text = files.text(path) or ""
    for found in matches(_PRISMA, text):
        seen.read(found[1], path, line_at(text, found.start()), required=True)
