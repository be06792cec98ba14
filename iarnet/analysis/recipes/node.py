"""The Dockerfile of a Node program, whichever package manager it uses."""

import json
from dataclasses import dataclass, field

from iarnet.analysis.recipes import dockerfile
from iarnet.analysis.recipes.static import DOCUMENTS, Site, nginx_stage


@dataclass(frozen=True)
class NodeBuild:
    """`folder` is where the program lives below the context. `script` builds it, or `command` where it is no script;
    `output` (relative to `folder`) is what nginx then serves, or else `start` runs. `prune`: what only the build
    needed is removed.

    `skips` are settings of the installation, `settings` of the build, `arguments` such that it reads and bakes in;
    `adds` packages that the start command needs.
    """

    version: int
    start: str = ""
    manager: str = "npm"
    major: str = ""
    locked: bool = False
    manifests: tuple[str, ...] = ("package.json",)
    early: bool = False
    folder: str = "."
    name: str = ""
    script: str | None = None
    command: str = ""
    turbo: bool = False
    skips: tuple[str, ...] = ()
    output: str | None = None
    site: Site = field(default_factory=Site)
    prune: bool = False
    manager_at_run: bool = False
    system: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    port: int | None = None
    env: tuple[tuple[str, str], ...] = ()


def node_recipe(build: NodeBuild) -> str:
    """Served by nginx as user 101 with `output`, else run by Node as the image's own user 1000, who owns `/app`."""
    at = "/app" if build.folder == "." else f"/app/{build.folder}"
    if build.output is not None:
        copy = f"COPY --from=build {at}/{build.output} {DOCUMENTS}"
        return dockerfile.joined(*_build_stage(build, at), "", *nginx_stage(copy, build.site))
    return dockerfile.joined(*_build_stage(build, at), "", *_run_stage(build, at))


def _build_stage(build: NodeBuild, at: str) -> list[str | None]:
    built = bool(build.script or build.command)
    production = not built and build.prune
    return [
        f"FROM node:{build.version}-slim AS build",
        # Nobody is there to be asked. No ENV, which would win over the settings of the build.
        "ARG CI=true",
        *(f"ARG {setting}" for setting in build.skips),
        "ENV YARN_NODE_LINKER=node-modules" if _berry(build) else None,
        dockerfile.apt(build.system),
        _manager(build),
        "WORKDIR /app",
        *(["COPY . ."] if build.early else [_copy(path) for path in build.manifests]),
        dockerfile.run(*_install(build, production=production)),
        None if build.early else "COPY . .",
        *(f"ARG {name}" for name in (*build.arguments, *build.settings)),
        # Before 1.6 it only works from above.
        dockerfile.run(*_script(build)) if _by_turbo(build) else None,
        None if at == "/app" else f"WORKDIR {at}",
        dockerfile.run(*_script(build)) if built and not _by_turbo(build) else None,
        _pruned(build) if build.prune and built else None,
    ]


def _run_stage(build: NodeBuild, at: str) -> list[str | None]:
    binaries = "/app/node_modules/.bin" if at == "/app" else f"{at}/node_modules/.bin:/app/node_modules/.bin"
    return [
        f"FROM node:{build.version}-slim",
        f"ENV NODE_ENV=production PATH={binaries}:$PATH",
        dockerfile.env(dict(build.env)),
        dockerfile.apt(build.system),
        _manager(build) if build.manager_at_run else None,
        # For all: no manager that looks after the project's own packages removes it.
        dockerfile.run("npm", "install", "--global", *build.adds) if build.adds else None,
        "WORKDIR /app",
        "RUN chown 1000:1000 /app",
        "COPY --from=build --chown=1000:1000 /app /app",
        None if at == "/app" else f"WORKDIR {at}",
        "USER 1000",
        dockerfile.expose(build.port),
        dockerfile.cmd(build.start),
    ]


def _copy(path: str) -> str:
    """A folder keeps its name, a file its place."""
    return f"COPY {json.dumps([path, path])}"


def _berry(build: NodeBuild) -> bool:
    return build.manager == "yarn" and build.major not in ("", "1")


def _manager(build: NodeBuild) -> str | None:
    """npm comes with the image, in some versions yarn 1 as well: `--force` replaces it."""
    package = {"pnpm": f"pnpm@{build.major or '9'}", "bun": f"bun@{build.major or '1'}"}.get(build.manager)
    if build.manager == "yarn":
        package = f"@yarnpkg/cli-dist@{build.major}" if _berry(build) else "yarn@1"
    return dockerfile.run("npm", "install", "--global", "--force", package) if package else None


def _install(build: NodeBuild, *, production: bool) -> list[str]:
    if build.manager == "npm":
        return [
            "npm",
            "ci" if build.locked else "install",
            "--no-audit",
            "--no-fund",
            *(["--omit=dev"] if production else []),
        ]
    if build.manager == "pnpm":
        return ["pnpm", "install", *_frozen(build), *(["--prod"] if production else [])]
    if _berry(build):
        return ["yarn", "install", "--immutable" if build.locked else "--no-immutable"]
    return [build.manager, "install", *_frozen(build), *(["--production"] if production else [])]


def _frozen(build: NodeBuild) -> list[str]:
    """In a CI environment pnpm refuses to make a lock file unless it is told to."""
    return (
        ["--frozen-lockfile" if build.locked else "--no-frozen-lockfile"]
        if build.locked or build.manager == "pnpm"
        else []
    )


def _by_turbo(build: NodeBuild) -> bool:
    return bool(build.folder != "." and build.turbo and build.name and build.script)


def _script(build: NodeBuild) -> list[str]:
    """In a workspace what the program depends on is built first, where a tool can tell the order."""
    script = build.script
    if not script:
        return ["npx", *build.command.split()]
    if _by_turbo(build):
        return ["npx", "turbo", "run", script, f"--filter={build.name}..."]
    if build.folder != "." and build.manager == "pnpm" and build.name:
        return ["pnpm", "--filter", f"{build.name}...", "run", script]
    return [build.manager, "run", script]


def _pruned(build: NodeBuild) -> str | None:
    """Yarn 2 and later, bun and workspaces have no safe way to do this."""
    if build.folder != "." or build.manager == "bun" or _berry(build):
        return None
    if build.manager == "yarn":
        return dockerfile.run("yarn", "install", "--production", "--ignore-scripts", "--prefer-offline")
    if build.manager == "pnpm":
        return dockerfile.run("pnpm", "prune", "--prod")
    return dockerfile.run("npm", "prune", "--omit=dev")
