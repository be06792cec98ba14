"""A proxy that is only configured: its image is nginx's, and the repository has what it should do."""

import re
from posixpath import basename, dirname

from iarnet.analysis.base import Clue, Files
from iarnet.analysis.draft import Draft, Findings
from iarnet.analysis.mentions import called
from iarnet.analysis.names import component_name, unique
from iarnet.analysis.recipes import dockerfile
from iarnet.models.component import Build, Port

DEPTH = 3
_UPSTREAM = re.compile(r"\b(?:proxy_pass|grpc_pass|server)\s{1,20}(?:\w{1,80}://)?([A-Za-z][A-Za-z0-9_-]{0,60})[:/;]")
_LISTEN = re.compile(r"^\s{0,40}listen\s{1,20}(?:[\w.:\[\]*]{0,40}:)?(\d{2,5})\b", re.MULTILINE)


def add_proxies(files: Files, findings: Findings) -> None:
    """A component for each folder with a configuration of nginx that leads to a component; not where a structure says
    everything, nor in the folder of another component."""
    if findings.whole:
        return
    roots = {draft.root for draft in findings.drafts}
    for path in files.ending((".conf",), depth=DEPTH):
        folder = dirname(path) or "."
        text = files.text(path) or ""
        if folder in roots or "proxy_pass" not in text or len(text) > 100_000 or _taken(findings, path):
            continue
        ends = [called(findings, Draft(""), host.lower()) for host in _UPSTREAM.findall(text)[:50]]
        if any(end and not end.service for end in ends):
            roots.add(folder)
            findings.drafts.append(_proxy(findings, folder, path, text))


def _taken(findings: Findings, path: str) -> bool:
    """Whether another component's image has the file already."""
    builds = (draft.facts.get("build") for draft in findings.drafts)
    return any(path in (build.recipe or "") for build in builds if build)


def _proxy(findings: Findings, folder: str, path: str, text: str) -> Draft:
    name = component_name(basename(folder)) if folder != "." else "proxy"
    draft = Draft(unique(name, findings.names()), folder)
    listen = _LISTEN.search(text)
    port = int(listen[1]) if listen and int(listen[1]) < 65536 else 80
    line = text.count("\n", 0, listen.start(1)) + 1 if listen else 1
    draft.offer("kind", "web", Clue("kind", "web", path, 1, 0.7), "proxies")
    draft.offer("ports", (Port(port=port),), Clue("ports", str(port), path, line), "proxies")
    draft.offer("start_command", _START, Clue("start_command", _START, path, 1, 0.9), "proxies")
    draft.facts["build"] = Build(context=folder, recipe=_recipe(basename(path), port, whole="http {" in text))
    return draft


_START = "nginx -g 'daemon off;'"


def _recipe(name: str, port: int, *, whole: bool) -> str:
    """A file with the block `http` is all of it, another one a part."""
    target = "/etc/nginx/nginx.conf" if whole else "/etc/nginx/conf.d/default.conf"
    return dockerfile.joined(
        "FROM nginx:stable",
        f"COPY {name} {target}",
        "RUN chown -R 101:101 /var/cache/nginx /var/log/nginx /etc/nginx/conf.d && touch /run/nginx.pid "
        "&& chown 101:101 /run/nginx.pid",
        "USER 101",
        dockerfile.expose(port),
        dockerfile.cmd(_START),
    )
