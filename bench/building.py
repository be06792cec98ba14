"""`python -m bench.building DIR [--only WORD] [--workers N]`: build what is generated for the projects in a folder,
run it as hardened as a deployment does, and see whether it answers on its port.

What can be judged here are components with a generated recipe and a port, whose base images the engine has (in
whatever version; `setup/machine.py images --all --toolchains` brings most), and that need neither a neighbour, nor a
setting that only a person knows, nor packages from where nothing can be had. The others are counted, by reason, as
are the corpora's own mistakes (`bench.corpora.mistakes`).
"""

import argparse
import io
import re
import secrets
import socket
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import docker
import httpx
import requests

from bench.corpora.case import Case
from bench.corpora.found import found
from bench.corpora.mistakes import MISTAKES
from bench.report import Figure, table
from iarnet.analysis.engine import analyze
from iarnet.builds.context import RECIPE, ignored_patterns, write_context
from iarnet.builds.recipe import adapt
from iarnet.errors import IarnetError
from iarnet.models.analysis import Analysis
from iarnet.models.component import HARMLESS_CAPABILITIES, Component
from iarnet.sources.folder import FolderTree

GOAL = 0.9
_ANSWERS_WITHIN_S = 60.0
_SILENT_S = 240
_SAID = 40
_VERSION = re.compile(r"\d[\d.]*")
# What a build says where it is not the recipe that fails.
_BEYOND = {
    "out of reach": re.compile(
        r"could not (?:resolve host|reach|connect)|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|unknown ?host|name resolution"
        r"|name or service not known|connection refused|error sending request|dns error|connect(?:ion)? timed out"
        # Poetry's words where an index has no JSON interface of its own.
        r"|unable to find installation candidates",
        re.IGNORECASE,
    ),
    "wants the version that isn't here": re.compile(r"error code EBADENGINE|ERR_PNPM_UNSUPPORTED_ENGINE"),
}


@dataclass(frozen=True)
class Outcome:
    """`step`: `answers`, or where it ended: `build`, `start`, `answer`; or why it isn't judged, in words."""

    name: str
    step: str
    said: str = ""


@dataclass(frozen=True)
class _Engine:
    """`images`: the tags it has. `network`: what builds reach their packages by."""

    client: Any
    images: frozenset[str]
    network: str | None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.building", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--only", default="", help="projects whose name (CORPUS/NAME) has this pattern in it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--network", help="what builds reach their packages by, as in `builds.network`")
    given = parser.parse_args()
    client: Any = docker.from_env(timeout=_SILENT_S)
    images = frozenset(tag for image in client.images.list() for tag in image.tags)
    engine = _Engine(client, images, given.network)
    wanted = re.compile(given.only)
    cases = [case for case in found(given.folder.resolve()) if wanted.search(f"{case.corpus}/{case.name}")]
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(given.workers) as pool:
        for of_case in pool.map(partial(_judged, engine), cases):
            outcomes += of_case
            for outcome in of_case:
                print(f"{outcome.step:10} {outcome.name}", *outcome.said.splitlines(), sep="\n    ", flush=True)
    steps = Counter(outcome.step for outcome in outcomes)
    judged = sum(steps[step] for step in ("answers", "build", "start", "answer"))
    said = f"{steps['answers'] / max(1, judged):.1%} ({steps['answers']} of {judged})"
    reasons = ", ".join(f"{count} {step}" for step, count in steps.most_common() if step != "answers")
    print(f"\n{len(cases)} projects; {reasons}\n")
    met = steps["answers"] >= GOAL * judged
    print(table([Figure("generated images that build and answer", said, f"≥ {GOAL:.0%}", met=met)]))


def _judged(engine: _Engine, case: Case) -> list[Outcome]:
    name = f"{case.corpus}/{case.name}"
    try:
        analysis = analyze(FolderTree(case.path))
    except IarnetError as error:
        return [Outcome(name, f"refused ({error.code})")]
    return [_of_component(engine, case, analysis, component) for component in analysis.components]


def _of_component(engine: _Engine, case: Case, analysis: Analysis, component: Component) -> Outcome:
    project = f"{case.corpus}/{case.name}"
    name = f"{project}:{component.name}"
    if reason := _beyond(analysis, component, engine.images):
        return Outcome(name, reason)
    if mistake := MISTAKES.get(name) or MISTAKES.get(project):
        return Outcome(name, "the corpus's own mistake", mistake)
    return _tried(engine, name, case.path, component)


def _beyond(analysis: Analysis, component: Component, here: frozenset[str]) -> str:
    """Why it can't be judged here."""
    build = component.build
    if build is None or build.recipe is None:
        return "not generated"
    if not component.ports:
        return "without a port"
    if not all(_bases(component, here).values()):
        return "no such toolchain here"
    if any(edge.from_ == component.name for edge in analysis.edges):
        return "needs a neighbour"
    if any(setting.required and setting.value is None for setting in component.env):
        return "needs a setting"
    return ""


def _bases(component: Component, here: frozenset[str]) -> dict[str, str]:
    """The base images that its recipe names, and what the engine has in their place: "" for nothing."""
    recipe = component.build.recipe if component.build else None
    wanted = adapt(recipe or "", where=component.name, args={}, base_images={}).bases
    return {base: base if base in here else _nearest(base, here) for base in wanted}


def _nearest(base: str, here: frozenset[str]) -> str:
    """The image of that name and kind (`-slim`, `-jre`) whose version is the closest."""
    base = base if ":" in base else f"{base}:latest"
    kind, version = _VERSION.sub("", base), _numbers(base)
    alike = [tag for tag in here if _VERSION.sub("", tag) == kind]
    return min(alike, key=lambda tag: [abs(a - b) for a, b in zip(version, _numbers(tag), strict=False)], default="")


def _numbers(tag: str) -> list[int]:
    return [int(part) for version in _VERSION.findall(tag) for part in version.split(".") if part]


def _tried(engine: _Engine, name: str, root: Path, component: Component) -> Outcome:
    assert component.build
    tag = f"iarnet-bench-building:{secrets.token_hex(6)}"
    try:
        recipe = adapt(
            component.build.recipe or "", where=name, args={}, base_images=_bases(component, engine.images)
        ).text
        if problem := _built(engine, root / component.build.context, recipe, tag):
            reason = next((reason for reason, words in _BEYOND.items() if words.search(problem)), "build")
            return Outcome(name, reason, problem)
        with _running(engine, tag, component, recipe) as container:
            return _asked(container, name, component)
    except docker.errors.APIError as error:
        return Outcome(name, "start", str(error))
    except requests.RequestException as error:
        return Outcome(name, "build", f"nothing more came from it: {error}")
    finally:
        for image in engine.client.images.list(name=tag):
            engine.client.images.remove(image.id, force=True)


def _built(engine: _Engine, folder: Path, recipe: str, tag: str) -> str:
    """What went wrong."""
    ignore = folder / ".dockerignore"
    archive, content = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, str(path.relative_to(folder)), recursive=False, filter=_as_in_git)
    archive.seek(0)
    patterns = ignored_patterns(ignore.read_text() if ignore.is_file() else "")
    write_context(archive, content, recipe=recipe, ignore=patterns, extra={}, mtime=time.time())
    content.seek(0)
    said: list[str] = []
    steps = engine.client.api.build(
        fileobj=content,
        custom_context=True,
        dockerfile=RECIPE,
        tag=tag,
        network_mode=engine.network,
        rm=True,
        forcerm=True,
        decode=True,
    )
    for step in steps:
        said.append(step.get("stream", ""))
        if "error" in step:
            return "\n".join([*"".join(said).splitlines()[-_SAID:], step["error"]])
    return ""


def _as_in_git(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    member.uid = member.gid = 0
    return None if ".git" in member.name.split("/") else member


@contextmanager
def _running(engine: _Engine, tag: str, component: Component, recipe: str) -> Iterator[Any]:
    container = engine.client.containers.run(
        tag,
        detach=True,
        cap_drop=["ALL"],
        cap_add=[] if component.user or "\nUSER " in recipe else sorted(HARMLESS_CAPABILITIES),
        security_opt=["no-new-privileges"],
        mem_limit=component.resources.memory_bytes,
        environment={setting.name: setting.value for setting in component.env if setting.value is not None},
        ports={f"{port.port}/tcp": ("127.0.0.1", None) for port in component.ports},
    )
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


def _asked(container: Any, name: str, component: Component) -> Outcome:
    assert component.port
    end = time.monotonic() + _ANSWERS_WITHIN_S
    while time.monotonic() < end:
        container.reload()
        said = container.logs(tail=_SAID).decode(errors="replace")
        if container.status == "exited":
            # A program that has nothing more to do is none that could answer.
            if container.attrs["State"]["ExitCode"] == 0:
                return Outcome(name, "ends by itself")
            return Outcome(name, "start", said or "it ended, and said nothing")
        published = container.ports.get(f"{component.port.port}/tcp")
        if published and _answers(int(published[0]["HostPort"]), component):
            return Outcome(name, "answers")
        time.sleep(0.3)
    return Outcome(name, "answer", f"nothing on {component.port.port}: {said}")


def _answers(port: int, component: Component) -> bool:
    """Any answer will do: what is at `/` nobody has said. Through Docker's proxy a connection alone says nothing."""
    try:
        if component.port and component.port.protocol in ("tcp", "grpc"):
            with socket.create_connection(("127.0.0.1", port), 5) as wire:
                wire.settimeout(1)
                try:
                    return wire.recv(1) != b""
                except TimeoutError:
                    return True
        path = component.health.path if component.health and component.health.type == "http" else "/"
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10, verify=False).status_code < 500
    except (OSError, httpx.HTTPError):
        return False


if __name__ == "__main__":
    main()
