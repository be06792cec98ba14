"""The Dockerfile of a Python program: a virtual environment made in one stage and used in the next."""

import json
from dataclasses import dataclass

from iarnet.analysis.recipes import dockerfile

_NATIVE = {  # distribution packages by Python package: to compile it, and to use it
    "psycopg2": (("gcc", "libc6-dev", "libpq-dev"), ("libpq5",)),
    "psycopg": ((), ("libpq5",)),
    "psycopg[c]": (("gcc", "libc6-dev", "libpq-dev"), ("libpq5",)),
    "mysqlclient": (("gcc", "libc6-dev", "pkg-config", "default-libmysqlclient-dev"), ("libmariadb3",)),
    "python-ldap": (("gcc", "libc6-dev", "libldap2-dev", "libsasl2-dev"), ("libldap-common", "libsasl2-2")),
    "uwsgi": (("gcc", "libc6-dev"), ()),
    "pycairo": (("gcc", "libc6-dev", "pkg-config", "libcairo2-dev"), ("libcairo2",)),
    "weasyprint": ((), ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0")),
    "opencv-python": ((), ("libgl1", "libglib2.0-0")),
    "python-magic": ((), ("libmagic1",)),
    "lightgbm": ((), ("libgomp1",)),
    "pydub": ((), ("ffmpeg",)),
}


@dataclass(frozen=True)
class PythonBuild:
    """`copies` are the manifests that the installation needs, relative to the context. `adds` are packages that the
    start command needs and the manifests don't name. `install_project`: the program is itself a package. `member`:
    its name in the workspace that the context is, in which it lies in `folder`."""

    version: str
    start: str
    manager: str = "pip"
    locked: bool = False
    copies: tuple[str, ...] = ()
    requirements: str | None = None
    wanted: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    dependencies: frozenset[str] = frozenset()
    vcs: bool = False
    install_project: bool = False
    port: int | None = None
    env: tuple[tuple[str, str], ...] = ()
    member: str | None = None
    folder: str = "."


def python_recipe(build: PythonBuild) -> str:
    """Two stages; the second holds no package manager's leftovers, runs as user 10001 and owns `/app`."""
    compile_with, run_with = _native(build)
    return dockerfile.joined(
        f"FROM python:{build.version}-slim AS build",
        "ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1",
        dockerfile.apt(compile_with),
        _tool(build),
        "RUN python -m venv /venv",
        "ENV VIRTUAL_ENV=/venv PATH=/venv/bin:$PATH",
        "WORKDIR /app",
        *_dependencies(build),
        dockerfile.run("pip", "install", *build.adds) if build.adds else None,
        *_project(build),
        "",
        f"FROM python:{build.version}-slim",
        "ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1",
        dockerfile.env(dict(build.env)),
        dockerfile.apt(run_with),
        "RUN useradd --uid 10001 --create-home app && mkdir /app && chown 10001:10001 /app",
        "WORKDIR /app",
        "COPY --from=build /venv /venv",
        "COPY --chown=10001:10001 . .",
        f"WORKDIR /app/{build.folder}" if build.folder != "." else None,
        "USER 10001",
        dockerfile.expose(build.port),
        dockerfile.cmd(build.start),
    )


def _native(build: PythonBuild) -> tuple[tuple[str, ...], tuple[str, ...]]:
    bundled = {"psycopg"} if build.dependencies & {"psycopg[binary]", "psycopg-binary"} else set()
    pairs = [_NATIVE[name] for name in sorted((build.dependencies - bundled) & _NATIVE.keys())]
    compile_with = {package for needs, _ in pairs for package in needs} | ({"git"} if build.vcs else set())
    return tuple(sorted(compile_with)), tuple(sorted({package for _, uses in pairs for package in uses}))


def _tool(build: PythonBuild) -> str | None:
    """The package manager, outside of the environment that it fills."""
    return None if build.manager == "pip" else dockerfile.run("pip", "install", build.manager)


def _dependencies(build: PythonBuild) -> list[str]:
    copy = [f"COPY {json.dumps([path, path])}" for path in build.copies]
    if build.manager == "uv":
        environment = "ENV UV_PROJECT_ENVIRONMENT=/venv UV_PYTHON_DOWNLOADS=never UV_NO_CACHE=1 UV_LINK_MODE=copy"
        if build.member:
            return [environment, "COPY . .", dockerfile.run(*_UV_SYNC, "--no-editable", "--package", build.member)]
        return [environment, *copy, dockerfile.run(*_UV_SYNC, "--no-install-project")]
    if build.manager == "poetry":
        return [
            *copy,
            dockerfile.run("poetry", "install", "--only", "main", "--no-root", "--no-interaction", "--no-cache"),
        ]
    if build.manager == "pdm":
        export = dockerfile.run("pdm", "export", "--prod", "--output", "/tmp/requirements.txt")
        return [*copy, export, dockerfile.run("pip", "install", "--requirement", "/tmp/requirements.txt")]
    if build.manager == "pipenv":
        export = "RUN pipenv requirements --hash > /tmp/requirements.txt"
        return [*copy, export, dockerfile.run("pip", "install", "--requirement", "/tmp/requirements.txt")]
    if build.requirements:
        return [*copy, dockerfile.run("pip", "install", "--requirement", build.requirements)]
    return [dockerfile.run("pip", "install", *build.wanted)] if build.wanted else []


_UV_SYNC = ("uv", "sync", "--frozen", "--no-dev", "--inexact")


def _project(build: PythonBuild) -> list[str]:
    if not build.install_project or build.member:
        return []
    if build.manager == "uv":
        return ["COPY . .", dockerfile.run(*_UV_SYNC, "--no-editable")]
    return ["COPY . .", dockerfile.run("pip", "install", "--no-deps", ".")]
