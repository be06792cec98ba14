"""What a start command says about the program that it starts."""

import re
import shlex

from iarnet.models.component import ComponentKind

LIMIT = 4_000  # of a command; what comes after it is not read

_PORT_FLAGS = (
    re.compile(
        r"(?:--(?:server[._-])?port|--http-port|-p|-l|--listen)[= ]\s*(?:tcp://)?(?:[\w.\[\]:]{0,60}:)?(\d{2,5})(?![\w.])"
    ),
    re.compile(r"(?:--bind|-b|--addr|-addr|--address|--http)[= ]\s*\[?[\w.:]{0,60}\]?:(\d{2,5})(?![\w.])"),
    re.compile(r"\b(?:PORT|SERVER_PORT|server\.port)[=:]-?\s*(\d{2,5})\b"),
    re.compile(r"(?:runserver|daphne|serve)\b.{0,80}?(?:\s|[\w.]{0,40}:)(\d{4,5})(?![\w.])"),
    re.compile(r"\$\{PORT:-(\d{2,5})\}"),
)
_PORT_VARIABLE = re.compile(r"\$\{?([A-Z_]*PORT)\b")
_JOBS = re.compile(
    r"manage\.py (migrate|collectstatic|loaddata)|alembic upgrade|flask db upgrade|prisma (migrate|db)|knex migrate"
    r"|sequelize db:migrate|typeorm migration|\bmigrate\b.{0,80}\bup\b"
)
_WORKERS = re.compile(
    r"\b(celery|dramatiq|rq (worker|scheduler)|rqworker|rqscheduler|arq|huey_consumer|sidekiq|bullmq|db_worker"
    r"|qcluster)\b"
)
TOOLS = {
    **dict.fromkeys(("node", "npm", "npx", "pnpm", "yarn", "bun", "bunx", "tsx", "next"), "node"),
    **dict.fromkeys(("python", "python3", "gunicorn", "uvicorn", "flask", "celery", "daphne", "hypercorn"), "python"),
    **dict.fromkeys(("streamlit", "granian", "uwsgi", "fastapi", "rq", "dramatiq"), "python"),
    **dict.fromkeys(("ruby", "rails", "puma", "rackup", "bundle", "rake", "sidekiq", "thin"), "ruby"),
    **dict.fromkeys(("php", "apache2-foreground", "php-fpm", "heroku-php-apache2", "heroku-php-nginx"), "php"),
    **dict.fromkeys(("java", "mvn", "./mvnw", "gradle", "./gradlew"), "java"),
    **dict.fromkeys(("mix", "elixir"), "elixir"),
    "dotnet": "dotnet",
    "deno": "deno",
    "go": "go",
    "cargo": "rust",
}
"""The ecosystem whose programs are started with a command."""
LANGUAGES = {"node": "javascript", "dotnet": "c#", "deno": "typescript",
             **{name: name for name in ("python", "ruby", "php", "java", "elixir", "go", "rust")}}  # fmt: skip
"""What most programs of an ecosystem are written in."""
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def port_in(command: str) -> int | None:
    """The port that the command itself names."""
    found = (match for expression in _PORT_FLAGS if (match := expression.search(command[:LIMIT])))
    return next((int(match[1]) for match in found if 0 < int(match[1]) < 65536), None)


def port_variable(command: str) -> str | None:
    """The variable that the command takes its port from: `PORT` for `--bind :$PORT`."""
    found = _PORT_VARIABLE.search(command[:LIMIT])
    return found[1] if found else None


def kind_of(command: str) -> ComponentKind | None:
    """`worker` or `job` where the command says so by itself."""
    last = re.split(r"&&|;", command[:LIMIT])[-1]
    if _WORKERS.search(last):
        return "worker"
    return "job" if _JOBS.search(last) else None


def words(command: str) -> list[str]:
    """The words of the last simple command, without assignments and wrappers such as `exec` or `poetry run`."""
    try:
        parts = shlex.split(re.split(r"&&|;", command[:LIMIT])[-1])
    except ValueError:
        parts = command[:LIMIT].split()
    while parts and (parts[0] in ("exec", "env", "dumb-init", "tini", "--") or _ASSIGNMENT.match(parts[0])):
        parts = parts[1:]
    while (
        len(parts) > 2
        and parts[0] in ("poetry", "uv", "pipenv", "pdm", "npx", "bunx", "cross-env")
        and parts[1] == "run"
    ):
        parts = parts[2:]
    return parts[1:] if parts[:1] in (["npx"], ["bunx"]) and len(parts) > 1 else parts
