"""The settings that Python code reads from its environment."""

import ast
import re

from iarnet.analysis.ecosystems.python_code import Module, constant, keyword, targets
from iarnet.analysis.ecosystems.sightings import Seen

_GETTERS = {"os.environ.get", "os.getenv", "os.environ.pop", "decouple.config"}
_READERS = {"environs.Env", "environ.Env", "environ.FileAwareEnv", "starlette.config.Config", "decouple.Config"}
_URL_READERS = {"dj_database_url.config": "DATABASE_URL"}
_ENV_URLS = {"db": "DATABASE_URL", "db_url": "DATABASE_URL", "cache": "CACHE_URL", "cache_url": "CACHE_URL"}
_SETTINGS_BASES = {"pydantic_settings.BaseSettings", "pydantic.BaseSettings", "pydantic.env_settings.BaseSettings"}


def note_settings(module: Module, seen: Seen) -> None:
    """Add what `module` reads to `seen`: `os.environ`, decouple, environs, django-environ, pydantic-settings."""
    readers = _reader_names(module)
    for call in module.calls:
        _note_call(module, call, readers, seen)
    if "environ" in module.text:
        _note_subscripts(module, seen)
    if "Settings" in module.text:
        _note_classes(module, seen)


def env_read(module: Module, node: ast.expr) -> tuple[str, ast.expr | None, bool] | None:
    """Name, default and whether it is required, if the expression reads one setting of `os.environ`."""
    if isinstance(node, ast.Subscript) and module.origin(node.value) == "os.environ":
        name = constant(node.slice)
        return (name, None, True) if name else None
    if not isinstance(node, ast.Call) or not node.args or module.origin(node.func) not in _GETTERS:
        return None
    name = constant(node.args[0])
    default = node.args[1] if len(node.args) > 1 else keyword(node, "default")
    required = module.origin(node.func) == "decouple.config" and default is None
    return (name, default, required) if name else None


def written(node: ast.expr | None) -> str | None:
    """A default as it would be written in an environment; None for what is computed."""
    if isinstance(node, ast.Constant) and node.value is not None and not isinstance(node.value, bytes):
        return str(node.value)
    return None


def _reader_names(module: Module) -> set[str]:
    made = [(name, value) for name, value in module.constants.items() if isinstance(value, ast.Call)]
    return {name for name, value in made if isinstance(value, ast.Call) and module.origin(value.func) in _READERS}


def _note_call(module: Module, call: ast.Call, readers: set[str], seen: Seen) -> None:
    if read := env_read(module, call):
        name, default, required = read
        return seen.read(name, module.path, call.lineno, required=required, default=written(default))
    origin = module.origin(call.func)
    if origin in _URL_READERS:
        return seen.read(_URL_READERS[origin], module.path, call.lineno, default=written(keyword(call, "default")))
    if origin in _READERS:
        return _note_scheme(module, call, seen)
    if variable := constant(keyword(call, "envvar")):
        return seen.read(variable, module.path, call.lineno)
    if readers and origin.split(".")[0] in readers:
        _note_reader(module, call, origin.split(".")[1:], seen)
    return None


def _note_scheme(module: Module, call: ast.Call, seen: Seen) -> None:
    """`environ.Env(DEBUG=(bool, False))`."""
    for item in call.keywords:
        if item.arg and isinstance(item.value, ast.Tuple) and len(item.value.elts) == 2:
            seen.read(item.arg, module.path, call.lineno, default=written(item.value.elts[1]))


def _note_reader(module: Module, call: ast.Call, method: list[str], seen: Seen) -> None:
    """`env("X")`, `env.int("X", default=1)`, `config("X", cast=bool)`."""
    name = constant(call.args[0]) if call.args else _ENV_URLS.get(method[0] if method else "")
    if name is None or (method and method[0] in ("read_env", "prefixed", "path", "list_of")):
        return
    positional = call.args[1] if len(call.args) > 1 and not isinstance(call.args[1], ast.Name) else None
    default = keyword(call, "default") or positional
    seen.read(name, module.path, call.lineno, required=default is None, default=written(default))


def _note_subscripts(module: Module, seen: Seen) -> None:
    for node in module.subscripts:
        if isinstance(node.ctx, ast.Load) and (read := env_read(module, node)):
            seen.read(read[0], module.path, node.lineno, required=True)
    for comparison in module.comparisons:
        if module.origin(comparison.comparators[0]) == "os.environ":
            seen.read(constant(comparison.left) or "", module.path, comparison.lineno)


def _note_classes(module: Module, seen: Seen) -> None:
    known: set[str] = set()
    for node in module.classes:
        if any(_is_settings(module, base, known) for base in node.bases):
            known.add(node.name)
            _note_fields(module, node, seen)


def _is_settings(module: Module, base: ast.expr, known: set[str]) -> bool:
    origin = module.origin(base)
    return origin in _SETTINGS_BASES or origin in known


def _note_fields(module: Module, settings: ast.ClassDef, seen: Seen) -> None:
    prefix = _prefix(settings)
    for statement in settings.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        field = statement.target.id
        if field == "model_config" or "ClassVar" in ast.unparse(statement.annotation):
            continue
        alias, default, required = _field(statement.value)
        name = alias or (prefix + field).upper()
        seen.read(name, module.path, statement.lineno, required=required, default=written(default))
        text = written(default)
        if re.search(r"port$", field, re.IGNORECASE) and text and text.isdigit() and int(text) < 65536:
            seen.numbers[field] = (int(text), name)


def _field(value: ast.expr | None) -> tuple[str | None, ast.expr | None, bool]:
    """Alias, default and whether it is required, of one annotated field."""
    if value is None:
        return None, None, True
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name) or value.func.id != "Field":
        return None, value, False
    positional = value.args[0] if value.args else None
    default = keyword(value, "default") or positional
    ellipsis = isinstance(default, ast.Constant) and default.value is ...
    required = (default is None or ellipsis) and keyword(value, "default_factory") is None
    alias = constant(keyword(value, "validation_alias", "alias", "env"))
    return alias, None if ellipsis else default, required


def _prefix(settings: ast.ClassDef) -> str:
    """`env_prefix` of `model_config` or of the inner class `Config`."""
    for statement in settings.body:
        inner = statement.body if isinstance(statement, ast.ClassDef) and statement.name == "Config" else [statement]
        for name, value in (pair for item in inner for pair in targets(item)):
            text = constant(value) if name == "env_prefix" else None
            if isinstance(value, ast.Call) and name == "model_config":
                text = constant(keyword(value, "env_prefix"))
            if text:
                return text
    return ""
