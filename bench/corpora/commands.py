"""Start commands, brought to what they mean: two of them are the same when they run the same program.

What a packager adds of its own (the name of its binary, its web server for files, its wrapper of PHP) says nothing
of the project.
"""

import re
import shlex

_FILES = re.compile(r"\b(?:caddy run|nginx\b(?!.*php-fpm)|static-web-server|http-server|npx serve|serve -s)")
_PHP = re.compile(r"php-fpm|frankenphp|apache2-foreground|/start-container\.sh|artisan serve|php -S")
_JAR = re.compile(r"\bjava\b.*(?:\s-jar\s|\s-cp\s|\.jar)")
_SERVERS = ("gunicorn", "uvicorn", "hypercorn", "daphne", "uwsgi", "waitress-serve", "granian")
_MANAGERS = ("npm", "pnpm", "yarn", "bun")
_COMPILED = frozenset({"go", "rust", "c++", "c", "swift", "zig", "crystal", "dart", "cobol", "c#", "f#", "vb"})
_MIX = re.compile(r"mix phx\.server|/bin/\S+ start$|mix run --no-halt")
_LAST = re.compile(r"&&|;")


def meaning(command: str, language: str | None = None) -> str:
    """A short form to compare: `files`, `php`, `jar`, `binary`, `server module:object`, `run script`, or the words
    without settings, flags and paths of tools."""
    text = command.strip()
    if _PHP.search(text):
        return "php"
    if _FILES.search(text):
        return "files"
    if _JAR.search(text):
        return "jar"
    if language in ("elixir", "erlang") and _MIX.search(text):
        return "release"
    parts = _words(_LAST.split(text)[-1])
    if not parts:
        return ""
    if language in _COMPILED and ("/" in parts[0] or len(parts) == 1 or parts[0] == "dotnet"):
        return "binary"
    return _program(parts)


def _program(parts: list[str]) -> str:
    first = parts[0].rsplit("/", 1)[-1]
    if first in _SERVERS:
        objects = [p for p in parts[1:] if ":" in p and not re.match(r"[\d.\[]|\$", p)]
        modules = [p for p in parts[1:] if re.fullmatch(r"[A-Za-z_][\w.]*", p)]
        return f"server {next(iter([*objects, *modules]), '').partition(':')[0]}"
    if first in _MANAGERS:
        words = [p for p in parts[1:] if p != "run"]
        return f"run {words[0]}" if words else first
    if first == "deno":
        words = [p for p in parts[1:] if not p.startswith("-")]
        return " ".join(["deno", *words])
    if first in ("bundle", "poetry", "uv", "pipenv", "pdm", "npx", "bunx") and len(parts) > 2:
        return _program(parts[2:] if parts[1] in ("exec", "run") else parts[1:])
    if first in ("rackup", "puma"):
        return "rack"
    if "rails" in first and parts[1:2] in (["server"], ["s"]):
        return "rails server"
    if first in ("sh", "bash", "zsh"):
        return " ".join(["sh", *(p.removeprefix("./") for p in parts[1:] if not p.startswith("-"))])
    if first.endswith(".sh"):
        return f"sh {first}"
    first = re.sub(r"^(python|node|ruby|php)[\d.]*$", r"\1", first)
    return " ".join([first, *(p.removeprefix("./") for p in parts[1:] if not p.startswith("-"))])


def _words(command: str) -> list[str]:
    try:
        parts = shlex.split(command)
    except ValueError:
        parts = command.split()
    parts = [p for p in parts if not re.fullmatch(r"\d?>&?\d?|2>&1", p)]
    while parts and (parts[0] in ("exec", "env") or re.match(r"[A-Za-z_]\w*=", parts[0])):
        parts = parts[1:]
    return parts
