"""What folders are for: those that hold a program, and those that are only there for whoever works on it."""

import re

from iarnet.analysis.base import Files
from iarnet.analysis.names import words

ASIDE = words(
    "example examples sample samples demo demos test tests spec specs e2e doc docs documentation fixtures benchmark "
    "benchmarks bench scripts script tools hack contrib templates template static assets seed seed-data load-test "
    "loadtest load-gen load-generator loadgenerator genproto themes archive archived packaging storybook cypress "
    "playwright dev develop development ci wwwroot infra infrastructure terraform extra extras windows"
)
EXAMPLES = words("example examples")
TESTING = words("test tests testing e2e spec specs fixtures benchmark benchmarks")
"""Words that say so wherever they stand in a folder's name."""
HOLDERS = words("docker .docker deploy deployment deployments container containers ops compose docker-compose")
"""Folders that say how what lies elsewhere is packed and run."""
MANIFESTS = words(
    "package.json pyproject.toml requirements.txt Pipfile setup.py environment.yml manage.py go.mod Cargo.toml "
    "pom.xml build.gradle build.gradle.kts composer.json Gemfile mix.exs deno.json deno.jsonc Procfile "
    "CMakeLists.txt meson.build gleam.toml Package.swift build.zig shard.yml pubspec.yaml stack.yaml build.sbt "
    "project.clj deps.edn"
)
PROJECTS = (".csproj", ".fsproj", ".vbproj")


def aside(path: str) -> bool:
    """Whether a folder is only there for those who work on the programs."""
    return distance(path) > 0


def distance(path: str) -> int:
    """How far what is in a folder is from being meant to run: 1 for examples and tools, 2 for tests."""
    parts = [part for part in path.split("/") if part not in (".", "")]
    if any(part[0] == "." or _tests(part) for part in parts):
        return 2
    named = {part.lower() for part in parts} | {word for part in parts for word in part.lower().split("-")} & EXAMPLES
    return 0 if ASIDE.isdisjoint(named) else 1


def _tests(part: str) -> bool:
    found = [*_WORD.findall(part), *re.split(r"[-_.]", part)]
    return not TESTING.isdisjoint(word.lower() for word in found)


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def own_manifest(files: Files, folder: str) -> bool:
    return bool(manifests(files, folder, 1))


def manifests(files: Files, root: str, depth: int) -> list[str]:
    return [*files.named(MANIFESTS, root, depth), *files.ending(PROJECTS, root, depth)]
