"""Files that say something of a program without saying how it is started: Heroku's `app.json`, Vercel's
`vercel.json`, development containers."""

import posixpath
import re
from collections.abc import Callable
from typing import Any

from iarnet.analysis import jsonc
from iarnet.analysis.base import Clue, Declared, Files, Structure
from iarnet.analysis.ecosystems.manifests import line_of
from iarnet.analysis.names import component_name
from iarnet.analysis.services import by_key
from iarnet.models.analysis import Warning
from iarnet.models.component import EnvVar

DEPTH = 3
LIMIT = 200_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
_ADDONS = {
    "heroku-postgresql": "postgres",
    "heroku-redis": "redis",
    "heroku-kafka": "kafka",
    "rediscloud": "redis",
    "cloudamqp": "rabbitmq",
    "jawsdb": "mysql",
    "cleardb": "mysql",
    "memcachier": "memcached",
    "bonsai": "elasticsearch",
}


class Hints:
    name = "hints"
    whole = False

    def read(self, files: Files) -> Structure | None:
        structure = Structure()
        for path in files.named(_READERS, depth=DEPTH):
            text = files.text(path) or ""
            try:
                document = jsonc.loads(text) if 0 < len(text) <= LIMIT else {}
            except (ValueError, RecursionError) as error:
                message = f"{path} can't be read: {str(error)[:200]}"
                structure.warnings.append(Warning(code="broken-manifest", message=message, file=path))
                continue
            if isinstance(document, dict):
                structure.components += _READERS[posixpath.basename(path)](document, path, text)
        return structure if structure.components or structure.warnings else None


def _app_json(document: dict[str, Any], path: str, text: str) -> list[Declared]:
    """https://devcenter.heroku.com/articles/app-json-schema; what Expo calls so has other keys."""
    env = [_variable(name, given) for name, given in _table(document, "env").items() if _NAME.fullmatch(name)]
    found = [_settings(path, text, env)] if env else []
    for addon in _list(document, "addons"):
        plan = str(addon.get("plan", "") if isinstance(addon, dict) else addon)
        key = _ADDONS.get(plan.split(":")[0])
        if key:
            clue = Clue("component", plan, path, line_of(text, plan))
            found.append(Declared(component_name(key), None, {"image": by_key(key).image}, [clue]))
    return found


def _variable(name: str, given: Any) -> EnvVar:
    """`generator: secret` is a value that is made up once."""
    details = given if isinstance(given, dict) else {"value": given}
    if details.get("generator") == "secret":
        return EnvVar(name=name, value="{secret}", secret=component_name(name))
    value = details.get("value")
    written = value if isinstance(value, str) else None
    return EnvVar(name=name, value=written, required=written is None and details.get("required") is not False)


def _vercel(document: dict[str, Any], path: str, text: str) -> list[Declared]:
    """https://vercel.com/docs/project-configuration; `@name` is a secret that Vercel keeps."""
    given = {**_table(_table(document, "build"), "env"), **_table(document, "env")}
    env = [
        EnvVar(name=name, value=None if value.startswith("@") else value, required=value.startswith("@"))
        for name, value in given.items()
        if isinstance(value, str) and _NAME.fullmatch(name)
    ]
    return [_settings(path, text, env)] if env else []


def _development(document: dict[str, Any], path: str, text: str) -> list[Declared]:
    """https://containers.dev/implementors/json_reference: what a developer needs proves nothing of what runs."""
    folder = posixpath.dirname(path)
    root = posixpath.dirname(folder) if posixpath.basename(folder) == ".devcontainer" else folder
    hint = Declared("", root or ".", hint=True)
    for port in _list(document, "forwardPorts"):
        hint.clues.append(Clue("ports", f"forwarded: {port}", path, line_of(text, "forwardPorts"), 0.3))
    command = document.get("postCreateCommand")
    if isinstance(command, str) and command:
        hint.clues.append(Clue("build", f"prepared by: {command}", path, line_of(text, "postCreateCommand"), 0.3))
    return [hint] if hint.clues else []


def _settings(path: str, text: str, env: list[EnvVar]) -> Declared:
    clues = [Clue(f"env.{one.name}", one.value or "", path, line_of(text, f'"{one.name}"')) for one in env]
    return Declared("", posixpath.dirname(path) or ".", {"env": tuple(env)}, clues, hint=True)


def _list(document: dict[str, Any], key: str) -> list[Any]:
    value = document.get(key)
    return value if isinstance(value, list) else []


def _table(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


_READERS: dict[str, Callable[[dict[str, Any], str, str], list[Declared]]] = {
    "app.json": _app_json,
    "vercel.json": _vercel,
    "devcontainer.json": _development,
    ".devcontainer.json": _development,
}
