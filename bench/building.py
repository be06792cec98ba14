"""`python -m bench.building DIR [--only WORD] [--workers N]`: build what is generated for the projects in a folder,
run it as hardened as a deployment does, and see whether it answers on its port.

What can be judged here are components with a generated recipe and a port, whose base images the engine has, and that
need neither a neighbour nor a setting that only a person knows. The others are counted, by reason.
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
from bench.report import Figure, table
from iarnet.analysis.engine import analyze
from iarnet.builds.context import RECIPE, ignored_patterns, write_context
from iarnet.errors import IarnetError
from iarnet.models.analysis import Analysis
from iarnet.models.component import Build, Component
from iarnet.sources.folder import FolderTree

GOAL = 0.9
_ANSWERS_WITHIN_S = 60.0
_SILENT_S = 240
_SAID = 15
_FROM = re.compile(r"^FROM\s+(?:--\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """`step`: `answers`, or where it ended: `build`, `start`, `answer`; or why it isn't judged, in words."""

    name: str
    step: str
    said: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.building", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--only", default="", help="projects whose name has this in it")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    client: Any = docker.from_env(timeout=_SILENT_S)
    here = {tag for image in client.images.list() for tag in image.tags}
    cases = [case for case in found(given.folder.resolve()) if given.only in f"{case.corpus}/{case.name}"]
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(given.workers) as pool:
        for of_case in pool.map(partial(_judged, client, here), cases):
            outcomes += of_case
            for outcome in of_case:
                print(f"{outcome.step:10} {outcome.name}", flush=True)
    steps = Counter(outcome.step for outcome in outcomes)
    for outcome in outcomes:
        if outcome.said:
            print(f"\n{outcome.name}: {outcome.step}\n{outcome.said}")
    judged = sum(steps[step] for step in ("answers", "build", "start", "answer"))
    said = f"{steps['answers'] / max(1, judged):.1%} ({steps['answers']} of {judged})"
    reasons = ", ".join(f"{count} {step}" for step, count in steps.most_common() if step != "answers")
    print(f"\n{len(cases)} projects; {reasons}\n")
    met = steps["answers"] >= GOAL * judged
    print(table([Figure("generated images that build and answer", said, f"≥ {GOAL:.0%}", met=met)]))


def _judged(client: Any, here: set[str], case: Case) -> list[Outcome]:
    name = f"{case.corpus}/{case.name}"
    try:
        analysis = analyze(FolderTree(case.path))
    except IarnetError as error:
        return [Outcome(name, f"refused ({error.code})")]
    return [
        Outcome(f"{name}:{component.name}", reason)
        if reason
        else _tried(client, f"{name}:{component.name}", case, component)
        for component in analysis.components
        for reason in [_beyond(analysis, component, here)]
    ]


def _beyond(analysis: Analysis, component: Component, here: set[str]) -> str:
    """Why it can't be judged here."""
    build = component.build
    if build is None or build.recipe is None:
        return "not generated"
    if not component.ports:
        return "without a port"
    stages = {stage for _, stage in _FROM.findall(build.recipe)}
    if any(base not in here and base not in stages for base, _ in _FROM.findall(build.recipe)):
        return "no such toolchain here"
    if any(edge.from_ == component.name for edge in analysis.edges):
        return "needs a neighbour"
    if any(setting.required and setting.value is None for setting in component.env):
        return "needs a setting"
    return ""


def _tried(client: Any, name: str, case: Case, component: Component) -> Outcome:
    assert component.build
    tag = f"iarnet-bench-building:{secrets.token_hex(6)}"
    try:
        if problem := _built(client, case.path, component.build, tag):
            return Outcome(name, "build", problem)
        with _running(client, tag, component) as container:
            return _asked(container, name, component)
    except docker.errors.APIError as error:
        return Outcome(name, "start", str(error))
    except requests.RequestException as error:
        return Outcome(name, "build", f"nothing more came from it: {error}")
    finally:
        for image in client.images.list(name=tag):
            client.images.remove(image.id, force=True)


def _built(client: Any, root: Path, build: Build, tag: str) -> str:
    """What went wrong."""
    folder = root / build.context
    ignore = folder / ".dockerignore"
    archive, content = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, str(path.relative_to(folder)), recursive=False, filter=_as_in_git)
    archive.seek(0)
    patterns = ignored_patterns(ignore.read_text() if ignore.is_file() else "")
    write_context(archive, content, recipe=build.recipe or "", ignore=patterns, extra={}, mtime=time.time())
    content.seek(0)
    said: list[str] = []
    steps = client.api.build(
        fileobj=content, custom_context=True, dockerfile=RECIPE, tag=tag, rm=True, forcerm=True, decode=True
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
def _running(client: Any, tag: str, component: Component) -> Iterator[Any]:
    container = client.containers.run(
        tag,
        detach=True,
        cap_drop=["ALL"],
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
