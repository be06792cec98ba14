"""Where Python code listens, and which of its routes tell whether it is well."""

import ast
import re

from iarnet.analysis.ecosystems.python_code import Module, constant, keyword
from iarnet.analysis.ecosystems.python_settings import env_read, written
from iarnet.analysis.ecosystems.sightings import HEALTH_PATH, Listen, Protocol, Seen

PAGES = re.compile(
    r"render_template|Jinja2Templates|StaticFiles|HTMLResponse|text/html|send_from_directory|<html|<!doctype",
    re.IGNORECASE,
)
_ROUTERS = {"get", "route", "api_route", "head", "add_url_rule", "add_api_route", "add_get", "add_route"}
_TUPLE_SERVERS = ("HTTPServer", "ThreadingHTTPServer", "TCPServer", "ThreadingTCPServer", "WSGIServer")

_Default = tuple[int | None, str | None, Protocol]
Number = tuple[int | None, str | None, str | None]  # port, setting, name defined elsewhere

# Call, default port, default host ("" is every address), protocol; what the libraries' own documentation says.
_SERVERS: dict[str, _Default] = {
    "uvicorn.run": (8000, "127.0.0.1", "http"),
    "waitress.serve": (8080, "", "http"),
    "aiohttp.web.run_app": (8080, "", "http"),
    "websockets.serve": (None, None, "websocket"),
    "websockets.asyncio.server.serve": (None, None, "websocket"),
    "asyncio.start_server": (None, None, "tcp"),
    "wsgiref.simple_server.make_server": (None, None, "http"),
    "bottle.run": (8080, "127.0.0.1", "http"),
}
_POSITIONS = {"asyncio.start_server": (1, 2), "websockets.serve": (1, 2), "websockets.asyncio.server.serve": (1, 2),
              "wsgiref.simple_server.make_server": (0, 1)}  # fmt: skip
_RUN_DEFAULTS = {"flask": (5000, "127.0.0.1"), "quart": (5000, "127.0.0.1"), "sanic": (8000, "127.0.0.1"),
                 "bottle": (8080, "127.0.0.1"), "dash": (8050, "127.0.0.1")}  # fmt: skip


def note_network(module: Module, seen: Seen, framework_of: dict[str, str], *, prefixed: bool) -> None:
    """Add listens and health routes of `module` to `seen`. `framework_of` maps names of application objects, of this
    and other modules, to their framework; with `prefixed` (see `mounts_with_prefix`) routes of anything else than an
    application are left out, as their full path is not known."""
    seen.pages = seen.pages or bool(PAGES.search(module.text))
    for name, value in module.constants.items():
        if re.search(r"port$", name, re.IGNORECASE):
            port, env, _ = number(module, value)
            if port or env:
                seen.numbers.setdefault(name, (port, env))
    for call in module.calls:
        if listen := _listen(module, call, framework_of):
            seen.listens.append(listen)
        if not prefixed or _on_application(call, framework_of):
            _note_route(module, call, seen)
    if "self.path" in module.text:
        _note_compared_paths(module, seen)


def number(module: Module, node: ast.expr | None, depth: int = 4) -> Number:
    """The port that an expression stands for: a literal, `int(os.environ.get("PORT", 8000))`, `args.port` …"""
    if node is None or depth == 0:
        return None, None, None
    if isinstance(node, ast.Constant):
        return _valid(node.value), None, None
    if read := env_read(module, node):
        return number(module, read[1], depth - 1)[0], read[0], None
    if isinstance(node, ast.Call) and node.args:
        return number(module, node.args[0], depth - 1)
    if isinstance(node, ast.BoolOp):
        found = [number(module, value, depth - 1) for value in node.values]
        return next((f[0] for f in found if f[0]), None), next((f[1] for f in found if f[1]), None), None
    if isinstance(node, ast.Name):
        return (
            number(module, module.constants[node.id], depth - 1)
            if node.id in module.constants
            else (None, None, node.id)
        )
    if isinstance(node, ast.Attribute):
        return _argument_default(module, node.attr), None, node.attr
    return None, None, None


def _valid(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536 and len(text) < 6 else None


def _argument_default(module: Module, attribute: str) -> int | None:
    """The default of `--port` in an argument parser of the same file."""
    flags = (f"--{attribute}", f"--{attribute.replace('_', '-')}")
    for call in module.calls:
        adds = isinstance(call.func, ast.Attribute) and call.func.attr in ("add_argument", "option")
        if adds and any(constant(argument) in flags for argument in call.args):
            return number(module, keyword(call, "default"))[0]
    return None


def _listen(module: Module, call: ast.Call, framework_of: dict[str, str]) -> Listen | None:
    origin = module.origin(call.func)
    last = origin.rpartition(".")[2]
    if origin in _SERVERS:
        return _from_server(module, call, origin)
    if last in _TUPLE_SERVERS or (last == "bind" and ".listen(" in module.text):
        return _from_tuple(module, call)
    if last in ("add_insecure_port", "add_secure_port"):
        return _from_address(module, call)
    if last == "launch" and any(name.startswith("gradio") for name in module.imports):
        port = number(module, keyword(call, "server_port"))
        return Listen(module.path, call.lineno, port[0] or 7860, port[1] or "GRADIO_SERVER_PORT", "", name=port[2])
    if last == "listen" and any(name.startswith("tornado") for name in module.imports) and call.args:
        return _made(module, call, call.args[0], "", (None, None, "http"))
    return _from_run(module, call, last, framework_of)


def _from_server(module: Module, call: ast.Call, origin: str) -> Listen:
    positions = _POSITIONS.get(origin)
    host, port = keyword(call, "host"), keyword(call, "port")
    if positions and len(call.args) > positions[1]:
        host, port = host or call.args[positions[0]], port or call.args[positions[1]]
    return _made(module, call, port, _host(host), _SERVERS[origin])


def _from_tuple(module: Module, call: ast.Call) -> Listen | None:
    """`HTTPServer(("", 8000), Handler)`, `socket.bind(("0.0.0.0", 9000))`."""
    address = call.args[0] if call.args else None
    if isinstance(address, ast.Name):
        address = module.constants.get(address.id)
    if not isinstance(address, ast.Tuple) or len(address.elts) != 2:
        return None
    web = module.origin(call.func).endswith(("HTTPServer", "WSGIServer")) or "SimpleHTTPRequestHandler" in module.text
    default: _Default = (None, None, "http" if web else "tcp")
    return _made(module, call, address.elts[1], _host(address.elts[0]), default)


def _from_address(module: Module, call: ast.Call) -> Listen | None:
    """gRPC's `"[::]:50051"`, also as an f-string."""
    address = call.args[0] if call.args else None
    if isinstance(address, ast.JoinedStr) and isinstance(address.values[-1], ast.FormattedValue):
        return _made(module, call, address.values[-1].value, "", (None, None, "grpc"))
    text = constant(address) or ""
    port = _valid(text.rpartition(":")[2])
    return Listen(module.path, call.lineno, port, None, text.rpartition(":")[0], "grpc") if port else None


def _from_run(module: Module, call: ast.Call, last: str, framework_of: dict[str, str]) -> Listen | None:
    """`app.run(host=…, port=…)` of Flask and its kind, `socketio.run(app, port=…)`."""
    if last not in ("run", "run_server") or not isinstance(call.func, ast.Attribute):
        return None
    receiver = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
    framework = framework_of.get(receiver, "")
    port, host = keyword(call, "port"), keyword(call, "host")
    if framework == "flask" and port is None and len(call.args) > 1:
        host, port = call.args[0], call.args[1]
    if port is None and framework not in _RUN_DEFAULTS:
        return None
    default = _RUN_DEFAULTS.get(framework, (5000, "127.0.0.1"))
    return _made(module, call, port, _host(host), (*default, "http"))


def _made(
    module: Module,
    call: ast.Call,
    port: ast.expr | None,
    host: str | None,
    default: _Default,
) -> Listen:
    found, env, name = number(module, port)
    known = found if port is not None else default[0]
    return Listen(module.path, call.lineno, known, env, default[1] if host is None else host, default[2], name)


def _host(node: ast.expr | None) -> str | None:
    """The literal address; "" for one that is computed, None when nothing is said."""
    return None if node is None else (constant(node) or "")


def _on_application(call: ast.Call, framework_of: dict[str, str]) -> bool:
    receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
    return isinstance(receiver, ast.Name) and receiver.id in {"app", "application", *framework_of}


def _note_route(module: Module, call: ast.Call, seen: Seen) -> None:
    path = constant(call.args[0]) if call.args else None
    if path is None or not HEALTH_PATH.fullmatch(path):
        return
    if module.origin(call.func).rpartition(".")[2] == "Route":
        seen.route(path, module.path, call.lineno)
    elif isinstance(call.func, ast.Attribute) and call.func.attr in _ROUTERS:
        seen.route(_own_prefix(module, call.func.value) + path, module.path, call.lineno)


def _own_prefix(module: Module, receiver: ast.expr) -> str:
    """The prefix that a router was made with."""
    made = module.constants.get(receiver.id) if isinstance(receiver, ast.Name) else None
    prefix = written(keyword(made, "prefix", "url_prefix")) if isinstance(made, ast.Call) else None
    return (prefix or "").rstrip("/")


def mounts_with_prefix(modules: list[Module]) -> bool:
    """Some router of this program is mounted below a prefix, so paths of routers can't be taken as written."""
    calls = [(call, call.func) for module in modules for call in module.calls]
    mounting = ("include_router", "register_blueprint", "mount")
    return any(
        isinstance(function, ast.Attribute) and function.attr in mounting and keyword(call, "prefix", "url_prefix")
        for call, function in calls
    )


def _note_compared_paths(module: Module, seen: Seen) -> None:
    """`if self.path == "/health"` in a handler of `http.server`."""
    for node in module.comparisons:
        if isinstance(node.left, ast.Attribute) and node.left.attr == "path":
            for side in node.comparators:
                for item in side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]:
                    if text := constant(item):
                        seen.route(text, module.path, node.lineno)
