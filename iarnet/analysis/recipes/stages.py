"""A Dockerfile of two stages, for every language whose build leaves something to copy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from iarnet.analysis.recipes import dockerfile


@dataclass(frozen=True)
class Stages:
    """`build` and `run` are images. `first` are manifests and the commands that fetch what they name: a layer that
    stays while they stay. `steps` compile; `results` map paths of the build stage to places below `/app`.

    Lines that begin with an instruction (`COPY`, `ENV`) are taken as they are, argument vectors are run.
    """

    build: str
    run: str
    start: str
    manifests: tuple[str, ...] = ()
    fetch: tuple[tuple[str, ...] | str, ...] = ()
    steps: tuple[tuple[str, ...] | str, ...] = ()
    results: tuple[tuple[str, str], ...] = ()
    tools: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    port: int | None = None
    folder: str = "."


def stages_recipe(stages: Stages) -> str:
    """The program runs as user 10001, who owns `/app`."""
    return dockerfile.joined(
        f"FROM {stages.build} AS build",
        dockerfile.apt(stages.tools),
        "WORKDIR /src",
        f"COPY {json.dumps([*stages.manifests, './'])}" if stages.manifests else None,
        *(_line(step) for step in stages.fetch),
        "COPY . .",
        None if stages.folder == "." else f"WORKDIR /src/{stages.folder}",
        *(_line(step) for step in stages.steps),
        "",
        f"FROM {stages.run}",
        dockerfile.env(dict(stages.env or {})),
        dockerfile.apt(stages.packages),
        "RUN mkdir -p /app && chown 10001:10001 /app",
        "WORKDIR /app",
        *(f"COPY --from=build --chown=10001:10001 {json.dumps([source, to])}" for source, to in stages.results),
        "USER 10001",
        dockerfile.expose(stages.port),
        dockerfile.cmd(stages.start),
    )


def _line(step: tuple[str, ...] | str) -> str:
    return step if isinstance(step, str) else dockerfile.run(*step)
