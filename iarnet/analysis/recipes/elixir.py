"""The Dockerfile of an Elixir release (https://hexdocs.pm/mix/Mix.Tasks.Release.html)."""

from collections.abc import Mapping
from dataclasses import dataclass

from iarnet.analysis.recipes.stages import Stages, stages_recipe


@dataclass(frozen=True)
class ElixirBuild:
    version: str
    start: str
    app: str
    assets: bool = False
    locked: bool = True
    port: int | None = None
    env: Mapping[str, str] | None = None


def elixir_recipe(build: ElixirBuild) -> str:
    """The release brings its own runtime; the stage it runs in is the build's, as that is linked to its libraries."""
    image = f"elixir:{build.version}-slim"
    return stages_recipe(
        Stages(
            image,
            image,
            build.start,
            tools=("build-essential", "git"),
            manifests=("mix.exs", *(("mix.lock",) if build.locked else ())),
            fetch=(
                "ENV MIX_ENV=prod",
                ("mix", "local.hex", "--force"),
                ("mix", "local.rebar", "--force"),
                ("mix", "deps.get", "--only", "prod"),
            ),
            steps=(
                ("mix", "compile"),
                *((("mix", "assets.deploy"),) if build.assets else ()),
                ("mix", "release", build.app, "--path", "/out"),
            ),
            results=(("/out", "/app"),),
            env={"LANG": "C.UTF-8", "HOME": "/app", **(build.env or {})},
            port=build.port,
        )
    )
