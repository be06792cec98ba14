"""One Python file, parsed and never run: what it imports, creates, reads and opens."""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from iarnet.analysis.ecosystems.manifests import shows

CODE_LIMIT = 200_000

# Parsing is what costs time, so files without any of these words are left out.
INTERESTING = re.compile(
    r"environ|getenv|Settings|[Cc]onfig\(|Env\(|envvar|__main__|while True|Queue\(|PORT\b|[_.]port\b|\bport *[:=]"
    r"|FastAPI|fasthtml|FastHTML|Flask|Starlette|Litestar|Quart|Sanic|[Ff]alcon|[Bb]ottle|Dash|[Cc]elery|dramatiq|streamlit|gradio|socketio"
    r"|tornado|aiohttp|\.run\(|run_app|[Ll]isten|Server\(|serve\(|start_server|add_(?:in)?secure_port|launch\(|make_server"
    r"|create_app\(|\.bind\(|/health|/ready|/live|/ping|/up|beat_schedule|STATIC_ROOT"
)

TELLING = re.compile(
    r"\b(?:FastAPI|Flask|Celery|Starlette|Litestar|create_app)\(|BaseSettings|__main__|environ\b|getenv"
)

CONSTRUCTORS = {
    "fastapi.FastAPI": "fastapi",
    "fastapi.applications.FastAPI": "fastapi",
    "starlette.applications.Starlette": "starlette",
    "litestar.Litestar": "litestar",
    "quart.Quart": "quart",
    "sanic.Sanic": "sanic",
    "fast_app": "fasthtml",
    "FastHTML": "fasthtml",
    "fasthtml.common.fast_app": "fasthtml",
    "fasthtml.common.FastHTML": "fasthtml",
    "robyn.Robyn": "robyn",
    "blacksheep.Application": "starlette",
    "connexion.FlaskApp": "flask",
    "flask.Flask": "flask",
    "apiflask.APIFlask": "flask",
    "falcon.App": "falcon",
    "falcon.asgi.App": "starlette",
    "bottle.Bottle": "bottle",
    "bottle.default_app": "bottle",
    "dash.Dash": "dash",
    "celery.Celery": "celery",
    "celery.app.Celery": "celery",
    "gradio.Blocks": "gradio",
    "gradio.Interface": "gradio",
    "gradio.ChatInterface": "gradio",
    "gradio.TabbedInterface": "gradio",
    "aiohttp.web.Application": "aiohttp",
    "tornado.web.Application": "tornado",
    "socketio.ASGIApp": "starlette",
}


@dataclass(frozen=True)
class AppObject:
    """`name` of a module that holds an application; with `factory` a function that makes one."""

    name: str
    framework: str
    line: int
    factory: bool = False


@dataclass
class Module:
    """`names` maps what the file calls something to where it comes from: `np` to `numpy`, `App` to `flask.Flask`."""

    path: str
    text: str
    tree: ast.Module
    names: dict[str, str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    relative: bool = False
    apps: list[AppObject] = field(default_factory=list)
    makers: dict[str, str] = field(default_factory=dict)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    calls: list[ast.Call] = field(default_factory=list)
    subscripts: list[ast.Subscript] = field(default_factory=list)
    comparisons: list[ast.Compare] = field(default_factory=list)
    classes: list[ast.ClassDef] = field(default_factory=list)
    is_main: bool = False

    def origin(self, node: ast.expr) -> str:
        """The dotted name, its first part replaced by what was imported: `aiohttp.web.App` for `web.App`."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ".".join(reversed(parts))
        return ".".join([self.names.get(node.id, node.id), *reversed(parts)])


def read_module(path: str, text: str | None, *, always: bool = False) -> Module | None:
    """None for a file that is too large, does not parse or (unless `always`) has nothing of interest."""
    if text is None or len(text) > CODE_LIMIT or not (always or shows(INTERESTING, text)):
        return None
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    module = Module(path, text, tree)
    for node in walk(tree):
        _note(module, node)
    module.apps = [*_assigned_apps(module), *_factories(module)]
    return module


def walk(tree: ast.AST) -> list[ast.AST]:
    """As `ast.walk`, without the names, literals and operators at the ends, in a third of the time."""
    found = [tree]
    for node in found:
        for value in node.__dict__.values():
            if value.__class__ is list:
                found += [item for item in value if isinstance(item, ast.AST) and item.__class__ not in _ENDS]
            elif isinstance(value, ast.AST) and value.__class__ not in _ENDS:
                found.append(value)
    return found


_ENDS = frozenset({ast.Name, ast.Constant, ast.alias, ast.Pass, ast.Break, ast.Continue})
_ENDS |= {kind for base in (ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
          for kind in base.__subclasses__()}  # fmt: skip


def parse(text: str) -> ast.Module:
    """What the compiler has to say on somebody else's style does not go into our log. Raises as `ast.parse`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run on import, those under `if`, `try` and `with` included."""
    waiting: list[ast.stmt] = list(reversed(tree.body))
    while waiting:
        statement = waiting.pop()
        yield statement
        if isinstance(statement, ast.If) and is_main_guard(statement):
            continue
        if isinstance(statement, ast.If | ast.Try | ast.With):
            inner = [*statement.body, *getattr(statement, "orelse", []), *getattr(statement, "finalbody", [])]
            waiting += reversed(inner)


def is_main_guard(statement: ast.If) -> bool:
    test = statement.test
    sides = [test.left, *test.comparators] if isinstance(test, ast.Compare) else []
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)


def constant(node: ast.expr | None) -> str | None:
    """The text of a literal string."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def keyword(call: ast.Call, *wanted: str) -> ast.expr | None:
    return next((item.value for item in call.keywords if item.arg in wanted), None)


def targets(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    """The names that a statement assigns, with the value; of several at once the first."""
    if isinstance(statement, ast.Assign):
        firsts = [t.elts[0] if isinstance(t, ast.Tuple) and t.elts else t for t in statement.targets]
        return [(target.id, statement.value) for target in firsts if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        return [(statement.target.id, statement.value)]
    return []


def adopt_factory_calls(modules: list[Module]) -> None:
    """`app = create_app()` counts as an application, also where the factory lives in another file."""
    factories = {name: framework for module in modules for name, framework in module.makers.items()}
    for module in modules:
        for statement in top_level(module.tree):
            for name, value in targets(statement):
                called = module.origin(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
                if called in factories:
                    module.apps.append(AppObject(name, factories[called], statement.lineno))


def _note(module: Module, node: ast.AST) -> None:
    if node.__class__ not in _NOTED:
        return
    if isinstance(node, ast.Import):
        for alias in node.names:
            module.names[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )
            module.imports.add(alias.name)
    elif isinstance(node, ast.ImportFrom):
        module.relative = module.relative or node.level > 0
        source = "." * node.level + (node.module or "")
        module.imports |= {source} if not node.level else set()
        module.names |= {alias.asname or alias.name: f"{source}.{alias.name}" for alias in node.names}
    elif isinstance(node, ast.Call):
        module.calls.append(node)
    elif isinstance(node, ast.Subscript):
        module.subscripts.append(node)
    elif isinstance(node, ast.Compare):
        module.comparisons.append(node)
    elif isinstance(node, ast.ClassDef):
        module.classes.append(node)
    elif isinstance(node, ast.If):
        module.is_main = module.is_main or is_main_guard(node)


_NOTED = frozenset({ast.Import, ast.ImportFrom, ast.Call, ast.Subscript, ast.Compare, ast.ClassDef, ast.If})


def _assigned_apps(module: Module) -> list[AppObject]:
    found: list[AppObject] = []
    for statement in top_level(module.tree):
        assigned = targets(statement)
        module.constants |= dict(assigned)
        if isinstance(statement, ast.With):
            assigned = [
                (i.optional_vars.id, i.context_expr) for i in statement.items if isinstance(i.optional_vars, ast.Name)
            ]
        for name, value in assigned:
            if isinstance(value, ast.Call) and (framework := CONSTRUCTORS.get(module.origin(value.func))):
                found.append(AppObject(name, framework, statement.lineno))
    return found


def _factories(module: Module) -> list[AppObject]:
    """Functions that make an application; a server can call those that need no arguments."""
    found: list[AppObject] = []
    for function in top_level(module.tree):
        if isinstance(function, ast.FunctionDef) and (framework := _returned_framework(module, function)):
            module.makers[function.name] = framework
            if not _needs_arguments(function):
                found.append(AppObject(function.name, framework, function.lineno, factory=True))
    return found


def _needs_arguments(function: ast.FunctionDef) -> bool:
    required = len(function.args.posonlyargs) + len(function.args.args) - len(function.args.defaults)
    return required > 0 or any(default is None for default in function.args.kw_defaults)


def _returned_framework(module: Module, function: ast.FunctionDef) -> str | None:
    """The framework whose application the function makes and returns."""
    made: dict[str, str] = {}
    nodes = walk(function)
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            for name, value in targets(node):
                if isinstance(value, ast.Call) and (framework := CONSTRUCTORS.get(module.origin(value.func))):
                    made[name] = framework
    for node in nodes:
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id in made:
            return made[node.value.id]
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call):
            return CONSTRUCTORS.get(module.origin(node.value.func))
    return None
