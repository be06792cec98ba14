"""The Dockerfile of a Go program: one static binary on an image that holds little more than a shell."""

import json
from dataclasses import dataclass

from iarnet.analysis.recipes import dockerfile


@dataclass(frozen=True)
class GoBuild:
    """`folder` is the module below the context, `package` the main package below the module. The binary is put at
    `/app/{binary}`, where `start` finds it; `made`: there is no
    go.mod. `assets` are folders that it may read beside it."""

    version: str
    package: str
    binary: str
    start: str
    folder: str = "."
    locked: bool = True
    made: bool = False
    vendored: bool = False
    cgo: bool = False
    replaces: bool = False
    assets: tuple[str, ...] = ()
    port: int | None = None
    env: tuple[tuple[str, str], ...] = ()


def go_recipe(build: GoBuild) -> str:
    """Runs as user 10001 in `/app`, which it owns."""
    return dockerfile.joined(
        f"FROM golang:{build.version} AS build",
        f"ENV CGO_ENABLED={int(build.cgo)}",
        dockerfile.apt(("gcc", "libc6-dev")) if build.cgo else None,
        "WORKDIR /src" if build.folder == "." else f"WORKDIR /src/{build.folder}",
        *_download(build),
        "COPY . /src" if build.folder != "." or build.replaces else "COPY . .",
        dockerfile.run("go", "mod", "tidy") if build.made else None,
        dockerfile.run(*_compile(build)),
        "",
        "FROM busybox:stable",
        "COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt",
        "ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt HOME=/app",
        dockerfile.env(dict(build.env)),
        "RUN mkdir -p /app && chown 10001:10001 /app",
        "WORKDIR /app",
        *(_asset(build, name) for name in build.assets),
        f"COPY --from=build {json.dumps(['/out/program', f'/app/{build.binary}'])}",
        "USER 10001",
        dockerfile.expose(build.port),
        dockerfile.cmd(build.start),
    )


def _download(build: GoBuild) -> list[str]:
    """Modules that lie beside this one are needed before anything can be downloaded."""
    if build.vendored or build.replaces:
        return []
    if build.made:
        return [dockerfile.run("go", "mod", "init", "app")]
    folder = "" if build.folder == "." else f"{build.folder}/"
    files = [f"{folder}go.mod", *([f"{folder}go.sum"] if build.locked else [])]
    return [f"COPY {json.dumps([*files, './'])}", dockerfile.run("go", "mod", "download")]


def _compile(build: GoBuild) -> list[str]:
    tags = "timetzdata,osusergo,netgo" if build.cgo else "timetzdata"
    flags = '-s -w -linkmode external -extldflags "-static"' if build.cgo else "-s -w"
    modules = [] if build.locked or build.vendored else ["-mod=mod"]
    return [
        "go",
        "build",
        *modules,
        "-trimpath",
        "-tags",
        tags,
        "-ldflags",
        flags,
        "-o",
        "/out/program",
        build.package,
    ]


def _asset(build: GoBuild, name: str) -> str:
    source = name if build.folder == "." else f"{build.folder}/{name}"
    return f"COPY --chown=10001:10001 {json.dumps([source, name])}"
