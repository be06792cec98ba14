"""Which programs a Python folder holds, and how each is started."""

import re
from collections.abc import Callable, Iterable
from posixpath import basename, dirname

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.manifests import join, line_of
from iarnet.analysis.ecosystems.python_code import AppObject, Module
from iarnet.analysis.ecosystems.python_modules import local_path, module_name
from iarnet.analysis.ecosystems.python_program import Program
from iarnet.analysis.ecosystems.python_queues import queue_workers
from iarnet.models.component import ComponentKind

ENTRIES = ("main.py", "app.py", "server.py", "run.py", "wsgi.py", "asgi.py", "api.py", "web.py", "manage.py",
           "__main__.py", "application.py", "bot.py", "worker.py", "start.py", "streamlit_app.py", "Home.py",
           "index.py")  # fmt: skip
ASGI = ("fastapi", "starlette", "litestar", "quart", "fasthtml")
WSGI = ("flask", "falcon", "bottle", "dash")
SERVER_PORTS = {"fastapi": 8000, "starlette": 8000, "litestar": 8000, "quart": 8000, "flask": 8000, "falcon": 8000,
                "fasthtml": 8000,
                "bottle": 8080, "dash": 8050, "sanic": 8000, "django": 8000, "streamlit": 8501, "gradio": 7860,
                "aiohttp": 8080, "tornado": 8888}  # fmt: skip
_PAGES = ("django", "streamlit", "gradio", "dash", "fasthtml")
LOOPS = re.compile(
    r"while True|run_forever|start_consuming|serve_forever|BlockingScheduler|run_polling|start_polling"
    r"|infinity_polling|\.consume\(|KafkaConsumer|AIOKafkaConsumer|\.subscribe\(|schedule\.every|asyncio\.Event\(\)\.wait|client\.run\(|bot\.run\("
)


PortOf = Callable[[str], int]


def find_programs(
    files: Files, root: str, modules: list[Module], dependencies: Iterable[str], port_of: PortOf
) -> list[Program]:
    """The main program first, then what else runs from here. `port_of(framework)` is the port to serve on."""
    known = set(dependencies)
    main = (
        _django(files, root, modules, known, port_of)
        or _application(root, files, modules, known, port_of)
        or _streamlit(root, modules, port_of)
        or _script(root, modules)
    )
    others = queue_workers(files, root, modules, known)
    if main and main.framework in ASGI + WSGI and (page := _streamlit(root, modules, port_of)):
        others.append(page)
    if main and main.framework is None and others and not main.listens:
        return others
    return [program for program in (main, *others) if program]


def declared_program(start: str, modules: list[Module], root: str, framework: str | None) -> Program:
    """What a start command that somebody has written runs."""
    kind, words = commands.kind_of(start), commands.words(start)
    tool = next((w for w in words[:2] if w in _TOOLS), "")
    module = _started_module(words, modules, root)
    file = module.path if module else ""
    if kind:
        return Program(start, tool if kind == "worker" else framework, kind, file, needs=_needs(words))
    if tool or framework in ("streamlit", "gradio") or "runserver" in words:
        return Program(start, framework, _kind(framework), file, listens=True, needs=_needs(words))
    if module is None and framework:
        return Program(start, framework, _kind(framework), file, listens=True, needs=_needs(words))
    serves = module is not None and (_serves(module) or bool(module.apps))
    guess: ComponentKind = _kind(framework) if serves else _script_kind(module)
    return Program(
        start, framework if serves else None, guess, file, listens=serves, file_only=serves, needs=_needs(words)
    )


_TOOLS = ("uvicorn", "gunicorn", "hypercorn", "daphne", "granian", "waitress-serve", "streamlit", "gradio", "celery",
          "dramatiq", "rq", "flask", "fastapi", "sanic", "uwsgi")  # fmt: skip


def _needs(words: list[str]) -> tuple[str, ...]:
    if not words or words[0] not in _TOOLS:
        return ()
    package = {"waitress-serve": "waitress", "uvicorn": "uvicorn[standard]", "fastapi": "fastapi[standard]"}.get(
        words[0], words[0]
    )
    worker = "uvicorn[standard]" if any("UvicornWorker" in word for word in words) else None
    return tuple(name for name in (package, worker) if name)


def _started_module(words: list[str], modules: list[Module], root: str) -> Module | None:
    """The file of `python worker.py`, `python -m shop.worker`, `gunicorn shop.web:app`, `streamlit run page.py`."""
    wanted: list[str] = []
    for word, before in zip(words[1:], words, strict=False):
        if word.endswith(".py"):
            wanted += _endings(word)
        elif before in ("-m", "-A", "--app") or re.fullmatch(r"[\w.]+:[\w.]+(\(\))?", word):
            path = word.split(":")[0].replace(".", "/")
            wanted += [
                f"{folder}{path}{end}" for folder in ("", "src/") for end in (".py", "/__init__.py", "/__main__.py")
            ]
    by_path = {module.path: module for module in modules}
    return next((by_path[path] for name in wanted if (path := join(root, name)) in by_path), None)


def _endings(path: str) -> list[str]:
    """A path and what is left of it without its first folders: in an image the root lies somewhere else."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _django(files: Files, root: str, modules: list[Module], known: set[str], port_of: PortOf) -> Program | None:
    path = next(iter(files.named(("manage.py",), root, 2)), None)
    if path is None or ("django" not in known and "DJANGO_SETTINGS_MODULE" not in (files.text(path) or "")):
        return None
    folder, text = dirname(path), files.text(path)
    inside = folder[len(root) :].strip("/") if root != "." else folder
    settings = re.search(r"DJANGO_SETTINGS_MODULE[\"'],\s*[\"']([\w.]+)[\"']", text or "")
    package = (settings[1] if settings else "").split(".settings")[0].replace(".", "/")
    asynchronous = files.exists(join(folder or ".", f"{package}/asgi.py")) and known & {"channels", "daphne"}
    if not package or not (asynchronous or files.exists(join(folder or ".", f"{package}/wsgi.py"))):
        package, asynchronous = "", set()
    own = re.search(r"default_port\s{0,9}=\s{0,9}[\"']?(\d{2,5})\b", text or "")
    port = int(own[1]) if own and int(own[1]) < 65536 else port_of("django")
    command = _django_server(package.replace("/", "."), bool(asynchronous), port)
    static = "python manage.py collectstatic --noinput && " if _has_static_root(modules) else ""
    change = f"cd {inside} && " if inside else ""
    start = f"{change}{static}python manage.py migrate --noinput && {command}"
    needs = _needs(commands.words(command))
    return Program(start, "django", "web", path, line_of(text, "DJANGO_SETTINGS_MODULE"), listens=True, needs=needs)


def _django_server(package: str, asynchronous: bool, port: int) -> str:
    if not package:
        return f"python manage.py runserver 0.0.0.0:{port}"
    if asynchronous:
        return f"uvicorn --host 0.0.0.0 --port {port} {package}.asgi:application"
    return f"gunicorn --bind 0.0.0.0:{port} {package}.wsgi:application"


def _has_static_root(modules: list[Module]) -> bool:
    return any("STATIC_ROOT" in module.constants for module in modules)


def _application(root: str, files: Files, modules: list[Module], known: set[str], port_of: PortOf) -> Program | None:
    found = [(m, app) for m in modules for app in m.apps if app.framework not in ("celery", "gradio")]
    if not found:
        return None
    module, app = min(found, key=lambda pair: _application_rank(root, *pair))
    start = _server_command(root, files, module, app, known, port_of(app.framework))
    own = not start.startswith("python")
    kind: ComponentKind = "web" if app.framework in _PAGES else "api"
    needs = _needs(commands.words(start))
    return Program(start, app.framework, kind, module.path, app.line, listens=True, file_only=not own, needs=needs)


def _application_rank(root: str, module: Module, app: AppObject) -> tuple[int, bool, int, int, str]:
    name = basename(module.path)
    order = ENTRIES.index(name) if name in ENTRIES else len(ENTRIES)
    depth = module.path.count("/")
    serves = 0 if app.name in ("app", "application", "server", "api", "create_app") else 1
    return (depth if order == len(ENTRIES) else min(depth, 2), app.factory, order, serves, module.path)


def _server_command(root: str, files: Files, module: Module, app: AppObject, known: set[str], port: int) -> str:
    folder, dotted = module_name(root, files, module)
    target = f"{dotted}:{app.name}"
    if app.framework in ASGI:
        where = f" --app-dir {folder}" if folder else ""
        factory = " --factory" if app.factory else ""
        return f"uvicorn{where}{factory} {target} --host 0.0.0.0 --port {port}"
    if app.framework in WSGI:
        target += ".server" if app.framework == "dash" else "()" if app.factory else ""
        where = f" --chdir {folder}" if folder else ""
        return f"gunicorn{where} --bind 0.0.0.0:{port} {_quoted(target)}"
    if app.framework == "sanic" and not app.factory:
        return f"sanic {target} --host 0.0.0.0 --port {port}"
    return f"python {local_path(root, module.path)}"


def _streamlit(root: str, modules: list[Module], port_of: PortOf) -> Program | None:
    pages = [
        m for m in modules if any(i.split(".")[0] == "streamlit" for i in m.imports) and "/pages/" not in f"/{m.path}"
    ]
    if not pages:
        return None
    page = min(pages, key=lambda m: _entry_rank(m.path))
    options = f"--server.address 0.0.0.0 --server.port {port_of('streamlit')} --server.headless true"
    start = f"streamlit run {local_path(root, page.path)} {options}"
    return Program(
        start, "streamlit", "web", page.path, line_of(page.text, "streamlit"), listens=True, needs=("streamlit",)
    )


def _script(root: str, modules: list[Module]) -> Program | None:
    """A file that is run as it is: it serves, makes a Gradio page, or has a main guard or the usual name."""
    found = [m for m in modules if _serves(m) or m.is_main or basename(m.path) in ENTRIES]
    if not found:
        return None
    module = min(found, key=lambda m: (not _serves(m), not m.is_main, *_entry_rank(m.path)))
    framework = next((app.framework for app in module.apps if app.framework != "celery"), None)
    serves = _serves(module)
    kind: ComponentKind = ("web" if framework in _PAGES else "api") if serves else _script_kind(module)
    start = f"python -m {_dotted(root, module)}" if module.relative else f"python {local_path(root, module.path)}"
    return Program(start, framework, kind, module.path, listens=serves, file_only=True, confidence=0.7)


def _serves(module: Module) -> bool:
    from_calls = {module.origin(call.func).rpartition(".")[2] for call in module.calls}
    servers = {"run_app", "serve_forever", "HTTPServer", "ThreadingHTTPServer", "TCPServer", "make_server",
               "add_insecure_port", "start_server", "run_server", "run_simple"}  # fmt: skip
    origins = {module.origin(call.func) for call in module.calls}
    runs = bool(
        origins & {"uvicorn.run", "waitress.serve", "websockets.serve", "bottle.run", "socketio.run", "app.run"}
    )
    gradio = any(app.framework == "gradio" for app in module.apps) and "launch" in from_calls
    return bool(from_calls & servers) or runs or gradio


def _script_kind(module: Module | None) -> ComponentKind:
    return "worker" if module is None or LOOPS.search(module.text) else "job"


def _kind(framework: str | None) -> ComponentKind:
    return "web" if framework in _PAGES else "api"


def _entry_rank(path: str) -> tuple[int, int, str]:
    name = basename(path)
    return (path.count("/"), ENTRIES.index(name) if name in ENTRIES else len(ENTRIES), path)


def _dotted(root: str, module: Module) -> str:
    return local_path(root, module.path).removesuffix(".py").removesuffix("/__main__").replace("/", ".")


def _quoted(target: str) -> str:
    return f"'{target}'" if "(" in target else target
