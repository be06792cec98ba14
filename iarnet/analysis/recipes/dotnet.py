"""The Dockerfile of a .NET program."""

from collections.abc import Mapping
from dataclasses import dataclass

from iarnet.analysis.recipes.stages import Stages, stages_recipe


@dataclass(frozen=True)
class DotnetBuild:
    """`project`: the path of the project file in the repository; `context` the folder that is built from."""

    version: str
    start: str
    name: str
    project: str
    context: str = "."
    web: bool = False
    port: int | None = None
    env: Mapping[str, str] | None = None


def dotnet_recipe(build: DotnetBuild) -> str:
    project = build.project if build.context == "." else build.project.removeprefix(f"{build.context}/")
    registry = "mcr.microsoft.com/dotnet"
    return stages_recipe(
        Stages(
            f"{registry}/sdk:{build.version}",
            f"{registry}/{'aspnet' if build.web else 'runtime'}:{build.version}",
            build.start,
            steps=(("dotnet", "publish", project, "--configuration", "Release", "--output", "/out"),),
            results=(("/out", "/app"),),
            env={"DOTNET_EnableDiagnostics": "0", **(build.env or {})},
            port=build.port,
        )
    )
